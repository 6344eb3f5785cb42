//! Several texts to one tree: files in their order, overlays over them, variables over these, `--set` over all.
//!
//! Tables are merged key by key, deeply; everything else is replaced. `null` (of YAML and JSON) takes away what a lower
//! layer says. Where exactly one of some keys has to be there (what a probe asks), one of an upper layer replaces that
//! of a lower one.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::effective::quoted;
use crate::elements::stack::STACK;
use crate::keys::{Form, Key, MapKey, Section};
use crate::nearest::nearest;
use crate::source::{Origin, Shown, Span};
use crate::syntax::{self, Format};
use crate::value::{Entry, Node, Text, Value};
use crate::{Asked, FileText, MAX_FILE};

/// What a variable's name begins with that sets a value: `MAINSTAY__SERVICE__API__START=manual`.
pub(crate) const VARIABLE: &str = "MAINSTAY__";

static ROOT: Form = Form::Section(&STACK);

/// Reads all layers. None: one of them has no sound structure, which is told.
pub(crate) fn read(cx: &mut Context<'_>, files: &[FileText<'_>], asked: &Asked) -> Option<Node> {
    let mut sound = true;
    let mut merged: Option<Node> = None;
    for file in files {
        let read = read_file(cx, file).map(|mut node| {
            unset(cx, &mut node, merged.as_mut());
            node
        });
        match read {
            Some(node) => match &mut merged {
                None => merged = Some(node),
                Some(base) => merge(base, node, Some(&ROOT)),
            },
            None => sound = false,
        }
    }
    let mut root = merged.filter(|_| sound)?;
    for (name, value) in &asked.settings {
        if let Some(over) = variable(cx, &root, name, value) {
            merge(&mut root, over, Some(&ROOT));
        }
    }
    for text in &asked.sets {
        if let Some(over) = set(cx, text) {
            merge(&mut root, over, Some(&ROOT));
        }
    }
    Some(root)
}

fn read_file(cx: &mut Context<'_>, file: &FileText<'_>) -> Option<Node> {
    let too_large = file.bytes.len() as u64 > MAX_FILE;
    let bytes = if too_large { b"" } else { file.bytes };
    let origin = if file.overlay { Origin::Overlay } else { Origin::File };
    let source = cx.add_source(file.name, bytes, Shown::Lines, origin, file.base_dir)?;
    let top = Span { source, start: 0, end: 0 };
    if too_large {
        cx.error(top, format!("the file is larger than {} MiB", MAX_FILE / (1024 * 1024)))
            .hint("is it a configuration file at all?");
        return None;
    }
    let mut root = syntax::read(cx, source, Format::of(file.name));
    match &mut root.value {
        // For editors, and for YAML's anchors.
        Value::Table(entries) => entries.retain(|e| e.key != "$schema" && !e.key.starts_with("x-")),
        Value::Broken => return None,
        _ => {
            cx.error(top, format!("the file is {}, and has to be a table", root.kind()))
                .hint("write keys and values at the top: name, service");
            return None;
        }
    }
    Some(root)
}

/// Takes away of `below` what the file says at `unset`: TOML has no null.
fn unset(cx: &mut Context<'_>, file: &mut Node, mut below: Option<&mut Node>) {
    let Value::Table(entries) = &mut file.value else { return };
    let Some(at) = entries.iter().position(|entry| entry.key == UNSET) else { return };
    let entry = entries.remove(at);
    let items = match entry.value.value {
        Value::List(items) => items,
        Value::Broken => return,
        _ => {
            cx.error(entry.value.span, format!("`{UNSET}` is a list of keys")).hint(UNSET_SAMPLE);
            return;
        }
    };
    for item in items {
        let Value::Text(text) = &item.value else {
            cx.error(item.span, format!("a key in `{UNSET}` is a string")).hint(UNSET_SAMPLE);
            continue;
        };
        let Some(parts) = syntax::key(&text.raw) else {
            cx.error(item.span, format!("`{}` is no key", text.raw)).hint(UNSET_SAMPLE);
            continue;
        };
        let parts: Vec<String> = parts.into_iter().map(|(part, _)| part).collect();
        if !below.as_deref_mut().is_some_and(|below| remove(below, &parts)) {
            cx.error(item.span, format!("no file below this one has `{}`", text.raw))
                .hint(format!("`{UNSET}` takes away what an earlier -f or the file of an overlay says"));
        }
    }
}

const UNSET: &str = "unset";
const UNSET_SAMPLE: &str = "write unset = [\"service.api.environment.PORT\"]";

/// Whether it was there.
fn remove(node: &mut Node, parts: &[String]) -> bool {
    let (Value::Table(entries), [first, rest @ ..]) = (&mut node.value, parts) else { return false };
    let Some(at) = entries.iter().position(|entry| entry.key == *first) else { return false };
    if rest.is_empty() {
        entries.remove(at);
        return true;
    }
    remove(&mut entries[at].value, rest)
}

/// Puts `over` over `base`. `form` is what the schema says of them.
pub(crate) fn merge(base: &mut Node, over: Node, form: Option<&'static Form>) {
    let (below, above) = match (&mut base.value, over.value) {
        (Value::Table(below), Value::Table(above)) => (below, above),
        (_, value) => {
            *base = Node { span: over.span, value };
            return;
        }
    };
    for section in form.into_iter().flat_map(sections) {
        let one_of = |entry: &Entry| section.one_of.contains(&entry.key.as_str());
        if above.iter().any(one_of) {
            below.retain(|entry| !one_of(entry) || above.iter().any(|other| other.key == entry.key));
        }
    }
    let mut at: BTreeMap<String, usize> =
        below.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    let mut gone = false;
    for entry in above {
        match at.get(&entry.key) {
            Some(index) => {
                gone |= matches!(entry.value.value, Value::Null);
                let under = &mut below[*index];
                merge(&mut under.value, entry.value, form.and_then(|form| child(form, &entry.key)));
                if !matches!(under.value.value, Value::Table(_)) {
                    under.key_span = entry.key_span;
                }
            }
            None => {
                at.insert(entry.key.clone(), below.len());
                below.push(entry);
            }
        }
    }
    if gone {
        below.retain(|entry| !matches!(entry.value.value, Value::Null));
    }
}

/// The sections that a value of this form can be.
fn sections(form: &'static Form) -> Vec<&'static Section> {
    match form {
        Form::Section(section) | Form::Like(section) => vec![section],
        Form::Any(forms) => forms.iter().flat_map(sections).collect(),
        _ => Vec::new(),
    }
}

/// The form of the value of `key` in a table of this form.
pub(crate) fn child(form: &'static Form, key: &str) -> Option<&'static Form> {
    match form {
        Form::Section(section) | Form::Like(section) => section.key(key).map(|key| &key.form),
        Form::Map(_, value) => Some(value),
        Form::Free => Some(form),
        Form::Any(forms) => forms.iter().find_map(|form| child(form, key)),
        _ => None,
    }
}

/// `service.api.start=manual`.
fn set(cx: &mut Context<'_>, text: &str) -> Option<Node> {
    let path = key_end(text).and_then(|end| Some((end, syntax::key(&text[..end])?)));
    // Variables of services may be secrets: a message does not repeat them.
    let secret = path.as_ref().is_none_or(|(_, parts)| parts.iter().any(|(key, _)| key == "environment"));
    let shown = if secret { Shown::PlaceOnly } else { Shown::Lines };
    let name = match &path {
        Some((end, _)) => format!("--set {}", text[..*end].trim()),
        None => "--set".to_owned(),
    };
    let base_dir = cx.around.base_dir;
    let source = cx.add_source(&name, text.as_bytes(), shown, Origin::Set, base_dir)?;
    let Some((end, parts)) = path else {
        cx.error(Span { source, start: 0, end: 0 }, "`--set` needs a key and a value")
            .hint("write it like --set service.api.start=manual; a name with a dot in it needs quotes");
        return None;
    };
    let parts: Vec<(String, Span)> = parts
        .into_iter()
        .map(|(key, range)| (key, Span { source, start: range.start, end: range.end }))
        .collect();
    let form = parts.iter().try_fold(&ROOT, |form, (key, _)| child(form, key));
    // `KEY = VALUE` is as good as `KEY=VALUE`.
    let blanks = match &text[end + 1..] {
        rest if text[..end].ends_with(' ') => rest.len() - rest.trim_start().len(),
        _ => 0,
    };
    let begin = end + 1 + blanks;
    let value = value_of(source, &text[begin..], begin, form);
    Some(nest(parts, value, source, text.len()))
}

/// Where the `=` is that ends the key: the first one outside of quotes.
fn key_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('=', None) => return Some(at),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// `KEY=VALUE` as [`set`] understands it, as a file would have it: the parts of the key, behind those of `below`, and the
/// value in TOML.
pub(crate) fn setting(text: &str, below: &[&str]) -> Result<(Vec<String>, String), String> {
    let path = key_end(text).and_then(|end| Some((end, syntax::key(&text[..end])?)));
    let (end, own) = path.ok_or_else(|| format!("`{text}` is no KEY=VALUE"))?;
    let keys = below.iter().map(|key| (*key).to_owned()).chain(own.into_iter().map(|(key, _)| key));
    let keys: Vec<String> = keys.collect();
    let form = keys.iter().try_fold(&ROOT, |form, key| child(form, key));
    let value = text[end + 1..].trim();
    if as_toml(0, value, 0, form).is_some() {
        return Ok((keys, value.to_owned()));
    }
    // Nobody means a text by it.
    if value.starts_with(['[', '{']) {
        return Err(format!("{value} is no list or table in TOML"));
    }
    Ok((keys, quoted(value)))
}

pub(crate) fn is_top_key(name: &str) -> bool {
    child(&ROOT, name).is_some()
}

/// A value as a person writes it on a command line: TOML, if it is TOML of a kind that the key takes; else the text
/// itself.
fn value_of(source: usize, text: &str, offset: usize, form: Option<&'static Form>) -> Node {
    as_toml(source, text, offset, form).unwrap_or_else(|| Node {
        span: Span { source, start: offset, end: offset + text.len() },
        value: Value::Text(Text { raw: text.to_owned(), verbatim: Some(offset) }),
    })
}

fn as_toml(source: usize, text: &str, offset: usize, form: Option<&'static Form>) -> Option<Node> {
    syntax::single(source, text, offset).filter(|node| match &node.value {
        Value::Text(_) | Value::List(_) | Value::Table(_) => true,
        Value::Integer(..) => form.is_none_or(takes_integers),
        Value::Bool(_) => form.is_none_or(takes_truth),
        Value::Decimal | Value::Date | Value::Null | Value::Broken => false,
    })
}

fn takes_integers(form: &Form) -> bool {
    match form {
        Form::Count(..) | Form::Signal | Form::Scalar | Form::Free => true,
        Form::Any(forms) => forms.iter().any(takes_integers),
        _ => false,
    }
}

fn takes_truth(form: &Form) -> bool {
    match form {
        Form::True | Form::Truth | Form::Scalar | Form::Free => true,
        Form::Any(forms) => forms.iter().any(takes_truth),
        _ => false,
    }
}

/// Tables in each other with the value at the end.
fn nest(parts: Vec<(String, Span)>, value: Node, source: usize, end: usize) -> Node {
    let whole = Span { source, start: 0, end };
    parts.into_iter().rev().fold(value, |value, (key, key_span)| Node {
        span: whole,
        value: Value::Table(vec![Entry { key, key_span, value }]),
    })
}

/// `MAINSTAY__SERVICE__API__START`: the parts of the path, in capitals, with two `_` between.
fn variable(cx: &mut Context<'_>, root: &Node, name: &str, value: &str) -> Option<Node> {
    let path = name.strip_prefix(VARIABLE)?;
    let base_dir = cx.around.base_dir;
    let source = cx.add_source(name, value.as_bytes(), Shown::PlaceOnly, Origin::Variable, base_dir)?;
    let span = Span { source, start: 0, end: 0 };
    let mut form: &'static Form = &ROOT;
    let mut node = Some(root);
    let mut parts: Vec<(String, Span)> = Vec::new();
    let segments: Vec<&str> = path.split("__").collect();
    for (index, segment) in segments.iter().enumerate() {
        let known = entries(node);
        let key = match step(form, segment, &known) {
            Step::Key(key) => key,
            Step::Several(names) => {
                cx.error(span, format!("`{segment}` means several: {}", names.join(", ")))
                    .hint("change one of the names, or use --set");
                return None;
            }
            Step::Nothing(names) => {
                let problem = if index == 1 && segments[0].eq_ignore_ascii_case("service") {
                    // It may be meant for another stack.
                    cx.warning(span, format!("there is no service `{segment}`: this variable has no effect"))
                } else {
                    cx.error(span, format!("`{segment}` is no key here"))
                };
                let lower = segment.to_ascii_lowercase();
                match nearest(&lower, names.iter().map(String::as_str)) {
                    Some(near) => problem.hint(format!("did you mean `{}`?", near.to_ascii_uppercase())),
                    None => problem.hint("write it like MAINSTAY__SERVICE__API__START=manual"),
                };
                return None;
            }
        };
        let next = child(form, &key);
        node = known.into_iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        parts.push((key, span));
        match next {
            Some(next) => form = next,
            None if index + 1 < segments.len() => {
                cx.error(span, format!("nothing can stand below `{segment}`"))
                    .hint("write it like MAINSTAY__SERVICE__API__START=manual");
                return None;
            }
            None => {}
        }
    }
    let value_node = value_of(source, value, 0, Some(form));
    Some(nest(parts, value_node, source, value.len()))
}

fn entries(node: Option<&Node>) -> Vec<&Entry> {
    match node.map(|node| &node.value) {
        Some(Value::Table(entries)) => entries.iter().collect(),
        _ => Vec::new(),
    }
}

enum Step {
    Key(String),
    Several(Vec<String>),
    /// There is no such key; those that there are.
    Nothing(Vec<String>),
}

/// What a part of a variable's name means in a table of this form that has these entries.
fn step(form: &'static Form, segment: &str, known: &[&Entry]) -> Step {
    let sections = sections(form);
    let keys = || sections.iter().flat_map(|section| section.keys);
    let is_meant = |key: &&Key| key.name.eq_ignore_ascii_case(segment);
    if let Some(key) = keys().find(is_meant) {
        return Step::Key(key.name.to_owned());
    }
    match map_key(form) {
        Some(MapKey::Name) => {
            let plain = |name: &str| {
                name.chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
                    .collect::<String>()
            };
            let mut names: Vec<String> =
                known.iter().filter(|e| plain(&e.key) == plain(segment)).map(|e| e.key.clone()).collect();
            match names.len() {
                0 => Step::Nothing(known.iter().map(|entry| entry.key.clone()).collect()),
                1 => Step::Key(names.remove(0)),
                _ => Step::Several(names),
            }
        }
        Some(_) if !segment.is_empty() => {
            let same = known.iter().find(|e| e.key == segment);
            let same = same.or_else(|| known.iter().find(|e| e.key.eq_ignore_ascii_case(segment)));
            Step::Key(same.map_or_else(|| segment.to_owned(), |entry| entry.key.clone()))
        }
        _ => Step::Nothing(keys().map(|key| key.name.to_owned()).collect()),
    }
}

fn map_key(form: &Form) -> Option<MapKey> {
    match form {
        Form::Map(key, _) => Some(*key),
        Form::Free => Some(MapKey::Variable),
        Form::Any(forms) => forms.iter().find_map(map_key),
        _ => None,
    }
}
