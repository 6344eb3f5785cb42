//! `hooks`: commands at the moments of a service's life.

use std::time::Duration;

use mainstay_core::{Hook, HookMoment, Hooks};

use super::{check, command, duration};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&HOOKS);

const HOOK_FORM: Form = Form::Any(&[Form::Command, Form::Section(&HOOK)]);
const AGAIN: Form = Form::Any(&[Form::Command, Form::Like(&HOOK)]);

pub(crate) static HOOKS: Section = Section {
    id: "hooks",
    title: "`hooks`",
    about: "Commands that are run beside the service at the moments of its life, with its environment, working \
            directory and account, and variables that say what happened. One of a service runs at a time. `docs/hooks.md` \
            has more.",
    one_of: &[],
    keys: &[
        Key::new(
            "before_start",
            HOOK_FORM,
            "[\"./api\", \"migrate\"]",
            "Before each start. The process is made only after it; its failure is a failed start.",
        )
        .also(&["pre_start", "exec_start_pre", "prestart", "before"]),
        Key::new(
            "after_ready",
            AGAIN,
            "[\"./register\"]",
            "When a run is up for the first time: ready, or running if there is no `ready` probe.",
        )
        .also(&["post_start", "exec_start_post", "poststart", "after_start"]),
        Key::new(
            "before_stop",
            AGAIN,
            "[\"./unregister\"]",
            "Before Mainstay ends a run whose program is there, whatever for. The stop waits for its end, and begins then \
             with the first of its steps and all of its time.",
        )
        .also(&["pre_stop", "exec_stop", "prestop"]),
        Key::new(
            "after_exit",
            AGAIN,
            "[\"./clean-up\"]",
            "When nothing of a run is left, however it ended. The next start waits for it.",
        )
        .also(&["post_stop", "exec_stop_post", "poststop", "after_stop", "on_exit"]),
        Key::new(
            "on_failure",
            AGAIN,
            "{ command = [\"./alarm\"], timeout = \"10s\" }",
            "After an end that nobody asked for and that was no success: a crash, a failed probe, a start that did not \
             come about.",
        )
        .also(&["failure", "on_crash", "failure_command"]),
        Key::new(
            "on_rotation",
            AGAIN,
            "[\"./ship-log\"]",
            "When a file of the service's log was closed: for its size, its age, or because somebody wanted it. Which, stands \
             in the hook's environment. It is not compressed before the hook has ended.",
        )
        .also(&["post_rotate", "rotate_post", "after_rotation", "on_rotate"]),
        Key::new(
            "on_power",
            AGAIN,
            "[\"./power\"]",
            "When the machine is about to sleep, is awake again, or runs on another source of power, while the service \
             runs (Windows, as a native service).",
        )
        .also(&["power_change", "on_suspend", "on_resume"]),
        Key::new(
            "on_session",
            AGAIN,
            "[\"./session\"]",
            "When somebody signs in or out, locks or unlocks the screen, or a session is connected or disconnected, while \
             the service runs (Windows, as a native service).",
        )
        .also(&["session_change", "on_logon", "on_logoff"]),
    ],
};

pub(crate) static HOOK: Section = Section {
    id: "hook",
    title: "a hook",
    about: "A command, with more than its words.",
    one_of: &[],
    keys: &[
        Key::new("command", Form::Command, "[\"./api\", \"migrate\"]", "The program and its arguments.")
            .required()
            .also(&["cmd", "exec", "run"]),
        Key::new(
            "timeout",
            Form::Duration,
            "\"30s\"",
            "It is killed with all it started after this time, which counts as its failure.",
        )
        .default("`\"1m\"`"),
        Key::new(
            "required",
            Form::Truth,
            "false",
            "Whether a failure of `before_start` keeps the service from starting. If not, it is only told.",
        )
        .default("`true`")
        .also(&["must_succeed"]),
    ],
};

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads the hooks of a service; what is wrong is left out.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Hooks {
    let mut hooks = Hooks::default();
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table").hint("write it like { before_start = [\"./api\", \"migrate\"] }");
        return hooks;
    }
    let Some(mut reader) = Reader::open(cx, field, &HOOKS) else { return hooks };
    for moment in HookMoment::ALL {
        hooks.set(moment, reader.get(moment.as_str()).and_then(|hook| read_one(cx, hook, moment)));
    }
    reader.finish();
    hooks
}

fn read_one(cx: &mut Context<'_>, field: Field<'_>, moment: HookMoment) -> Option<Hook> {
    if !matches!(field.node.value, Value::Table(_)) {
        let command = command::read(cx, field)?;
        return Some(Hook { command, timeout: DEFAULT_TIMEOUT, required: true });
    }
    let mut reader = Reader::open(cx, field, &HOOK)?;
    let command = reader.required(cx, "command");
    let timeout = reader.get("timeout");
    let required = reader.get("required");
    if let Some(required) = required
        && moment != HookMoment::BeforeStart
    {
        cx.warning(required.span(), "`required` has a meaning for `before_start` only").hint("leave it out");
    }
    let hook = Hook {
        command: command.and_then(|command| command::read(cx, command)).unwrap_or_default(),
        timeout: timeout
            .and_then(|timeout| cx.duration(timeout, duration::SHORTEST..=duration::MAX))
            .unwrap_or(DEFAULT_TIMEOUT),
        required: required.and_then(|required| check::truth(cx, required)).unwrap_or(true),
    };
    reader.finish();
    Some(hook)
}
