//! `secrets`: where the values of secrets are read from.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{SecretSource, is_secret_name};

use super::{command, duration, path};
use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, MapKey, Section};
use crate::nearest::nearest;
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Map(MapKey::Secret, &Form::Section(&SECRET));

pub(crate) static SECRET: Section = Section {
    id: "secret",
    title: "a secret",
    about: "Where the value of a secret is read from, before each start of a service that uses it. It is text without \
            NUL characters, at most 32 KiB; the line end at its end is no part of it.",
    one_of: SOURCES,
    keys: &[
        Key::new(
            "file",
            Form::Path,
            "\"secrets/db\"",
            "A file. It is refused if anybody but Mainstay's account (and root, or SYSTEM and administrators) can read \
             it.",
        )
        .also(&["path"]),
        Key::new(
            "credential",
            Form::Text,
            "\"db-password\"",
            "A credential that systemd hands to the unit: `LoadCredential=`, `LoadCredentialEncrypted=`, \
             `SetCredential=`. Linux.",
        )
        .also(&["systemd"]),
        Key::new(
            "dpapi",
            Form::Path,
            "\"secrets/db.dpapi\"",
            "A file that Windows' data protection has encrypted: by `mainstay secret set`, or by PowerShell's \
             `ConvertFrom-SecureString`. Windows.",
        ),
        Key::new("age", Form::Path, "\"secrets/db.age\"", "A file that `age` or `rage` has encrypted."),
        Key::new(
            "command",
            Form::Command,
            "[\"pass\", \"show\", \"shop/db\"]",
            "A command that writes it to standard output, run as Mainstay's own account. Nothing that it writes is logged.",
        )
        .also(&["cmd", "exec"]),
        Key::new("identity", Form::Path, "\"/etc/mainstay/age.key\"", "With `age`: the file of the private key."),
        Key::new("program", Form::Text, "\"rage\"", "With `age`: the program that decrypts it.").default("`\"age\"`"),
        Key::new(
            "timeout",
            Form::Duration,
            "\"5s\"",
            "With `command`: it is killed with all it started after this time, and the secret cannot be read.",
        )
        .default("`\"10s\"`"),
    ],
};

const SOURCES: &[&str] = &["file", "credential", "dpapi", "age", "command"];

/// Keys that belong to one source only.
const OF: [(&str, &str); 3] = [("identity", "age"), ("program", "age"), ("timeout", "command")];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// A start waits for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Reads the table; what is wrong is left out.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> BTreeMap<String, SecretSource> {
    let mut sources = BTreeMap::new();
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table").hint("write it like { db_password = { file = \"secrets/db\" } }");
        return sources;
    };
    for entry in entries {
        if !is_secret_name(&entry.key) {
            cx.error(entry.key_span, format!("`{}` is not the name of a secret", entry.key))
                .hint("names have letters, digits, `_` and `-`, at most 64");
            continue;
        }
        if matches!(entry.value.value, Value::Text(_)) {
            // Perhaps somebody has written the value itself.
            cx.error(
                entry.value.span,
                format!("`{}`: expected a table that says where the value is", entry.key),
            )
            .hint(
                "write { file = \"…\" }, never the value itself; or `mainstay secret set` and leave this out",
            );
            continue;
        }
        let source = read_one(cx, Field { key: &entry.key, node: &entry.value });
        sources.extend(source.map(|source| (entry.key.clone(), source)));
    }
    sources
}

fn read_one(cx: &mut Context<'_>, field: Field<'_>) -> Option<SecretSource> {
    let mut reader = Reader::open(cx, field, &SECRET)?;
    let given: Vec<Field<'_>> = SOURCES.iter().filter_map(|name| reader.get(name)).collect();
    let kind = given.first().map_or("", |field| field.key);
    let (identity, program, timeout) = (reader.get("identity"), reader.get("program"), reader.get("timeout"));
    reader.finish();
    for (extra, (name, of)) in [identity, program, timeout].into_iter().zip(OF) {
        if let Some(extra) = extra.filter(|_| !kind.is_empty() && kind != of) {
            cx.error(extra.span(), format!("`{name}` means nothing for `{kind}`"))
                .hint(format!("it belongs to `{of}`; leave it out"));
        }
    }
    let source = *given.first()?;
    let system = cx.around.system;
    if let ("credential", System::Windows) | ("dpapi", System::Linux) = (kind, system) {
        cx.warning(source.span(), format!("`{kind}` gives no value on this system"))
            .hint("a `file` does on every one, and so does the stack's store if this line is left out");
    }
    let file = |cx: &mut Context<'_>, field| path::read(cx, field).as_deref().and_then(path::text);
    Some(match kind {
        "file" => SecretSource::File { path: file(cx, source)? },
        "dpapi" => SecretSource::Dpapi { path: file(cx, source)? },
        "credential" => {
            let name = cx.string(source, "the name of a credential")?;
            if name.value.is_empty() || name.value.contains(['/', '\\']) || name.value.starts_with('.') {
                cx.error(source.span(), format!("`{}` is not the name of a credential", name.value))
                    .hint("it is what stands before the colon in LoadCredential=");
                return None;
            }
            SecretSource::Credential { name: name.value }
        }
        "age" => {
            let Some(identity) = identity else {
                cx.error(source.span(), "`age` needs its `identity`, the file of the private key")
                    .hint("write identity = \"/etc/mainstay/age.key\"; `age-keygen -o` makes one");
                return None;
            };
            let program = match program {
                Some(program) => cx.string(program, "the name of a program")?.value,
                None => "age".to_owned(),
            };
            SecretSource::Age { path: file(cx, source)?, identity: file(cx, identity)?, program }
        }
        _ => {
            let longest = duration::SHORTEST..=LONGEST_TIMEOUT;
            let timeout = timeout.and_then(|timeout| cx.duration(timeout, longest));
            SecretSource::Command {
                command: command::read(cx, source)?,
                timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            }
        }
    })
}

/// Tells of references that probably mean another secret: one without a line in the table is looked for in the store.
pub(crate) fn check_names(cx: &mut Context<'_>, sources: &BTreeMap<String, SecretSource>) {
    for (name, span) in std::mem::take(&mut cx.secrets) {
        if sources.contains_key(&name) {
            continue;
        }
        if let Some(near) = nearest(&name, sources.keys().map(String::as_str)) {
            cx.warning(
                span,
                format!("`secrets` has no `{name}`, so it is looked for in the stack's own store"),
            )
            .hint(format!("did you mean `{near}`?"));
        }
    }
}
