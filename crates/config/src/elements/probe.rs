//! `startup`, `ready` and `live`: repeated questions to a service.

use std::time::Duration;

use mainstay_core::{Check, ProbeKind, ProbePlan};

use super::{command, duration, http_url, log_pattern, tcp_address};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

/// Not the shorthand: nothing that is said once suits.
pub(crate) const LIVE_FORM: Form = Form::Section(&PROBE);
pub(crate) const FORM: Form = Form::Any(&[Form::Section(&PROBE), Form::Choice(&["notify"])]);

const CHECKS: &[&str] = &["http", "tcp", "exec", "log", "notify"];

pub(crate) static PROBE: Section = Section {
    id: "probe",
    title: "a probe",
    about: "A repeated question to a service, with Kubernetes' semantics. Exactly one of `http`, `tcp`, `exec`, \
            `log` and `notify` says what is asked. `\"notify\"` is short for `{ notify = true }`.",
    one_of: CHECKS,
    keys: &[
        Key::new(
            "http",
            Form::Url,
            "\"http://127.0.0.1:8080/healthz\"",
            "Succeeds if a GET of this address gives a status from 200 to 399. Plain http; https is refused.",
        )
        .also(&["url", "http_get", "httpget"]),
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
            Form::True,
            "true",
            "Succeeds once the service says `READY=1`, by sd_notify's protocol or `mainstay notify`. Not for `live`.",
        )
        .also(&["sd_notify"]),
        Key::new("interval", Form::Duration, "\"2s\"", "From one question to the next.")
            .default("`\"2s\"`; `\"10s\"` for `live`; `\"200ms\"` for `log`")
            .also(&["period", "period_seconds"]),
        Key::new("timeout", Form::Duration, "\"1s\"", "No answer in this time is a failure.")
            .default("`\"1s\"`")
            .also(&["timeout_seconds"]),
        Key::new(
            "failures",
            Form::Count(1, u32::MAX),
            "3",
            "So many failures in a row make the probe fail.",
        )
        .default("`3`; `30` for `startup`, `300` for a `startup` that asks the `log`: a minute")
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
    let asked: Vec<Field<'_>> = CHECKS.iter().filter_map(|name| reader.get(name)).collect();
    let check = asked.into_iter().map(|field| check(cx, field)).next().flatten();
    let mut plan =
        ProbePlan { check: check.clone().unwrap_or(Check::Notify), ..defaults(kind, check.as_ref()) };
    if let Some(interval) = reader.get("interval") {
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

fn check(cx: &mut Context<'_>, field: Field<'_>) -> Option<Check> {
    match field.key {
        "http" => http_url::read(cx, field).map(Check::Http),
        "tcp" => tcp_address::read(cx, field).map(Check::Tcp),
        "exec" => command::read(cx, field).map(Check::Exec),
        "log" => log_pattern::read(cx, field).map(Check::Log),
        _ => match field.node.value {
            Value::Bool(true) => Some(Check::Notify),
            Value::Bool(false) => {
                cx.error(field.span(), "`notify` can only be true")
                    .hint("leave the probe out if there is none");
                None
            }
            _ => {
                cx.wrong_type(field, "true");
                None
            }
        },
    }
}

/// Whether such a question makes sense for such a probe.
fn suits(cx: &mut Context<'_>, field: Field<'_>, kind: ProbeKind, check: &Check) -> bool {
    let said_once = match check {
        Check::Log(_) => "a line once written stays in the log",
        Check::Notify => "what is notified once stays so",
        Check::Http(_) | Check::Tcp(_) | Check::Exec(_) => return true,
    };
    if kind != ProbeKind::Live {
        return true;
    }
    cx.error(field.span(), format!("this cannot tell whether the service still lives: {said_once}"))
        .hint("use http, tcp or exec for `live`");
    false
}

fn defaults(kind: ProbeKind, check: Option<&Check>) -> ProbePlan {
    let log = matches!(check, Some(Check::Log(_)));
    let interval = match kind {
        _ if log => Duration::from_millis(200),
        ProbeKind::Startup | ProbeKind::Ready => Duration::from_secs(2),
        ProbeKind::Live => Duration::from_secs(10),
    };
    let failures = match kind {
        // A minute to start up, however often it is asked.
        ProbeKind::Startup if log => 300,
        ProbeKind::Startup => 30,
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
