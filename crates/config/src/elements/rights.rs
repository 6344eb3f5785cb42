//! `privileges` and `integrity`: what a service is given less of than its account has, on Windows.

use mainstay_core::{Integrity, PRIVILEGES, Privileges};

use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::nearest::nearest;
use crate::reader::Reader;

pub(crate) const PRIVILEGES_FORM: Form = Form::Section(&PRIVILEGES_SECTION);
pub(crate) const INTEGRITY: Form = Form::Choice(&["low", "medium", "high", "system"]);

const NAMES: Form = Form::List(&Form::Choice(&PRIVILEGES));

static PRIVILEGES_SECTION: Section = Section {
    id: "privileges",
    title: "`privileges`",
    about: "The privileges of its account that a service goes without, with its hooks, exec probes and stop commands; \
            docs/security.md has more. Windows.",
    one_of: &["remove", "keep"],
    keys: &[
        Key::new("remove", NAMES, "[\"SeDebugPrivilege\", \"SeShutdownPrivilege\"]", "It has all but these.")
            .also(&["drop", "without"]),
        Key::new(
            "keep",
            NAMES,
            "[\"SeImpersonatePrivilege\"]",
            "It has none but these, and of them those that its account has. `SeChangeNotifyPrivilege`, without which hardly \
             a program finds its files, is always kept.",
        )
        .also(&["only", "required"]),
    ],
};

/// What Linux has instead of a key of Windows; an error, since what it takes away would be there.
pub(crate) fn refuse_on_linux(cx: &mut Context<'_>, field: Field<'_>, instead: &str) -> bool {
    let refused = cx.around.system == System::Linux;
    if refused {
        cx.error(field.span(), format!("`{}` is a setting of Windows", field.key)).hint(instead);
    }
    refused
}

pub(crate) fn privileges(cx: &mut Context<'_>, field: Field<'_>) -> Option<Privileges> {
    let mut reader = Reader::open(cx, field, &PRIVILEGES_SECTION)?;
    let (remove, keep) = (reader.get("remove"), reader.get("keep"));
    reader.finish();
    // That it is one of them the reader has told.
    let keep = keep.and_then(|keep| names(cx, keep)).map(Privileges::Keep);
    let read = remove.and_then(|remove| names(cx, remove)).map(Privileges::Remove).or(keep);
    let instead = "on Linux a service goes without capabilities: sandbox = { capabilities = [] }";
    if refuse_on_linux(cx, field, instead) { None } else { read }
}

fn names(cx: &mut Context<'_>, field: Field<'_>) -> Option<Vec<String>> {
    let items = cx.items(field, "a list of privileges, like [\"SeDebugPrivilege\"]")?;
    Some(items.iter().filter_map(|item| name(cx, field.part(item))).collect())
}

/// One of Windows' names, as Windows writes it.
fn name(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "the name of a privilege")?;
    let known = PRIVILEGES.into_iter().find(|known| known.eq_ignore_ascii_case(&text.value));
    if known.is_none() {
        let hint = match nearest(&text.value, PRIVILEGES) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if text.value.ends_with("Right") => {
                "that is a right to log on, which an account has or has not".to_owned()
            }
            None => {
                "`whoami /priv` lists those of an account: SeDebugPrivilege, SeShutdownPrivilege …".to_owned()
            }
        };
        cx.error(field.span(), format!("no privilege is called `{}`", text.value)).hint(hint);
    }
    known.map(str::to_owned)
}

pub(crate) fn integrity(cx: &mut Context<'_>, field: Field<'_>) -> Option<Integrity> {
    let level = cx.choice(field, &Integrity::ALL.map(|level| (level.as_str(), level)));
    let instead = "Linux has no such levels; `sandbox` has `protect_system` and `no_new_privileges`";
    if refuse_on_linux(cx, field, instead) { None } else { level }
}
