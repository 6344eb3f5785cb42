//! What a process is given of the system: groups, priority, processors, umask, standard input.

use std::collections::BTreeSet;

use mainstay_core::Settings;

use super::{path, rights, rlimits, sandbox};
use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

/// The kernel can be built for so many processors.
const LAST_CPU: u32 = 8191;

/// Nice values by name, as Node's `os.constants.priority` has them: they are what Windows' classes are taken for.
const PRIORITIES: &[(&str, i8)] =
    &[("idle", 19), ("below_normal", 10), ("normal", 0), ("above_normal", -7), ("high", -14)];

pub(crate) const PRIORITY: Form = Form::Any(&[
    Form::Choice(&["idle", "below_normal", "normal", "above_normal", "high"]),
    Form::Number(-20, 19),
]);

pub(crate) const CPUS: Form = Form::Any(&[
    Form::Text,
    Form::Count(0, LAST_CPU),
    Form::List(&Form::Any(&[Form::Count(0, LAST_CPU), Form::Text])),
]);

pub(crate) const STDIN: Form = Form::Any(&[Form::Choice(&["null"]), Form::Section(&STDIN_FILE)]);

pub(crate) static STDIN_FILE: Section = Section {
    id: "stdin",
    title: "`stdin`",
    about: "What the process reads from standard input.",
    one_of: &[],
    keys: &[Key::new(
        "file",
        Form::Path,
        "\"commands.txt\"",
        "A file, opened for reading as the account of the service at each start. A named pipe (Linux) stays open \
         while nobody writes to it.",
    )
    .required()
    .also(&["path", "from"])],
};

/// The keys of a service that are read here.
pub(crate) fn read<'n>(
    cx: &mut Context<'_>,
    user: Option<&str>,
    mut get: impl FnMut(&'static str) -> Option<Field<'n>>,
) -> Settings {
    let group = get("group");
    let groups = get("supplementary_groups");
    let umask = get("umask");
    let limits = get("rlimits");
    let sandbox = get("sandbox");
    for field in [group, groups, umask, limits, sandbox].into_iter().flatten() {
        if cx.around.system == System::Windows {
            cx.warning(field.span(), format!("`{}` has no effect on Windows", field.key))
                .hint("it is checked and otherwise ignored");
        }
    }
    if let (Some(group), Some(user)) = (group, user)
        && user.contains(':')
    {
        cx.error(group.span(), format!("`user` names a group already: {user}")).hint("keep one of them");
    }
    let privileges = get("privileges").and_then(|privileges| rights::privileges(cx, privileges));
    let integrity = get("integrity").and_then(|level| rights::integrity(cx, level));
    let settings = Settings {
        group: group.and_then(|group| name(cx, group)),
        supplementary_groups: groups.and_then(|groups| {
            let items = cx.items(groups, "a list of names of groups, like [\"video\"]")?;
            Some(items.iter().filter_map(|item| name(cx, groups.part(item))).collect())
        }),
        nice: get("priority").and_then(|priority| nice(cx, priority)),
        cpus: get("cpu_affinity").map(|cpus| read_cpus(cx, cpus)).unwrap_or_default(),
        rlimits: limits.map(|limits| rlimits::read(cx, limits)).unwrap_or_default(),
        umask: umask.and_then(|umask| read_umask(cx, umask)),
        stdin: get("stdin").and_then(|stdin| read_stdin(cx, stdin)),
        sandbox: sandbox.and_then(|sandbox| sandbox::read(cx, sandbox)),
        privileges,
        integrity,
    };
    match cx.around.system {
        System::Linux => settings,
        System::Windows => Settings {
            nice: settings.nice,
            cpus: settings.cpus,
            stdin: settings.stdin,
            privileges: settings.privileges,
            integrity: settings.integrity,
            ..Settings::default()
        },
    }
}

/// Whether there is such a group only the machine it runs on knows.
fn name(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "the name of a group")?;
    if text.value.trim().is_empty() {
        cx.error(field.span(), format!("`{}` has an empty name", field.key));
        return None;
    }
    Some(text.value)
}

fn nice(cx: &mut Context<'_>, field: Field<'_>) -> Option<i8> {
    let Value::Integer(written, number) = &field.node.value else {
        return cx.choice(field, PRIORITIES);
    };
    let fits = number.and_then(|n| i8::try_from(n).ok()).filter(|n| (-20..=19).contains(n));
    if fits.is_none() {
        cx.error(field.span(), format!("`{}` cannot be {written}", field.key))
            .hint("-20 (first of all) to 19 (after all others) are accepted");
    }
    fits
}

fn read_cpus(cx: &mut Context<'_>, field: Field<'_>) -> Vec<u16> {
    let mut all = BTreeSet::new();
    match &field.node.value {
        Value::List(items) => items.iter().for_each(|item| add_cpus(cx, field.part(item), &mut all)),
        _ => add_cpus(cx, field, &mut all),
    }
    if let Value::List(items) = &field.node.value
        && items.is_empty()
    {
        cx.error(field.span(), format!("`{}` is empty", field.key))
            .hint("leave the key out for all processors");
    }
    all.into_iter().collect()
}

fn add_cpus(cx: &mut Context<'_>, field: Field<'_>, all: &mut BTreeSet<u16>) {
    let hint = "write it like \"0-3,6\" or [0, 1, \"4-7\"]; the first processor is 0";
    match &field.node.value {
        Value::Integer(..) => {
            all.extend(cx.count(field, 0, LAST_CPU).and_then(|cpu| u16::try_from(cpu).ok()));
        }
        Value::Text(_) => {
            let Some(text) = cx.string(field, "numbers of processors") else { return };
            for part in text.value.split(',') {
                match range(part.trim()) {
                    Some((first, last)) => all.extend(first..=last),
                    None => {
                        cx.error(field.span(), format!("`{}` are no processors", part.trim())).hint(hint);
                    }
                }
            }
        }
        _ => {
            cx.wrong_type(field, "numbers of processors").hint(hint);
        }
    }
}

/// `3` or `0-3`.
fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && u32::from(*number) <= LAST_CPU)
    };
    match text.split_once('-') {
        None => number(text).map(|number| (number, number)),
        Some((first, last)) => {
            let (first, last) = (number(first.trim())?, number(last.trim())?);
            (first <= last).then_some((first, last))
        }
    }
}

fn read_umask(cx: &mut Context<'_>, field: Field<'_>) -> Option<u32> {
    let hint =
        "write octal digits in quotes: \"027\" takes writing from the group and everything from others";
    octal(cx, field, ("umask", 0o777), hint)
}

/// Octal digits in quotes, for something with a name up to a number.
pub(super) fn octal(
    cx: &mut Context<'_>,
    field: Field<'_>,
    (what, most): (&str, u32),
    hint: &str,
) -> Option<u32> {
    if !matches!(field.node.value, Value::Text(_)) {
        cx.wrong_type(field, "octal digits in quotes").hint(hint);
        return None;
    }
    let text = cx.string(field, "octal digits in quotes")?;
    let digits = text.value.strip_prefix("0o").unwrap_or(&text.value);
    let fits = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| fits && *bits <= most);
    if bits.is_none() {
        cx.error(field.span(), format!("`{}` is no {what}", text.value)).hint(hint);
    }
    bits
}

/// None for the null device, and where something is wrong.
fn read_stdin(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    match &field.node.value {
        Value::Table(_) => {
            let mut reader = Reader::open(cx, field, &STDIN_FILE)?;
            let file = reader.required(cx, "file");
            let path = file.and_then(|file| path::read(cx, file));
            reader.finish();
            path::text(&path?)
        }
        Value::Text(_) => {
            let text = cx.string(field, "\"null\" or a table")?;
            if text.value != "null" {
                cx.error(field.span(), format!("`{}` cannot be \"{}\"", field.key, text.value))
                    .hint("write { file = \"…\" } for a file, or \"null\" for nothing at all");
            }
            None
        }
        _ => {
            cx.wrong_type(field, "\"null\" or a table").hint("write it like { file = \"commands.txt\" }");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_processors() {
        for (text, wanted) in [
            ("0", Some((0, 0))),
            ("0-3", Some((0, 3))),
            ("4 - 7", Some((4, 7))),
            ("8191", Some((8191, 8191))),
            ("8192", None),
            ("3-0", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1-", None),
            ("a", None),
        ] {
            assert_eq!(range(text), wanted, "{text}");
        }
    }
}
