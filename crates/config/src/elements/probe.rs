//! `startup`, `ready` and `live`: repeated questions to a service.

use std::time::Duration;

use mainstay_core::{Check, ProbeKind, ProbePlan};

use super::check::{self, Asked, CHECKS};
use super::{duration, http_status};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, MapKey, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Any(&[Form::Section(&PROBE), Form::Choice(&["notify"])]);

pub(crate) static PROBE: Section = Section {
    id: "probe",
    title: "a probe",
    about: "A repeated question to a service, with Kubernetes' semantics. Exactly one of `http`, `grpc`, \
            `tcp`, `exec`, `log` and `notify` says what is asked. `\"notify\"` is short for `{ notify = true }`.",
    one_of: CHECKS,
    keys: &[
        Key::new(
            "http",
            Form::Url,
            "\"http://127.0.0.1:8080/healthz\"",
            "Succeeds if a GET of this address gives a status from 200 to 399. `http://`, `https://`, \
             `\"unix:/run/api.sock:/healthz\"` on Linux, `'pipe:\\\\.\\pipe\\api:/healthz'` on Windows. Redirects are \
             not followed.",
        )
        .also(&["url", "https", "http_get", "httpget"]),
        Key::new("method", Form::Choice(check::METHOD_NAMES), "\"HEAD\"", "The method of an `http` probe.")
            .default("`\"GET\"`"),
        Key::new(
            "headers",
            Form::Map(MapKey::Header, &Form::Text),
            "{ Host = \"api.example\" }",
            "Headers that an `http` probe sends.",
        )
        .also(&["header", "http_headers"]),
        Key::new(
            "expect",
            http_status::FORM,
            "[204, \"300-399\"]",
            "The statuses that are a success of an `http` probe: a status, a range (`\"200-299\"`, `\"2xx\"`), or a list.",
        )
        .default("`\"200-399\"`")
        .also(&["status", "expect_status", "expected_status"]),
        Key::new(
            "body",
            Form::Regex,
            "'\"status\": *\"up\"'",
            "A regular expression that the first 64 KiB of an `http` probe's answer have to match as well.",
        )
        .also(&["expect_body", "match", "contains"]),
        Key::new(
            "grpc",
            Form::Address,
            "\"127.0.0.1:50051\"",
            "Succeeds if the standard health service of gRPC (`grpc.health.v1`) answers `SERVING`.",
        ),
        Key::new("service", Form::Text, "\"shop.Cart\"", "The service that a `grpc` probe asks for.")
            .default("the server as a whole"),
        Key::new("tls", Form::Truth, "true", "Whether a `grpc` probe asks over TLS.")
            .default("`false`, but `true` with one of the four below"),
        Key::new(
            "ca",
            Form::Path,
            "\"ca.pem\"",
            "The authorities that the server's certificate may come from, in PEM, instead of those that the machine \
             trusts.",
        )
        .also(&["cacert", "ca_file", "ca_cert"]),
        Key::new("cert", Form::Path, "\"probe.pem\"", "The certificate that is shown to the server, with its chain, in PEM.")
            .also(&["client_cert", "certificate"]),
        Key::new("key", Form::Path, "\"probe.key\"", "The private key of `cert`, in PEM.").also(&["client_key"]),
        Key::new(
            "insecure",
            Form::Truth,
            "true",
            "Takes any certificate of the server. It is warned of, and said in each answer.",
        )
        .default("`false`")
        .also(&["skip_verify", "insecure_skip_verify"]),
        Key::new("tcp", Form::Address, "\"127.0.0.1:5432\"", "Succeeds if a connection to this host and port does.")
            .also(&["tcp_socket", "port", "address"]),
        Key::new(
            "exec",
            Form::Command,
            "[\"pg_isready\", \"-q\"]",
            "Succeeds if this command, run like the service itself, exits with 0.",
        )
        .also(&["command", "cmd", "test"]),
        Key::new(
            "log",
            Form::Regex,
            "'listening on .*:\\d+'",
            "Succeeds once this regular expression matches a line of the run's output. Not for `live`.",
        )
        .also(&["pattern", "regex", "ready_log_line"]),
        Key::new(
            "notify",
            Form::Any(&[Form::True, Form::Duration]),
            "true",
            "Succeeds once the service says `READY=1`, by sd_notify's protocol or `mainstay notify`. For `live` it has \
             to say `WATCHDOG=1` again and again: a time here (`\"30s\"`) is how long it may be silent, and short for \
             `interval`.",
        )
        .also(&["sd_notify"]),
        Key::new("interval", Form::Duration, "\"2s\"", "From one question to the next.")
            .default("`\"2s\"`; `\"10s\"` for `live`, `\"30s\"` if that is `notify`; `\"200ms\"` for `log`")
            .also(&["every", "period", "period_seconds"]),
        Key::new("timeout", Form::Duration, "\"1s\"", "No answer in this time is a failure.")
            .default("`\"1s\"`")
            .also(&["timeout_seconds"]),
        Key::new(
            "failures",
            Form::Count(1, u32::MAX),
            "3",
            "So many failures in a row make the probe fail.",
        )
        .default("`3`; `30` for `startup`, `300` for a `startup` that asks the `log`: a minute; `1` for a `live` that is `notify`")
        .also(&["failure_threshold", "retries"]),
        Key::new("successes", Form::Count(1, u32::MAX), "1", "So many successes in a row make it succeed.")
            .default("`1`")
            .also(&["success_threshold"]),
        Key::new("initial_delay", Form::Duration, "\"3s\"", "Before the first question.")
            .default("`\"0s\"`")
            .also(&["delay", "initial_delay_seconds", "start_period"]),
    ],
};

/// The shortest interval: a probe is no load test.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Reads a probe. None if something is wrong with it.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>, kind: ProbeKind) -> Option<ProbePlan> {
    if let Value::Text(_) = &field.node.value {
        return shorthand(cx, field, kind);
    }
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table").hint(EXAMPLE);
        return None;
    }
    let mut reader = Reader::open(cx, field, &PROBE)?;
    let asked = check::read(cx, &mut reader);
    let check = asked.as_ref().map(|asked| asked.check.clone());
    let mut plan = defaults(kind, check.as_ref());
    let silence = asked.and_then(|Asked { silence, .. }| silence);
    plan.interval = silence.unwrap_or(plan.interval);
    if let Some(interval) = reader.get("interval") {
        if silence.is_some() {
            cx.error(interval.span(), "`notify` has said the interval already")
                .hint("write notify = true, or leave out `interval`");
        }
        plan.interval = cx.duration(interval, SHORTEST_INTERVAL..=duration::MAX).unwrap_or(plan.interval);
    }
    if let Some(timeout) = reader.get("timeout") {
        plan.timeout = cx.duration(timeout, duration::SHORTEST..=duration::MAX).unwrap_or(plan.timeout);
    }
    if let Some(failures) = reader.get("failures") {
        plan.failures = cx.count(failures, 1, u32::MAX).unwrap_or(plan.failures);
    }
    if let Some(successes) = reader.get("successes") {
        plan.successes = cx.count(successes, 1, u32::MAX).unwrap_or(plan.successes);
    }
    if let Some(delay) = reader.get("initial_delay") {
        plan.initial_delay = cx.duration(delay, Duration::ZERO..=duration::MAX).unwrap_or(plan.initial_delay);
    }
    reader.finish();
    suits(cx, field, kind, &check?).then_some(plan)
}

const EXAMPLE: &str = "write it like { http = \"http://127.0.0.1:8080/healthz\" }, { tcp = \"127.0.0.1:5432\" }, \
                       { exec = [\"check\"] }, { log = 'listening' } or \"notify\"";

/// `ready = "notify"`.
fn shorthand(cx: &mut Context<'_>, field: Field<'_>, kind: ProbeKind) -> Option<ProbePlan> {
    let text = cx.string(field, "a table")?;
    if text.value == "notify" {
        return suits(cx, field, kind, &Check::Notify).then(|| defaults(kind, Some(&Check::Notify)));
    }
    let hint = if text.value.contains("://") {
        format!("write {{ http = \"{}\" }}", text.value)
    } else {
        EXAMPLE.to_owned()
    };
    cx.error(field.span(), format!("`{}` is no probe", text.value)).hint(hint);
    None
}

/// Whether such a question makes sense for such a probe.
fn suits(cx: &mut Context<'_>, field: Field<'_>, kind: ProbeKind, check: &Check) -> bool {
    if kind != ProbeKind::Live || !matches!(check, Check::Log(_)) {
        return true;
    }
    let message = "this cannot tell whether the service still lives: a line once written stays in the log";
    cx.error(field.span(), message).hint("use http, grpc, tcp, exec or notify for `live`");
    false
}

fn defaults(kind: ProbeKind, check: Option<&Check>) -> ProbePlan {
    let log = matches!(check, Some(Check::Log(_)));
    // As with systemd's watchdog: silence for that long is enough.
    let watchdog = kind == ProbeKind::Live && check == Some(&Check::Notify);
    let interval = match kind {
        _ if log => Duration::from_millis(200),
        ProbeKind::Startup | ProbeKind::Ready => Duration::from_secs(2),
        ProbeKind::Live if watchdog => Duration::from_secs(30),
        ProbeKind::Live => Duration::from_secs(10),
    };
    let failures = match kind {
        // A minute to start up, however often it is asked.
        ProbeKind::Startup if log => 300,
        ProbeKind::Startup => 30,
        ProbeKind::Live if watchdog => 1,
        ProbeKind::Ready | ProbeKind::Live => 3,
    };
    ProbePlan {
        check: check.cloned().unwrap_or(Check::Notify),
        initial_delay: Duration::ZERO,
        interval,
        timeout: Duration::from_secs(1),
        failures,
        successes: 1,
    }
}
