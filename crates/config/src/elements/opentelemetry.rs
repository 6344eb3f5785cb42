//! `opentelemetry`: where metrics and traces are sent.

use std::time::Duration;

use mainstay_core::OpenTelemetryPlan;

use super::{check, duration, http_url, path};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, MapKey, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Any(&[Form::Url, Form::Section(&OPENTELEMETRY)]);

pub(crate) static OPENTELEMETRY: Section = Section {
    id: "opentelemetry",
    title: "`opentelemetry`",
    about: "Where metrics, and a trace of each life of a service, are sent: a collector that takes OTLP over HTTP \
            (docs/opentelemetry.md). An address alone is short for `{ endpoint = … }`.",
    one_of: &[],
    keys: &[
        Key::new(
            "endpoint",
            Form::Url,
            "\"http://127.0.0.1:4318\"",
            "The collector's address. `/v1/traces` and `/v1/metrics` are added to it.",
        )
        .required()
        .also(&["url", "address"]),
        Key::new(
            "headers",
            Form::Map(MapKey::Header, &Form::Scalar),
            "{ Authorization = \"Bearer ${TOKEN:-none}\" }",
            "Sent with each request. A value may have secrets in it: `\"Bearer ${secret:token}\"`.",
        ),
        Key::new(
            "ca",
            Form::Path,
            "\"ca.pem\"",
            "With https: a file of authorities to trust in place of the machine's.",
        ),
        Key::new("traces", Form::Truth, "false", "Whether each life of a service becomes a trace.")
            .default("`true`"),
        Key::new("metrics", Form::Truth, "false", "Whether the metrics are sent.").default("`true`"),
        Key::new("interval", Form::Duration, "\"30s\"", "How often the metrics are. At least 1 s.")
            .default("`\"1m\"`"),
    ],
};

const LEAST: Duration = Duration::from_secs(1);

/// Reads it; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> OpenTelemetryPlan {
    let mut plan = OpenTelemetryPlan::default();
    if !matches!(field.node.value, Value::Table(_)) {
        plan.endpoint = endpoint(cx, field);
        return plan;
    }
    let Some(mut reader) = Reader::open(cx, field, &OPENTELEMETRY) else { return plan };
    match reader.get("endpoint") {
        Some(field) => plan.endpoint = endpoint(cx, field),
        None => {
            cx.error(field.span(), "`endpoint` is missing: where it is sent")
                .hint("write it like { endpoint = \"http://127.0.0.1:4318\" }");
        }
    }
    if let Some(field) = reader.get("headers") {
        (plan.headers, plan.secret_headers) = check::headers(cx, field).unwrap_or_default();
    }
    if let Some(field) = reader.get("ca") {
        plan.ca = path::read(cx, field).as_deref().and_then(path::text);
    }
    if let Some(field) = reader.get("traces") {
        plan.traces = check::truth(cx, field).unwrap_or(plan.traces);
    }
    if let Some(field) = reader.get("metrics") {
        plan.metrics = check::truth(cx, field).unwrap_or(plan.metrics);
    }
    if let Some(field) = reader.get("interval") {
        plan.interval = cx.duration(field, LEAST..=duration::MAX).unwrap_or(plan.interval);
    }
    reader.finish();
    plan
}

fn endpoint(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let place = http_url::read(cx, field)?;
    if place.socket.is_some() || place.url.contains(['?', '#']) {
        cx.error(
            field.span(),
            "a collector's address is http:// or https:// with a host, and a path at the most",
        )
        .hint("write it like \"http://127.0.0.1:4318\"");
        return None;
    }
    Some(place.url.trim_end_matches('/').to_owned())
}
