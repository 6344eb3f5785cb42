//! The files of a program: where they are, whose they are, and what their templates make.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_core::{ConfigFile, SecretText, dynamic_user};

use super::Of;
use crate::context::{Context, Field, Problem};
use crate::elements::{command, path, process};
use crate::expand::{self, Var};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::rendering::{self, Known, Mistake};
use crate::source::{Origin, Shown, Span};
use crate::value::Value;

/// So many files of one service.
const MAX_FILES: usize = 100;

pub(crate) static FILE: Section = Section {
    id: "program_file",
    title: "a file of `config`",
    about: "One file. Its previous version is kept beside it, as `PATH.previous`.",
    one_of: &["template", "text"],
    keys: &[
        Key::new(
            "path",
            Form::Path,
            "\"etc/api.json\"",
            "Where it is. A relative path starts at the service's `working_dir`. Instances need `${INSTANCE}` in it.",
        )
        .required()
        .also(&["file", "to", "target", "dest", "destination"]),
        Key::new(
            "template",
            Form::Path,
            "\"api.env\"",
            "The file with its template. A relative path starts at the configuration file's directory. With \
             `reload.watch` its changes are taken over by themselves.",
        )
        .also(&["from", "src", "source"]),
        Key::new(
            "text",
            Form::Text,
            "'{\"limit\": 10}'",
            "The template itself. `${…}` in it is left as it is.",
        )
        .also(&["content", "inline", "body"]),
        Key::new(
            "check",
            Form::Command,
            "[\"./api\", \"--check\", \"{file}\"]",
            "Run beside the service before a new file takes the place of the old one, with `{file}` replaced by where the \
             new one is. If it does not end with 0, nothing is changed.",
        )
        .also(&["validate", "test", "verify"]),
        Key::new("mode", Form::Text, "\"0640\"", "Who may do what with it, octal, in quotes.").default("`\"0600\"`"),
        Key::new("owner", Form::Text, "\"api\"", "The account that it belongs to; on Windows, that may read it.")
            .default("the service's `user`")
            .also(&["user"]),
        Key::new("group", Form::Text, "\"www-data\"", "Its group. Linux.").default("that of the owner"),
    ],
};

pub(super) fn read(
    cx: &mut Context<'_>,
    field: Field<'_>,
    known: &Known,
    of: &Of<'_>,
    files: &mut BTreeMap<String, ConfigFile>,
) {
    let Some(items) = cx.items(field, "a list of files") else { return };
    if items.len() > MAX_FILES {
        cx.error(field.span(), format!("too many files: {}", items.len()))
            .hint(format!("at most {MAX_FILES} are accepted"));
        return;
    }
    for item in items {
        let Some((path, place, file)) = read_file(cx, field.part(item), known, of) else { continue };
        match cx.written.get(&path).copied() {
            Some(first) => {
                cx.error(place, format!("{path} is written twice"))
                    .related(first, "here too")
                    .hint("one file has one writer; instances need ${INSTANCE} in the path");
            }
            None => {
                cx.written.insert(path.clone(), place);
                files.insert(path, file);
            }
        }
    }
}

fn read_file(
    cx: &mut Context<'_>,
    field: Field<'_>,
    known: &Known,
    of: &Of<'_>,
) -> Option<(String, Span, ConfigFile)> {
    let mut reader = Reader::open(cx, field, &FILE)?;
    let target = reader.required(cx, "path");
    let (template, text) = (reader.get("template"), reader.get("text"));
    let (check, mode) = (reader.get("check"), reader.get("mode"));
    let (owner, group) = (reader.get("owner"), reader.get("group"));
    reader.finish();
    let path = target.and_then(|target| {
        let base = of.working_dir.unwrap_or_default();
        Some((path::read_below(cx, target, Path::new(base))?, target.span()))
    });
    let mode_hint = "write octal digits in quotes: \"0640\" lets its group read it";
    let mode_at = mode.map(Field::span);
    let mode = mode.map(|mode| process::octal(cx, mode, ("mode", 0o777), mode_hint));
    let is_nobodys = of.user.and_then(dynamic_user::service_of).is_some();
    let named = owner.map(Field::span);
    let owner = match owner {
        Some(owner) => cx.string(owner, "the name of an account").map(|text| text.value),
        // Of a number that is not known yet nothing can be given to.
        None => of.user.filter(|_| !is_nobodys).map(str::to_owned),
    };
    let group = group.and_then(|group| cx.string(group, "the name of a group")).map(|text| text.value);
    let check = check.and_then(|words| command::read(cx, words));
    let content = match (template, text) {
        (Some(template), _) => from_file(cx, template, known),
        (None, Some(text)) => inline(cx, text, known),
        (None, None) => None,
    };
    let (path, place) = path?;
    let default = ConfigFile::default();
    let mode = mode.flatten().unwrap_or(default.mode);
    if is_nobodys && named.is_none() && mode & 0o004 == 0 {
        cx.error(mode_at.unwrap_or(place), "a dynamic user could not read this file")
            .hint("write mode = \"0644\"; if it holds secrets, give the service a `user`");
    }
    if let (Some(content), Some(at)) = (&content, mode_at)
        && mode & 0o007 != 0
        && content.plain().is_none()
    {
        cx.error(at, "a file with a secret in it cannot be open to everybody")
            .hint("\"0600\" keeps it to its owner, \"0640\" to its group too");
        return None;
    }
    Some((path, place, ConfigFile { content: content?, mode, owner, group, check }))
}

/// Renders a template. Of the variables that the service sees those from outside are looked for that it asks for.
fn render(
    cx: &mut Context<'_>,
    field: Field<'_>,
    template: &str,
    known: &Known,
) -> Result<SecretText, Mistake> {
    let mut known = known.clone();
    for name in rendering::variables_of(template) {
        if let (false, Var::Set(value)) = (known.env.contains_key(&name), cx.lookup(&name)) {
            known.env.insert(name, expand::secret_text(&value));
        }
    }
    let rendered = rendering::render(template, &known)?;
    cx.secrets.extend(rendered.names().map(|name| (name, field.span())));
    Ok(rendered)
}

/// Renders the template in a file.
fn from_file(cx: &mut Context<'_>, field: Field<'_>, known: &Known) -> Option<SecretText> {
    let path = path::read(cx, field)?;
    cx.add_file(path.clone());
    let bytes = match (cx.around.read_file)(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            cx.error(field.span(), format!("cannot read {}: {error}", path.display()))
                .hint("a relative path starts at the directory of the configuration file");
            return None;
        }
    };
    if bytes.len() > rendering::MAX_RENDERED {
        cx.error(field.span(), format!("{} is too large for a template", path.display()))
            .hint(format!("at most {} bytes are accepted", rendering::MAX_RENDERED));
        return None;
    }
    let name = cx.called(&path, field.span());
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let source = cx.add_source(&name, &bytes, Shown::Lines, Origin::Named, &base)?;
    let template = cx.source(source).text.clone();
    match render(cx, field, &template, known) {
        Ok(content) => Some(content),
        Err(mistake) => {
            let span = Span { source, start: mistake.range.start, end: mistake.range.end };
            tell(cx, span, mistake).related(field.span(), "this template");
            None
        }
    }
}

/// Renders a template that stands in the configuration, as it stands there.
pub(super) fn inline(cx: &mut Context<'_>, field: Field<'_>, known: &Known) -> Option<SecretText> {
    let Value::Text(text) = &field.node.value else {
        cx.wrong_type(field, "a template");
        return None;
    };
    match render(cx, field, &text.raw, known) {
        Ok(content) => Some(content),
        Err(mistake) => {
            tell(cx, text.part(field.span(), mistake.range.start, mistake.range.end), mistake);
            None
        }
    }
}

fn tell<'c>(cx: &'c mut Context<'_>, at: Span, mistake: Mistake) -> &'c mut Problem {
    let problem = cx.error(at, mistake.message);
    match mistake.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
