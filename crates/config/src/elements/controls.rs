//! `controls`: what codes of the service manager mean to a service.

use std::collections::BTreeMap;

use mainstay_core::{ControlAction, Hook, StopAction};

use super::{command, duration, hooks};
use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, MapKey, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form =
    Form::Map(MapKey::Control, &Form::Any(&[Form::Choice(&["rotate"]), Form::Section(&CONTROL)]));

const ACTIONS: &[&str] = &["signal", "command"];

pub(crate) static CONTROL: Section = Section {
    id: "control",
    title: "a control",
    about: "What a code means: exactly one of `signal` and `command`.",
    one_of: ACTIONS,
    keys: &[
        Key::new(
            "signal",
            Form::Text,
            "\"SIGHUP\"",
            "Sent to its tree: a Linux signal by name or number; `ctrl_c`, `ctrl_break`, `close_window` or `kill` on \
             Windows. One of the other system does nothing.",
        )
        .also(&["sig"]),
        Key::new(
            "command",
            Form::Command,
            "[\"./api\", \"--dump\"]",
            "Run beside it, with its environment, working directory and account, and the code in `MAINSTAY_CONTROL`.",
        )
        .also(&["cmd", "exec", "run"]),
        Key::new("timeout", Form::Duration, "\"30s\"", "`command` is killed with all it started after this time.")
            .default("`\"1m\"`"),
    ],
};

/// Reads what codes mean; what is wrong is left out.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> BTreeMap<u8, ControlAction> {
    let mut controls = BTreeMap::new();
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table")
            .hint("write it like { 128 = \"rotate\", 129 = { signal = \"SIGHUP\" } }");
        return controls;
    };
    for entry in entries {
        let Some(code) = entry.key.parse::<u8>().ok().filter(|code| *code >= 128) else {
            cx.error(entry.key_span, format!("`{}` is no code of a control", entry.key))
                .hint("codes are numbers from 128 to 255; `sc control NAME 128` sends one");
            continue;
        };
        let action = read_one(cx, Field { key: &entry.key, node: &entry.value });
        controls.extend(action.map(|action| (code, action)));
    }
    controls
}

fn read_one(cx: &mut Context<'_>, field: Field<'_>) -> Option<ControlAction> {
    if !matches!(field.node.value, Value::Table(_)) {
        return cx.choice(field, &[("rotate", ())]).map(|()| ControlAction::Rotate);
    }
    let mut reader = Reader::open(cx, field, &CONTROL)?;
    let (signal, words, timeout) = (reader.get("signal"), reader.get("command"), reader.get("timeout"));
    let limit = timeout.and_then(|timeout| cx.duration(timeout, duration::SHORTEST..=duration::MAX));
    if let (Some(timeout), None) = (timeout, words) {
        cx.error(timeout.span(), "`timeout` goes with `command` only").hint("leave it out");
    }
    let action = match (signal, words) {
        (Some(signal), _) => read_signal(cx, signal).map(ControlAction::Signal),
        (None, Some(words)) => command::read(cx, words).map(|command| {
            let timeout = limit.unwrap_or(hooks::DEFAULT_TIMEOUT);
            ControlAction::Command(Hook { command, timeout, required: true })
        }),
        (None, None) => None,
    };
    reader.finish();
    action
}

/// A signal of this system; one of the other is only warned of, since the same file may serve there.
fn read_signal(cx: &mut Context<'_>, field: Field<'_>) -> Option<StopAction> {
    let text = match &field.node.value {
        Value::Integer(written, _) => written.clone(),
        _ => cx.string(field, "a signal")?.value,
    };
    let on_windows = cx.around.system == System::Windows;
    match StopAction::by_hand(&text, on_windows) {
        Ok(action) => Some(action),
        Err((message, hint)) if StopAction::by_hand(&text, !on_windows).is_ok() => {
            cx.warning(field.span(), format!("{message}: this control does nothing here")).hint(hint);
            None
        }
        Err((message, hint)) => {
            cx.error(field.span(), message).hint(hint);
            None
        }
    }
}
