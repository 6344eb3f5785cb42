//! Every metric, in one place: what is served, what the documentation lists, and what dashboard and rules may use.

use std::fmt::Write as _;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, a counter's without `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit, which its name ends with; empty for counts.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help }
}

macro_rules! table {
    ($($id:ident: $name:literal, $kind:ident, $unit:literal, $labels:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric = metric($name, Kind::$kind, $unit, &$labels, $help);)*
        /// All of them, in the order in which they are served.
        pub const TABLE: &[Metric] = &[$($id),*];
    };
}

table! {
    BUILD: "mainstay_build_info", Gauge, "", ["version"], "Always 1; the version of Mainstay that answers.";
    STATE: "mainstay_service_state", Gauge, "", ["service", "state"], "1 for the state that the service is in, 0 for the others.";
    UP: "mainstay_service_up", Gauge, "", ["service"], "Whether a process of the service runs.";
    READY: "mainstay_service_ready", Gauge, "", ["service"], "Whether the service runs and no readiness probe says otherwise.";
    CRASH_LOOP: "mainstay_service_crash_loop", Gauge, "", ["service"], "Whether the service keeps ending soon after its start.";
    START_TIME: "mainstay_service_start_time_seconds", Gauge, "seconds", ["service"], "When the present run began, in Unix time.";
    STARTS: "mainstay_service_starts", Counter, "", ["service"], "Processes made.";
    START_FAILURES: "mainstay_service_start_failures", Counter, "", ["service"], "Processes that could not be made.";
    RESTARTS: "mainstay_service_restarts", Counter, "", ["service", "reason"], "Starts after an end, by what led to them.";
    EXITS: "mainstay_service_exits", Counter, "", ["service", "exit"], "Ends, by exit code or signal; the first 16 different ones of a service, then other.";
    CPU: "mainstay_service_cpu_seconds", Counter, "seconds", ["service"], "Processor time of the whole tree, over all runs.";
    MEMORY: "mainstay_service_memory_resident_bytes", Gauge, "bytes", ["service"], "Memory of the tree that is in RAM; pages that processes share count once for each.";
    PRIVATE: "mainstay_service_memory_private_bytes", Gauge, "bytes", ["service"], "Memory of the tree that nobody shares.";
    PROCESSES: "mainstay_service_processes", Gauge, "", ["service"], "Processes of the tree.";
    THREADS: "mainstay_service_threads", Gauge, "", ["service"], "Threads of the tree.";
    HANDLES: "mainstay_service_open_handles", Gauge, "", ["service"], "Open descriptors (Linux) or handles (Windows) of the tree.";
    READ: "mainstay_service_read_bytes", Counter, "bytes", ["service"], "Bytes read from disks (Linux) or altogether (Windows), over all runs.";
    WRITTEN: "mainstay_service_written_bytes", Counter, "bytes", ["service"], "Bytes written to disks (Linux) or altogether (Windows), over all runs.";
    LOG_WRITTEN: "mainstay_service_log_written_bytes", Counter, "bytes", ["service"], "Bytes of output that went into the log.";
    LOG_LINES: "mainstay_service_log_written_lines", Counter, "", ["service"], "Lines of output that went into the log.";
    LOG_DROPPED: "mainstay_service_log_dropped_bytes", Counter, "bytes", ["service"], "Bytes of output that were lost.";
    LINES_DROPPED: "mainstay_service_log_dropped_lines", Counter, "", ["service"], "Lines of output that were lost.";
    PROBE_OK: "mainstay_service_probe_success", Gauge, "", ["service", "probe"], "Whether the probe's last answer was good.";
    PROBE_RESULTS: "mainstay_service_probe_results", Counter, "", ["service", "probe", "result"], "Answers to the probe, good and bad.";
    PROBE_TIME: "mainstay_service_probe_duration_seconds", Histogram, "seconds", ["service", "probe"], "How long the probe's answers took.";
    OWN_CPU: "mainstay_process_cpu_seconds", Counter, "seconds", ["process"], "Processor time of Mainstay's own process.";
    OWN_MEMORY: "mainstay_process_memory_resident_bytes", Gauge, "bytes", ["process"], "Memory of Mainstay's own process that is in RAM.";
    OWN_PRIVATE: "mainstay_process_memory_private_bytes", Gauge, "bytes", ["process"], "Memory of Mainstay's own process that nobody shares.";
    OWN_THREADS: "mainstay_process_threads", Gauge, "", ["process"], "Threads of Mainstay's own process.";
    OWN_HANDLES: "mainstay_process_open_handles", Gauge, "", ["process"], "Open descriptors or handles of Mainstay's own process.";
    OWN_START: "mainstay_process_start_time_seconds", Gauge, "seconds", ["process"], "When Mainstay's own process began, in Unix time.";
    REPLACED: "mainstay_daemon_replacements", Counter, "", [], "Daemons of this keeper that were replaced.";
    QUEUE: "mainstay_queue_length", Gauge, "", ["queue"], "What waits: in the keeper events for the daemon, its commands, and work on logs; in the daemon messages for its driver, and spans for a collector.";
    NOT_SENT: "mainstay_otlp_dropped", Counter, "", ["signal"], "What a collector of OpenTelemetry did not get: spans, and looks at the metrics, since the daemon began.";
    LOOK: "mainstay_sample_duration_seconds", Gauge, "seconds", [], "How long the last look at what all services use took.";
    LOOK_TIME: "mainstay_sample_timestamp_seconds", Gauge, "seconds", [], "When that was, in Unix time.";
}

impl Metric {
    /// Its name as Prometheus' queries have it.
    pub fn series(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            _ => self.name.to_owned(),
        }
    }
}

/// The table as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| metric | kind | labels | what it says |\n|---|---|---|---|\n");
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ =
            writeln!(text, "| `{}` | {kind} | {} | {} |", metric.series(), labels.join(", "), metric.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let mut names: Vec<&str> = TABLE.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "each is there once");
        for metric in TABLE {
            assert!(metric.name.starts_with("mainstay_") && !metric.name.ends_with("_total"), "{metric:?}");
            assert!(metric.name.ends_with(metric.unit), "{metric:?}");
            assert!(metric.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{metric:?}");
            assert!(metric.help.ends_with('.'), "{metric:?}");
        }
    }

    #[test]
    fn the_documentation_has_every_metric() {
        const BEGIN: &str = "<!-- metrics: begin -->\n";
        const END: &str = "<!-- metrics: end -->\n";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let text = std::fs::read_to_string(file).expect("docs/metrics.md can be read").replace("\r\n", "\n");
        let (before, rest) = text.split_once(BEGIN).expect("the begin mark");
        let (written, after) = rest.split_once(END).expect("the end mark");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let text = format!("{before}{BEGIN}{}{END}{after}", markdown());
            std::fs::write(file, text).expect("docs/metrics.md can be written");
            return;
        }
        assert!(written == markdown(), "write it anew: UPDATE_DOCS=1 cargo test -p mainstay-metrics");
    }
}
