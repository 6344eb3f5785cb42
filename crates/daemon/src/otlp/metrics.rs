//! All that `/metrics` shows, as OTLP has it.

use mainstay_metrics::table::{Kind, Metric};
use mainstay_metrics::text::{Page, Sample};
use mainstay_metrics::{Answers, BUCKETS};

use super::Resource;
use super::protobuf::Message;

/// Since the beginning, not since the last time.
const CUMULATIVE: u64 = 2;

/// `ExportMetricsServiceRequest`
pub(super) fn request(resource: &Resource, page: &Page, now: u64) -> Vec<u8> {
    let request = Message::new(|request| {
        request.message(1, |of| {
            of.message(1, |out| resource.write(out));
            of.message(2, |scope| {
                scope.message(1, Resource::scope);
                for (metric, samples) in page.all() {
                    scope.message(2, |out| write(out, metric, samples, now));
                }
            });
        });
    });
    request.into_bytes()
}

type Labelled = (Vec<String>, Sample);

fn write(out: &mut Message, metric: &Metric, samples: &[Labelled], now: u64) {
    // As others translate names back: of a counter without its `_total`, and dots are not put in.
    out.text(1, metric.name);
    out.text(2, metric.help);
    out.text(3, unit(metric));
    match metric.kind {
        Kind::Gauge => out.message(5, |gauge| points(gauge, metric, samples, now)),
        Kind::Counter => out.message(7, |sum| {
            points(sum, metric, samples, now);
            sum.uint(2, CUMULATIVE);
            sum.uint(3, 1);
        }),
        Kind::Histogram => out.message(9, |histogram| {
            points(histogram, metric, samples, now);
            histogram.uint(2, CUMULATIVE);
        }),
    }
}

/// As UCUM writes it.
fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "1",
    }
}

fn points(out: &mut Message, metric: &Metric, samples: &[Labelled], now: u64) {
    for (values, sample) in samples {
        out.message(1, |point| {
            point.fixed(3, now);
            match sample {
                Sample::Value(value) => {
                    point.double(4, *value);
                    attributes(point, 7, metric, values);
                }
                Sample::Histogram(answers) => {
                    histogram(point, answers);
                    attributes(point, 9, metric, values);
                }
            }
        });
    }
}

fn attributes(point: &mut Message, field: u32, metric: &Metric, values: &[String]) {
    for (label, value) in metric.labels.iter().zip(values) {
        point.attribute(field, label, value);
    }
}

fn histogram(point: &mut Message, answers: &Answers) {
    point.fixed(4, answers.timed);
    point.double(5, answers.seconds);
    let inside: u64 = answers.classes.iter().sum();
    // The last class is what took longer than all bounds.
    let beyond = answers.timed.saturating_sub(inside);
    point.packed(6, answers.classes.into_iter().chain([beyond]));
    point.packed(7, BUCKETS.iter().map(|bound| bound.to_bits()));
}
