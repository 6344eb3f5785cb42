//! `stop`: how a service's process is ended.

use std::time::Duration;

use mainstay_core::{StopAction, StopPlan, StopStep, signal_number};

use super::{command, duration, http_url};
use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::source::Span;
use crate::value::{Node, Value};

pub(crate) const FORM: Form = Form::Section(&STOP);

pub(crate) static STOP: Section = Section {
    id: "stop",
    title: "`stop`",
    about: "How a service's process is ended. The whole tree is killed after the last step or at the deadline, \
            whichever is first.",
    one_of: &[],
    keys: &[
        Key::new(
            "steps",
            Form::List(&Form::Section(&STEP)),
            "[{ ctrl_c = \"5s\" }, { kill = \"2s\" }]",
            "Taken in order, each until the tree is gone or its time is over.",
        )
        .default("`[{ ctrl_c = \"10s\" }, { close_window = \"3s\" }]`, fitted to `timeout` if that is given")
        .also(&["actions", "sequence"]),
        Key::new(
            "timeout",
            Form::Duration,
            "\"15s\"",
            "From the first step to the kill of the whole tree, at the most.",
        )
        .default("`\"15s\"`, or the time of all `steps` if that is longer")
        .also(&["stop_timeout", "grace_period", "stopwaitsecs", "kill_timeout"]),
    ],
};

const ACTIONS: &[&str] =
    &["drain", "ctrl_c", "ctrl_break", "close_window", "signal", "command", "http", "kill"];

pub(crate) static STEP: Section = Section {
    id: "stop_step",
    title: "a stop step",
    about: "One step of a stop: exactly one of `drain`, `ctrl_c`, `ctrl_break`, `close_window`, `signal`, `command`, \
            `http` and `kill`, with how long its effect is waited for.",
    one_of: ACTIONS,
    keys: &[
        Key::new(
            "drain",
            Form::Duration,
            "\"30s\"",
            "Nothing is sent: the service counts as ready no more, and has this time to finish what it was given.",
        )
        .also(&["pre_stop", "sleep"]),
        Key::new(
            "ctrl_c",
            Form::Duration,
            "\"5s\"",
            "Ctrl+C to its console on Windows; SIGTERM to its process group on Linux.",
        )
        .also(&["ctrlc", "term", "sigterm", "terminate"]),
        Key::new(
            "close_window",
            Form::Duration,
            "\"5s\"",
            "WM_CLOSE to its windows on Windows; nothing on Linux.",
        )
        .also(&["wm_close"]),
        Key::new(
            "signal",
            Form::Signal,
            "\"SIGINT\"",
            "A Linux signal to its process group, by name or number; nothing on Windows. `wait` says how long it is \
             waited for.",
        )
        .also(&["sig"]),
        Key::new(
            "ctrl_break",
            Form::Duration,
            "\"5s\"",
            "Ctrl+Break to its console on Windows, which also programs hear that ignore Ctrl+C; nothing on Linux.",
        )
        .also(&["ctrlbreak", "break"]),
        Key::new(
            "command",
            Form::Command,
            "[\"./api\", \"--shutdown\"]",
            "A command beside it, with its environment, working directory and account. It is killed with all it \
             started when `wait` is over. If it fails the next step follows at once. What it writes is in the \
             service's log, up to 256 KiB.",
        )
        .also(&["exec", "run", "cmd"]),
        Key::new(
            "http",
            Form::Url,
            "\"http://127.0.0.1:8080/shutdown\"",
            "An HTTP request without a body. An answer other than 200 to 399, or none, is a failure, and the next \
             step follows at once. A connection that is closed instead of an answer is none: the service ends.",
        )
        .also(&["url", "request"]),
        Key::new("method", Form::Text, "\"POST\"", "The method of `http`.").default("`\"POST\"`"),
        Key::new("kill", Form::Duration, "\"2s\"", "Ends the whole tree at once.").also(&["sigkill"]),
        Key::new(
            "wait",
            Form::Duration,
            "\"5s\"",
            "How long `signal`, `command` or `http` and its effect are waited for.",
        )
            .default("`\"5s\"`"),
    ],
};

const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// So many steps are enough for anybody.
const MAX_STEPS: usize = 20;

/// Reads how a service is stopped; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> StopPlan {
    let default = StopPlan::default();
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table").hint("write it like { timeout = \"30s\" }");
        return default;
    }
    let Some(mut reader) = Reader::open(cx, field, &STOP) else { return default };
    let timeout = reader.get("timeout");
    let deadline = timeout.and_then(|timeout| cx.duration(timeout, duration::SHORTEST..=duration::MAX));
    let steps = reader.get("steps").map(|steps| read_steps(cx, steps));
    reader.finish();
    match (steps, deadline) {
        (None, None) => default,
        (None, Some(deadline)) => fitted(deadline),
        (Some(steps), None) => {
            let all = steps.iter().map(|(step, _)| step.wait).sum::<Duration>();
            let steps = steps.into_iter().map(|(step, _)| step).collect();
            StopPlan { steps, timeout: all.max(default.timeout) }
        }
        (Some(steps), Some(deadline)) => {
            warn_of_unreached(cx, &steps, deadline);
            StopPlan { steps: steps.into_iter().map(|(step, _)| step).collect(), timeout: deadline }
        }
    }
}

/// The default steps in another time: in a longer one it is the program's own end that gets more of it.
fn fitted(timeout: Duration) -> StopPlan {
    let default = StopPlan::default();
    let mut steps = default.steps;
    if timeout >= default.timeout {
        if let Some(first) = steps.first_mut() {
            first.wait += timeout - default.timeout;
        }
    } else {
        for step in &mut steps {
            step.wait = step.wait.mul_f64(timeout.as_secs_f64() / default.timeout.as_secs_f64());
        }
    }
    StopPlan { steps, timeout }
}

fn read_steps(cx: &mut Context<'_>, field: Field<'_>) -> Vec<(StopStep, Span)> {
    let Some(items) = cx.items(field, "a list of steps") else { return Vec::new() };
    if items.len() > MAX_STEPS {
        cx.error(field.span(), format!("too many steps: {}", items.len()))
            .hint(format!("at most {MAX_STEPS} are accepted"));
        return Vec::new();
    }
    let steps: Vec<(StopStep, Span)> = items.iter().filter_map(|item| read_step(cx, field, item)).collect();
    let kill = steps.iter().position(|(step, _)| step.action == StopAction::Kill);
    if let Some((_, after)) = kill.and_then(|kill| steps.get(kill + 1)) {
        cx.warning(*after, "nothing is left for this step after `kill`").hint("make `kill` the last step");
    }
    steps
}

fn read_step(cx: &mut Context<'_>, list: Field<'_>, item: &Node) -> Option<(StopStep, Span)> {
    let field = list.part(item);
    if !matches!(item.value, Value::Table(_)) {
        cx.wrong_type(field, "a table for each step").hint("write it like { ctrl_c = \"5s\" }");
        return None;
    }
    let mut reader = Reader::open(cx, field, &STEP)?;
    let mut step = None;
    let wait = reader.get("wait");
    for (name, action) in [
        ("drain", StopAction::Drain),
        ("ctrl_c", StopAction::CtrlC),
        ("ctrl_break", StopAction::CtrlBreak),
        ("close_window", StopAction::CloseWindow),
        ("kill", StopAction::Kill),
    ] {
        if let Some(time) = reader.get(name) {
            let time = cx.duration(time, Duration::ZERO..=duration::MAX);
            step = step.or(time.map(|wait| StopStep { action, wait }));
        }
    }
    let (signal, command, http) = (reader.get("signal"), reader.get("command"), reader.get("http"));
    let method = reader.get("method");
    let waited = wait.map(|wait| cx.duration(wait, Duration::ZERO..=duration::MAX));
    if let Some(signal) = signal {
        let number = read_signal(cx, signal);
        if cx.around.system == System::Windows {
            cx.warning(signal.span(), "there are no signals on Windows: this step does nothing")
                .hint("use ctrl_c, which is SIGTERM on Linux and Ctrl+C on Windows");
        }
        let wait = waited.unwrap_or(Some(DEFAULT_WAIT));
        step = step
            .or(number.zip(wait).map(|(number, wait)| StopStep { action: StopAction::Signal(number), wait }));
    } else if let Some(command) = command {
        let wait = waited.unwrap_or(Some(DEFAULT_WAIT));
        let action = command::read(cx, command).map(StopAction::Command);
        step = step.or(action.zip(wait).map(|(action, wait)| StopStep { action, wait }));
    } else if let Some(http) = http {
        let wait = waited.unwrap_or(Some(DEFAULT_WAIT));
        let action = http_url::read_call(cx, http, method).map(StopAction::Http);
        step = step.or(action.zip(wait).map(|(action, wait)| StopStep { action, wait }));
    } else if let Some(wait) = wait {
        cx.error(wait.span(), "`wait` goes with `signal`, `command` and `http` only")
            .hint("the other steps take their time themselves: { ctrl_c = \"5s\" }");
    }
    if let (Some(method), None) = (method, http) {
        cx.error(method.span(), "`method` goes with `http` only").hint("leave it out");
    }
    reader.finish();
    step.map(|step| (step, item.span))
}

fn read_signal(cx: &mut Context<'_>, field: Field<'_>) -> Option<i32> {
    let hint = "write it like \"SIGINT\", or a number from 1 to 64";
    match &field.node.value {
        Value::Integer(_, Some(number)) if (1..=64).contains(number) => i32::try_from(*number).ok(),
        Value::Integer(written, _) => {
            let message = format!("there is no signal {written}");
            cx.error(field.span(), message).hint(hint);
            None
        }
        Value::Text(_) => {
            let text = cx.string(field, "a signal")?;
            let number = signal_number(&text.value);
            if number.is_none() {
                cx.error(field.span(), format!("there is no signal `{}`", text.value)).hint(hint);
            }
            number
        }
        _ => {
            cx.wrong_type(field, "a signal").hint(hint);
            None
        }
    }
}

fn warn_of_unreached(cx: &mut Context<'_>, steps: &[(StopStep, Span)], deadline: Duration) {
    let mut begins = Duration::ZERO;
    for (step, span) in steps {
        if begins >= deadline {
            let message =
                format!("this step is never reached: the timeout of {} is over", duration::show(deadline));
            cx.warning(*span, message).hint("make `timeout` longer, or the steps before it shorter");
            return;
        }
        begins += step.wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_alone_keeps_the_default_steps_in_proportion() {
        assert_eq!(fitted(Duration::from_secs(15)), StopPlan::default());
        let waits = |secs| fitted(Duration::from_secs(secs)).steps.iter().map(|s| s.wait).collect::<Vec<_>>();
        assert_eq!(waits(60), [Duration::from_secs(55), Duration::from_secs(3)]);
        assert_eq!(waits(3), [Duration::from_secs(2), Duration::from_millis(600)]);
    }
}
