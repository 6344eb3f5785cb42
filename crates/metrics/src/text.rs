//! The text that Prometheus reads, in both of its forms.
//!
//! Written here: the crate prometheus-client has only OpenMetrics, and wants each label set registered before it is
//! used; `promtool` and several other scrapers read only the older form.

use std::fmt::Write as _;

use crate::counters::{Answers, BUCKETS};
use crate::table::{Kind, Metric, TABLE};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4.
    Plain,
}

impl Form {
    /// The form that an `Accept` header asks for.
    pub fn of_accept(accept: Option<&str>) -> Form {
        let wants = |part: &str| part.trim().starts_with("application/openmetrics-text");
        if accept.is_some_and(|accept| accept.split(',').any(wants)) {
            Form::OpenMetrics
        } else {
            Form::Plain
        }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All metrics at one moment.
#[derive(Debug, Default)]
pub struct Page {
    /// The samples of each metric, by its place in the table: labels, then the value.
    samples: Vec<Vec<(Vec<String>, Sample)>>,
}

/// What a metric is at one moment.
#[derive(Debug)]
pub enum Sample {
    /// A number.
    Value(f64),
    /// How long answers took.
    Histogram(Box<Answers>),
}

impl Page {
    /// An empty one.
    pub fn new() -> Page {
        Page { samples: TABLE.iter().map(|_| Vec::new()).collect() }
    }

    /// Adds a sample; the labels' values in the order of the table.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        self.push(metric, labels, Sample::Value(value));
    }

    /// Adds one if there is a value.
    pub fn add_some(&mut self, metric: &Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    /// Adds the times of a probe's answers.
    pub fn add_times(&mut self, metric: &Metric, labels: &[&str], answers: &Answers) {
        self.push(metric, labels, Sample::Histogram(Box::new(answers.clone())));
    }

    fn push(&mut self, metric: &Metric, values: &[&str], sample: Sample) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let Some(place) = TABLE.iter().position(|known| known.name == metric.name) else { return };
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.samples[place].push((values, sample));
    }

    /// Each metric that has samples; the labels' values are in the order of its labels.
    pub fn all(&self) -> impl Iterator<Item = (&'static Metric, &[(Vec<String>, Sample)])> {
        let all = TABLE.iter().zip(self.samples.iter().map(Vec::as_slice));
        all.filter(|(_, samples)| !samples.is_empty())
    }

    /// The whole text.
    pub fn render(&self, form: Form) -> String {
        let mut text = String::new();
        for (metric, samples) in self.all() {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let series = metric.series();
            let family = if form == Form::OpenMetrics { metric.name } else { &series };
            let _ = writeln!(text, "# HELP {family} {}", metric.help);
            let _ = writeln!(text, "# TYPE {family} {kind}");
            if form == Form::OpenMetrics && !metric.unit.is_empty() {
                let _ = writeln!(text, "# UNIT {family} {}", metric.unit);
            }
            for (values, sample) in samples {
                let labels = labels(metric, values);
                match sample {
                    Sample::Value(value) => line(&mut text, &series, &labels, *value),
                    Sample::Histogram(answers) => histogram(&mut text, &series, &labels, answers),
                }
            }
        }
        if form == Form::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// `service="web",probe="ready"`
fn labels(metric: &Metric, values: &[String]) -> String {
    let mut labels = String::new();
    for (label, value) in metric.labels.iter().zip(values) {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = write!(labels, "{comma}{label}=\"{}\"", escaped(value));
    }
    labels
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

fn histogram(text: &mut String, name: &str, labels: &str, answers: &Answers) {
    let mut sum = 0;
    for (most, count) in BUCKETS.iter().zip(answers.classes) {
        sum += count;
        // A bound is written as a number with a point in OpenMetrics, which the older form takes, too.
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{most:?}\"}} {sum}");
    }
    let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", answers.timed);
    line(text, &format!("{name}_sum"), labels, answers.seconds);
    line(text, &format!("{name}_count"), labels, answers.timed as f64);
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    fn page() -> Page {
        let mut page = Page::new();
        page.add(&table::CPU, &["a\"b\\c\nd"], 1.5);
        page.add(&table::UP, &["web"], 1.0);
        page.add(&table::REPLACED, &[], 2.0);
        let answers = Answers { classes: [1, 0, 2, 0, 0, 0], timed: 4, seconds: 12.25, ..Answers::default() };
        page.add_times(&table::PROBE_TIME, &["web", "ready"], &answers);
        page.add_some(&table::HANDLES, &["web"], None);
        page
    }

    #[test]
    fn open_metrics() {
        let text = page().render(Form::OpenMetrics);
        assert!(text.contains("# TYPE mainstay_service_cpu_seconds counter\n"), "{text}");
        assert!(text.contains("# UNIT mainstay_service_cpu_seconds seconds\n"), "{text}");
        assert!(
            text.contains("mainstay_service_cpu_seconds_total{service=\"a\\\"b\\\\c\\nd\"} 1.5\n"),
            "{text}"
        );
        assert!(text.contains("mainstay_daemon_replacements_total 2\n"), "{text}");
        assert!(text.ends_with("# EOF\n") && !text.contains("open_handles"), "{text}");
        let bucket = |most: &str| {
            format!(
                "mainstay_service_probe_duration_seconds_bucket{{service=\"web\",probe=\"ready\",le=\"{most}\"}}"
            )
        };
        assert!(text.contains(&format!("{} 3\n", bucket("0.1"))), "{text}");
        assert!(text.contains(&format!("{} 3\n{} 4\n", bucket("10.0"), bucket("+Inf"))), "{text}");
    }

    #[test]
    fn the_older_form() {
        let text = page().render(Form::Plain);
        assert!(text.contains("# TYPE mainstay_service_cpu_seconds_total counter\n"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }

    #[test]
    fn what_is_accepted() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Form::of_accept(Some(prometheus)), Form::OpenMetrics);
        assert_eq!(Form::of_accept(Some("*/*")), Form::Plain);
        assert_eq!(Form::of_accept(None), Form::Plain);
    }
}
