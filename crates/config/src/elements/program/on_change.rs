//! `on_change`: what follows when the files of a program change.

use mainstay_core::{OnChange, StopAction};

use crate::System;
use crate::context::{Context, Field};
use crate::elements::{command, http_url};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) static ON_CHANGE: Section = Section {
    id: "on_change",
    title: "`on_change`",
    about: "How the program is told: exactly one of `signal`, `command`, `http`, `event` and `control`.",
    one_of: &["signal", "command", "http", "event", "control"],
    keys: &[
        Key::new(
            "signal",
            Form::Text,
            "\"SIGHUP\"",
            "Sent to its main process: a Linux signal by name or number; `ctrl_break` on Windows. Where there is no such \
             signal the service is restarted instead.",
        )
        .also(&["sig"]),
        Key::new(
            "command",
            Form::Command,
            "[\"./api\", \"reload\"]",
            "Run beside it, with its environment, working directory and account.",
        )
        .also(&["cmd", "exec", "run"]),
        Key::new(
            "http",
            Form::Url,
            "\"http://127.0.0.1:8080/reload\"",
            "A request is made, which `unix:` and `pipe:` can lead elsewhere as for probes. Answers of 200 to 399 are good.",
        )
        .also(&["url", "request"]),
        Key::new("method", Form::Text, "\"PUT\"", "The method of `http`.").default("`\"POST\"`"),
        Key::new(
            "event",
            Form::Text,
            "'Global\\api-reload'",
            "Sets the event of this name, which the program has made. Windows; elsewhere the service is restarted.",
        ),
        Key::new(
            "control",
            Form::Count(128, 255),
            "200",
            "Sends this code to the Windows service named by `service`. Windows; elsewhere the service is restarted.",
        ),
        Key::new("service", Form::Text, "\"Api\"", "The Windows service that `control` is sent to."),
    ],
};

pub(super) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<OnChange> {
    if !matches!(field.node.value, Value::Table(_)) {
        return match cx.choice(field, &[("restart", true), ("nothing", false)])? {
            true => Some(OnChange::Restart),
            false => Some(OnChange::Nothing),
        };
    }
    let mut reader = Reader::open(cx, field, &ON_CHANGE)?;
    let (signal, words) = (reader.get("signal"), reader.get("command"));
    let (http, method) = (reader.get("http"), reader.get("method"));
    let (event, control) = (reader.get("event"), reader.get("control"));
    let service = reader.get("service");
    reader.finish();
    for (extra, of, name) in [(method, http, "http"), (service, control, "control")] {
        if let (Some(extra), None) = (extra, of) {
            cx.error(extra.span(), format!("`{}` goes with `{name}` only", extra.key)).hint("leave it out");
        }
    }
    if let Some(signal) = signal {
        return read_signal(cx, signal);
    }
    if let Some(words) = words {
        return command::read(cx, words).map(OnChange::Command);
    }
    if let Some(http) = http {
        return http_url::read_call(cx, http, method).map(OnChange::Http);
    }
    let (change, place) = if let Some(event) = event {
        (cx.string(event, "the name of an event").map(|name| OnChange::Event(name.value)), event)
    } else {
        let control = control?;
        let code = cx.count(control, 128, 255).and_then(|code| u8::try_from(code).ok());
        let Some(service) = service else {
            cx.error(control.span(), "`control` needs the Windows service that it is sent to")
                .hint("write service = \"Api\" beside it; `sc query` names them");
            return None;
        };
        let service = cx.string(service, "the name of a Windows service").map(|text| text.value);
        (code.zip(service).map(|(code, service)| OnChange::Control { service, code }), control)
    };
    if cx.around.system == System::Windows {
        return change;
    }
    cx.warning(place.span(), format!("`{}` is a thing of Windows: the service is restarted here", place.key))
        .hint("a `signal`, `command` or `http` request tells it here");
    change.map(|_| OnChange::Restart)
}

/// A signal of this system; where it is one of the other, the service is restarted.
fn read_signal(cx: &mut Context<'_>, field: Field<'_>) -> Option<OnChange> {
    let text = match &field.node.value {
        Value::Integer(written, _) => written.clone(),
        _ => cx.string(field, "a signal")?.value,
    };
    let on_windows = cx.around.system == System::Windows;
    match StopAction::by_hand(&text, on_windows) {
        Ok(action) => Some(OnChange::Signal(action)),
        Err((message, _)) if StopAction::by_hand(&text, !on_windows).is_ok() => {
            cx.warning(field.span(), format!("{message}: the service is restarted instead"))
                .hint("`http`, `command` and `event` tell it without");
            Some(OnChange::Restart)
        }
        Err((message, hint)) => {
            cx.error(field.span(), message).hint(hint);
            None
        }
    }
}
