//! A dashboard for Grafana and alert rules for Prometheus. Both use the metrics of the table, which a test checks.

use std::fmt::Write as _;

use crate::table::{self, Metric};

/// One alert.
struct Alert {
    name: &'static str,
    expr: String,
    wait: &'static str,
    severity: &'static str,
    summary: &'static str,
}

fn alerts() -> Vec<Alert> {
    let [state, restarts, crash_loop, probe] =
        [table::STATE, table::RESTARTS, table::CRASH_LOOP, table::PROBE_OK].map(|metric| metric.series());
    let alert = |name, expr, wait, severity, summary| Alert { name, expr, wait, severity, summary };
    vec![
        alert(
            "MainstayServiceFailed",
            format!("{state}{{state=\"failed\"}} == 1"),
            "1m",
            "critical",
            "{{ $labels.service }} on {{ $labels.instance }} has failed and is not started again",
        ),
        alert(
            "MainstayServiceCrashLooping",
            format!("{crash_loop} == 1"),
            "2m",
            "critical",
            "{{ $labels.service }} on {{ $labels.instance }} keeps ending soon after its start",
        ),
        alert(
            "MainstayServiceNotReady",
            format!("{} == 0 and on (instance, service) {} == 1", table::READY.series(), table::UP.series()),
            "5m",
            "warning",
            "{{ $labels.service }} on {{ $labels.instance }} runs but is not ready",
        ),
        alert(
            "MainstayServiceRestarting",
            format!("sum by (instance, service) (increase({restarts}{{reason!=\"requested\"}}[1h])) > 3"),
            "0m",
            "warning",
            "{{ $labels.service }} on {{ $labels.instance }} was restarted more than 3 times in an hour",
        ),
        alert(
            "MainstayProbeFailing",
            format!("{probe}{{probe=\"live\"}} == 0"),
            "5m",
            "warning",
            "The liveness probe of {{ $labels.service }} on {{ $labels.instance }} fails",
        ),
        alert(
            "MainstayOutputLost",
            format!("increase({}[15m]) > 0", table::LOG_DROPPED.series()),
            "0m",
            "warning",
            "Output of {{ $labels.service }} on {{ $labels.instance }} is lost",
        ),
        alert(
            "MainstayDaemonReplaced",
            format!("increase({}[1h]) > 2", table::REPLACED.series()),
            "0m",
            "warning",
            "Mainstay's daemon on {{ $labels.instance }} was replaced more than twice in an hour",
        ),
        alert(
            "MainstaySamplingStopped",
            format!("time() - {} > 120", table::LOOK_TIME.series()),
            "1m",
            "warning",
            "Mainstay on {{ $labels.instance }} has not looked at its services for 2 minutes",
        ),
    ]
}

/// Alert rules, for `rule_files` of Prometheus.
pub fn prometheus_rules() -> String {
    let mut text = String::from("groups:\n  - name: mainstay\n    rules:\n");
    for alert in alerts() {
        let _ = write!(
            text,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        \
             annotations:\n          summary: {}\n",
            alert.name,
            quoted(&alert.expr),
            alert.wait,
            alert.severity,
            quoted(alert.summary)
        );
    }
    text
}

/// A string of YAML that means nothing but itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What one panel shows.
struct Panel {
    title: &'static str,
    unit: &'static str,
    /// Queries, and what each line is called.
    queries: Vec<(String, &'static str)>,
}

fn panels() -> Vec<Panel> {
    const ONE: &str = "instance=~\"$instance\",service=~\"$service\"";
    const OWN: &str = "instance=~\"$instance\"";
    let of = |metric: &Metric| format!("{}{{{ONE}}}", metric.series());
    let rate = |metric: &Metric| format!("rate({}[$__rate_interval])", of(metric));
    let panel = |title, unit, queries| Panel { title, unit, queries };
    let service = "{{service}}";
    vec![
        panel("Ready", "none", vec![(of(&table::READY), service)]),
        panel("State", "none", vec![(format!("{} == 1", of(&table::STATE)), "{{service}} {{state}}")]),
        panel("Processors kept busy", "none", vec![(rate(&table::CPU), service)]),
        panel("Memory, resident", "bytes", vec![(of(&table::MEMORY), service)]),
        panel("Memory, private", "bytes", vec![(of(&table::PRIVATE), service)]),
        panel(
            "Restarts in an hour",
            "none",
            vec![(format!("increase({}[1h]) > 0", of(&table::RESTARTS)), "{{service}} {{reason}}")],
        ),
        panel("Uptime", "s", vec![(format!("time() - {}", of(&table::START_TIME)), service)]),
        panel("Threads", "none", vec![(of(&table::THREADS), service)]),
        panel("Processes", "none", vec![(of(&table::PROCESSES), service)]),
        panel("Open descriptors or handles", "none", vec![(of(&table::HANDLES), service)]),
        panel(
            "Read and written",
            "Bps",
            vec![(rate(&table::READ), "{{service}} read"), (rate(&table::WRITTEN), "{{service}} written")],
        ),
        panel(
            "Output and lost output",
            "Bps",
            vec![(rate(&table::LOG_WRITTEN), service), (rate(&table::LOG_DROPPED), "{{service}} lost")],
        ),
        panel(
            "Probes: 95 of 100 answers within",
            "s",
            vec![(
                format!(
                    "histogram_quantile(0.95, sum by (service, probe, le) (rate({}_bucket{{{ONE}}}[5m])))",
                    table::PROBE_TIME.series()
                ),
                "{{service}} {{probe}}",
            )],
        ),
        panel(
            "Mainstay itself: processors kept busy",
            "none",
            vec![(format!("rate({}{{{OWN}}}[$__rate_interval])", table::OWN_CPU.series()), "{{process}}")],
        ),
        panel(
            "Mainstay itself: memory",
            "bytes",
            vec![(format!("{}{{{OWN}}}", table::OWN_MEMORY.series()), "{{process}}")],
        ),
    ]
}

/// A dashboard, as JSON for Grafana's import. It asks for the data source by a variable, so nothing is to be edited.
pub fn grafana() -> serde_json::Value {
    use serde_json::json;
    let source = json!({ "type": "prometheus", "uid": "${source}" });
    let panels: Vec<serde_json::Value> = panels()
        .iter()
        .enumerate()
        .map(|(nth, panel)| {
            let targets: Vec<serde_json::Value> = panel
                .queries
                .iter()
                .zip("ABCDEF".chars())
                .map(|((expr, legend), id)| {
                    json!({ "refId": id.to_string(), "expr": expr, "legendFormat": legend, "datasource": source })
                })
                .collect();
            json!({
                "id": nth + 1,
                "type": "timeseries",
                "title": panel.title,
                "datasource": source,
                "gridPos": { "h": 8, "w": 12, "x": nth % 2 * 12, "y": nth / 2 * 8 },
                "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
                "targets": targets,
            })
        })
        .collect();
    let variable = |name: &str, label: &str| {
        let query = format!("label_values({}, {label})", table::UP.series());
        json!({
            "name": name, "type": "query", "datasource": source, "query": query, "refresh": 2,
            "includeAll": true, "multi": true, "current": { "text": "All", "value": "$__all" },
        })
    };
    json!({
        "title": "Mainstay",
        "uid": "mainstay",
        "tags": ["mainstay"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "source", "type": "datasource", "query": "prometheus", "label": "Data source" },
            variable("instance", "instance"),
            variable("service", "service"),
        ] },
        "panels": panels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Kind, TABLE};

    /// Every name that a query may have.
    fn known() -> Vec<String> {
        TABLE
            .iter()
            .flat_map(|metric| match metric.kind {
                Kind::Histogram => {
                    ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", metric.name)).to_vec()
                }
                _ => vec![metric.series()],
            })
            .collect()
    }

    /// What is a metric of ours in this text.
    fn names(text: &str) -> Vec<&str> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("mainstay_"))
            .collect()
    }

    #[test]
    fn only_metrics_that_exist_are_used() {
        let known = known();
        for text in [prometheus_rules(), grafana().to_string()] {
            let used = names(&text);
            assert!(used.len() >= 8, "{used:?}");
            for name in used {
                assert!(known.iter().any(|known| known == name), "there is no {name}");
            }
        }
    }

    #[test]
    fn only_labels_that_exist_are_used() {
        for alert in alerts() {
            for name in names(&alert.expr) {
                let metric = TABLE.iter().find(|metric| metric.series() == name).expect("checked above");
                if alert.summary.contains("$labels.service") {
                    assert!(metric.labels.contains(&"service"), "{name} in {}", alert.name);
                }
            }
        }
    }

    #[test]
    fn a_dashboard_has_no_hole() {
        let dashboard = grafana();
        let panels = dashboard["panels"].as_array().expect("panels");
        assert!(panels.len() >= 12);
        for panel in panels {
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{panel}");
        }
    }
}
