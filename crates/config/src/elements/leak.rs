//! `leak`: what follows when a service's memory and the like grow without end.

use mainstay_core::{DailyWindow, LeakAction};

use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

const ACTIONS: &[(&str, LeakAction)] = &[("tell", LeakAction::Tell), ("restart", LeakAction::Restart)];
const ACTION_FORM: Form = Form::Choice(&["tell", "restart"]);

pub(crate) const FORM: Form = Form::Any(&[ACTION_FORM, Form::Section(&LEAK)]);

pub(crate) static LEAK: Section = Section {
    id: "leak",
    title: "`leak`",
    about: "What follows when its memory, handles, threads or processes grow without end (docs/leaks.md). \
            `leak = \"restart\"` is short for `leak = { action = \"restart\" }`.",
    one_of: &[],
    keys: &[
        Key::new(
            "action",
            ACTION_FORM,
            "\"restart\"",
            "`tell`: an event says so. `restart`: it is restarted as well, by its `stop` steps, of which `drain` may be \
             the first.",
        )
        .default("`\"tell\"`, or `\"restart\"` with a `window`")
        .also(&["mode"]),
        Key::new(
            "window",
            Form::Text,
            "\"02:00-04:00\"",
            "It is restarted only at this time of the day, on the machine's clocks. Over midnight if the end is before \
             the begin.",
        )
        .default("none: it is restarted at once")
        .also(&["maintenance_window", "maintenance", "at"]),
    ],
};

/// Reads it; what is wrong is only told.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> LeakAction {
    if !matches!(field.node.value, Value::Table(_)) {
        return cx.choice(field, ACTIONS).unwrap_or_default();
    }
    let Some(mut reader) = Reader::open(cx, field, &LEAK) else { return LeakAction::default() };
    let (action, window) = (reader.get("action"), reader.get("window"));
    let chosen = action.map(|action| cx.choice(action, ACTIONS).unwrap_or_default());
    let wanted = window.and_then(|window| read_window(cx, window));
    if let (Some(window), Some(LeakAction::Tell)) = (window, chosen) {
        cx.error(window.span(), "`window` is for restarts only, and nothing is restarted here")
            .hint("write action = \"restart\", or leave `window` out");
    }
    reader.finish();
    match (chosen, wanted) {
        (_, Some(window)) => LeakAction::RestartIn(window),
        (action, None) => action.unwrap_or_default(),
    }
}

fn read_window(cx: &mut Context<'_>, field: Field<'_>) -> Option<DailyWindow> {
    let text = cx.string(field, "a time of the day such as \"02:00-04:00\"")?;
    let window = text.value.parse().ok();
    if window.is_none() {
        cx.error(field.span(), format!("`{}` is no time of the day", text.value))
            .hint("write begin and end with hours and minutes: \"02:00-04:00\"");
    }
    window
}
