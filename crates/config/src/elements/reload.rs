//! `reload`: how a changed configuration is applied.

use std::time::Duration;

use mainstay_core::reload::ReloadSettings;

use super::duration;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;

pub(crate) static RELOAD: Section = Section {
    id: "reload",
    title: "`reload`",
    about: "How `mainstay apply` brings a stack that is up to what its configuration says by then.",
    one_of: &[],
    keys: &[
        Key::new(
            "at_once",
            Form::Count(1, MAX_AT_ONCE),
            "3",
            "At most so many services are restarted or started at a time; each after what it depends on.",
        )
        .default("`1`")
        .also(&["parallel", "parallelism", "max_unavailable"]),
        Key::new(
            "timeout",
            Form::Duration,
            "\"1m\"",
            "A service that was restarted or started has to be up in this time, or everything goes back to the \
             configuration before. The time that its stop may take comes on top.",
        )
        .default("`\"1m\"`"),
        Key::new(
            "settle",
            Form::Duration,
            "\"1s\"",
            "A service without a `ready` probe has to run for so long before it counts as up.",
        )
        .default("`\"1s\"`")
        .also(&["min_ready"]),
        Key::new(
            "watch",
            Form::Truth,
            "true",
            "Whether a change of the configuration's files, and of what they name, is applied by itself.",
        )
        .default("`false`: with `mainstay apply`")
        .also(&["auto", "on_change"]),
        Key::new(
            "quiet",
            Form::Duration,
            "\"500ms\"",
            "With `watch`: the files have to stay as they are for so long before they are read.",
        )
        .default("`\"500ms\"`")
        .also(&["debounce"]),
        Key::new(
            "longest_wait",
            Form::Duration,
            "\"10s\"",
            "With `watch`: they are read after this time, however often they change.",
        )
        .default("`\"10s\"`")
        .also(&["max_wait"]),
        Key::new(
            "splay",
            Form::Duration,
            "\"30s\"",
            "With `watch`: a part of this time more, by chance, is waited for, so that many machines which read the same \
             files do not all change at once.",
        )
        .default("`\"0s\"`")
        .also(&["jitter", "random_delay"]),
    ],
};

const MAX_AT_ONCE: u32 = 1_000;

/// Reads the settings; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> ReloadSettings {
    let mut settings = ReloadSettings::default();
    let Some(mut reader) = Reader::open(cx, field, &RELOAD) else { return settings };
    if let Some(at_once) = reader.get("at_once") {
        settings.at_once = cx.count(at_once, 1, MAX_AT_ONCE).unwrap_or(settings.at_once);
    }
    if let Some(timeout) = reader.get("timeout") {
        let times = duration::SHORTEST..=duration::MAX;
        settings.timeout = cx.duration(timeout, times).unwrap_or(settings.timeout);
    }
    if let Some(settle) = reader.get("settle") {
        let times = Duration::ZERO..=duration::MAX;
        settings.settle = cx.duration(settle, times).unwrap_or(settings.settle);
    }
    if let Some(watch) = reader.get("watch") {
        settings.watch = super::check::truth(cx, watch).unwrap_or_default();
    }
    if let Some(quiet) = reader.get("quiet") {
        let times = Duration::ZERO..=duration::MAX;
        settings.quiet = cx.duration(quiet, times).unwrap_or(settings.quiet);
    }
    if let Some(longest) = reader.get("longest_wait") {
        let times = duration::SHORTEST..=duration::MAX;
        settings.longest_wait = cx.duration(longest, times).unwrap_or(settings.longest_wait);
    }
    if let Some(splay) = reader.get("splay") {
        let times = Duration::ZERO..=duration::MAX;
        settings.splay = cx.duration(splay, times).unwrap_or(settings.splay);
    }
    reader.finish();
    settings
}
