//! `restart`: what follows the end of a service's process.

use std::time::Duration;

use mainstay_core::{RestartPlan, RestartPolicy, StartLimit};

use super::{duration, on_exit};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

const POLICIES: &[(&str, RestartPolicy)] = &[
    ("always", RestartPolicy::Always),
    ("on-failure", RestartPolicy::OnFailure),
    ("never", RestartPolicy::Never),
];
const POLICY_FORM: Form = Form::Choice(&["always", "on-failure", "never"]);

pub(crate) const FORM: Form = Form::Any(&[POLICY_FORM, Form::Section(&RESTART)]);

pub(crate) static RESTART: Section = Section {
    id: "restart",
    title: "`restart`",
    about: "What follows the end of a service's process. `restart = \"never\"` is short for \
            `restart = { policy = \"never\" }`. Starts by hand never count.",
    one_of: &[],
    keys: &[
        Key::new(
            "policy",
            POLICY_FORM,
            "\"on-failure\"",
            "`always`: after every end. `on-failure`: after an exit code other than 0, a signal or a failed `live` \
             probe. `never`: not at all.",
        )
        .default("`\"always\"`")
        .also(&["mode", "when"]),
        Key::new(
            "delay",
            Form::Duration,
            "\"500ms\"",
            "The first restart in a row goes at once, the second waits this long, each later one twice as long as \
             the one before, with a little chance in it.",
        )
        .default("`\"500ms\"`")
        .also(&["backoff", "back_off", "restart_sec", "wait"]),
        Key::new("max_delay", Form::Duration, "\"1m\"", "The longest wait.").default("`\"1m\"`, or `delay` if that is longer").also(&["backoff_max"]),
        Key::new(
            "reset_after",
            Form::Duration,
            "\"1m\"",
            "A run that is healthy for this long makes the next restart the first in a row again. At least 1 s: below it a \
             program that crashes would never be waited for.",
        )
        .default("`\"1m\"`"),
        Key::new(
            "limit",
            Form::Section(&LIMIT),
            "{ starts = 5, window = \"1m\" }",
            "Gives up (`failed`) beyond so many restarts in a time.",
        )
        .default("none: it tries for ever")
        .also(&["max_restarts", "start_limit", "retries"]),
        Key::new(
            "on_exit",
            on_exit::FORM,
            "{ 78 = \"fail\", 0xC0000005 = \"restart-now\" }",
            "What follows certain exit codes, whatever the policy says. `restart`: after the back-off. \
             `restart-now`: at once, ten times in a row; then as `restart`. `stop`: it was a wanted end (`completed`). `fail`: it is final (`failed`).",
        )
        .also(&["exit_codes", "on_exit_code"]),
    ],
};

pub(crate) static LIMIT: Section = Section {
    id: "restart_limit",
    title: "`restart.limit`",
    about: "How many restarts are too many.",
    one_of: &[],
    keys: &[
        Key::new("starts", Form::Count(1, u32::MAX), "5", "So many restarts are allowed …")
            .required()
            .also(&["burst", "max", "count", "restarts"]),
        Key::new("window", Form::Duration, "\"1m\"", "… in this time.")
            .required()
            .also(&["interval", "within", "period"]),
    ],
};

/// A shorter run is no health, and a restart after each would hammer.
const LEAST_HEALTH: Duration = Duration::from_secs(1);

/// Reads a restart policy; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> RestartPlan {
    let mut plan = RestartPlan::default();
    match &field.node.value {
        Value::Text(_) => {
            plan.policy = cx.choice(field, POLICIES).unwrap_or(plan.policy);
            return plan;
        }
        Value::Table(_) => {}
        _ => {
            cx.wrong_type(field, "a policy or a table")
                .hint("write it like \"always\" or { policy = \"on-failure\", delay = \"1s\" }");
            return plan;
        }
    }
    let Some(mut reader) = Reader::open(cx, field, &RESTART) else { return plan };
    if let Some(policy) = reader.get("policy") {
        plan.policy = cx.choice(policy, POLICIES).unwrap_or(plan.policy);
    }
    let times = duration::SHORTEST..=duration::MAX;
    let delay = reader.get("delay");
    let max_delay = reader.get("max_delay");
    if let Some(delay) = delay {
        plan.delay = cx.duration(delay, times.clone()).unwrap_or(plan.delay);
    }
    let max = max_delay.and_then(|max_delay| cx.duration(max_delay, times.clone()));
    plan.max_delay = max.unwrap_or(plan.max_delay.max(plan.delay));
    if plan.max_delay < plan.delay
        && let Some(max_delay) = max_delay
    {
        let message = format!("`max_delay` is shorter than `delay` ({})", duration::show(plan.delay));
        let problem = cx.error(max_delay.span(), message).hint("the wait grows from `delay` to `max_delay`");
        if let Some(delay) = delay {
            problem.related(delay.span(), "the delay");
        }
    }
    if let Some(reset_after) = reader.get("reset_after") {
        plan.reset_after = cx.duration(reset_after, LEAST_HEALTH..=duration::MAX).unwrap_or(plan.reset_after);
    }
    if let Some(limit) = reader.get("limit") {
        plan.limit = read_limit(cx, limit);
    }
    if let Some(codes) = reader.get("on_exit") {
        plan.on_exit = on_exit::read(cx, codes);
    }
    reader.finish();
    plan
}

fn read_limit(cx: &mut Context<'_>, field: Field<'_>) -> Option<StartLimit> {
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table").hint("write it like { starts = 5, window = \"1m\" }");
        return None;
    }
    let mut reader = Reader::open(cx, field, &LIMIT)?;
    let starts = reader.required(cx, "starts").and_then(|starts| cx.count(starts, 1, u32::MAX));
    let window = reader
        .required(cx, "window")
        .and_then(|window| cx.duration(window, Duration::from_millis(1)..=duration::MAX));
    reader.finish();
    Some(StartLimit { starts: starts?, window: window? })
}
