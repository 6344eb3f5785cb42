//! The configuration as it counts: every value, its variables replaced, with where it came from. As TOML it makes the
//! same plan again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use mainstay_core::{Check, ProbeKind, ProbePlan, ServiceName};
use serde::Serialize;

use crate::context::Context;
use crate::elements::service::{Draft, SERVICE};
use crate::expand;
use crate::keys::{Form, Section};
use crate::layers::child;
use crate::source::Origin;
use crate::value::{Entry, Node, Text, Value};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveValue {
    /// The service that it belongs to; none at the top of the file.
    pub service: Option<String>,
    /// The key in the service's table, with dots: `restart.delay`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// Where it came from: `mainstay.toml:5`, `overlay mainstay.prod.toml:2`, `variable MAINSTAY__…`, `--set`,
    /// `default`.
    pub origin: String,
}

/// All values of a configuration, in the order of its services' names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The values.
    pub values: Vec<EffectiveValue>,
}

/// Where comments begin, if the value leaves room.
const COMMENT_AT: usize = 48;

impl Effective {
    /// As TOML that makes the same plan; with `origins`, a comment behind each value says where it came from.
    pub fn to_toml(&self, origins: bool) -> String {
        let mut out = String::new();
        let mut table: Option<&str> = None;
        for value in &self.values {
            if value.service.as_deref() != table {
                table = value.service.as_deref();
                let _ = writeln!(out, "\n[service.{}]", table.map(key).unwrap_or_default());
            }
            let line = format!("{} = {}", value.key, value.value);
            let origin = value.origin.replace(char::is_control, " ");
            match origins {
                true => {
                    let _ = writeln!(out, "{line:COMMENT_AT$}  # {origin}");
                }
                false => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
        out
    }
}

/// What a string has become.
#[derive(Clone, Debug)]
pub(crate) enum Became {
    Text(String),
    /// A command that was written as one string.
    Words(Vec<String>),
}

/// What the strings of the tree have become, by the service that was read and the string in the tree (which stays
/// where it is while this is used).
pub(crate) type Recorded = BTreeMap<(String, usize), Became>;

/// The name of a string in [`Recorded`].
pub(crate) fn address(text: &Text) -> usize {
    std::ptr::from_ref(text) as usize
}

pub(crate) struct Writer<'c, 'a> {
    pub cx: &'c mut Context<'a>,
    pub values: Vec<EffectiveValue>,
    service: Option<String>,
}

impl<'c, 'a> Writer<'c, 'a> {
    pub fn new(cx: &'c mut Context<'a>) -> Self {
        Writer { cx, values: Vec::new(), service: None }
    }

    /// The stack's name.
    pub fn name(&mut self, stack: &str, node: Option<&Node>) {
        let origin = node.map_or_else(|| "default".to_owned(), |node| self.origin(node));
        self.add("name", string(stack), origin);
    }

    /// A table at the top of the file.
    pub fn table(&mut self, name: &str, node: &Node, form: &'static Form) {
        self.value(name, node, Some(form));
    }

    /// A table at the top, with its defaults.
    pub fn top(&mut self, name: &str, node: &Node, section: &'static Section) {
        let Value::Table(entries) = &node.value else { return };
        for entry in entries {
            let form = section.key(&entry.key).map(|key| &key.form);
            self.value(&format!("{name}.{}", key(&entry.key)), &entry.value, form);
        }
        self.defaults(name, section, node);
    }

    /// A service, which stands at `node`.
    pub fn service(&mut self, name: &ServiceName, draft: &Draft, node: &Node) {
        self.service = Some(name.to_string());
        let Value::Table(entries) = &node.value else { return };
        let has = |name: &str| entries.iter().any(|entry| entry.key == name);
        for entry in entries {
            // They have had their effect.
            if !matches!(entry.key.as_str(), "extends" | "instances" | "profiles") {
                self.value(&key(&entry.key), &entry.value, SERVICE.key(&entry.key).map(|key| &key.form));
            }
        }
        let instances = entries.iter().find(|entry| entry.key == "instances");
        if let (Some(group), Some(from)) = (&draft.plan.instance_of, instances) {
            let origin = self.origin(&from.value);
            self.add("instance_of", string(group.as_str()), origin.clone());
            let own = entries.iter().any(|entry| match &entry.value.value {
                Value::Table(set) => entry.key == "environment" && set.iter().any(|e| e.key == "INSTANCE"),
                _ => false,
            });
            if let (false, Some(number)) = (own, draft.plan.launch.environment.get("INSTANCE")) {
                self.add("environment.INSTANCE", string(number), origin);
            }
        }
        if let (false, Some(dir)) = (has("working_dir"), &draft.plan.launch.working_dir) {
            self.add("working_dir", string(dir), "default".to_owned());
        }
        self.defaults("", &SERVICE, node);
        for kind in [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live] {
            let name = &kind.to_string();
            let written = entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.value.value);
            if let (Some(probe), Some(Value::Table(written))) = (draft.plan.probe(kind), written) {
                self.probe(name, probe, written);
            }
        }
    }

    /// What a probe has by default, which depends on its kind and on what it asks.
    fn probe(&mut self, name: &str, probe: &ProbePlan, written: &[Entry]) {
        // What says itself how it is has its times from there.
        if probe.check == Check::Notify {
            return;
        }
        let all = [
            ("interval", time(probe.interval)),
            ("timeout", time(probe.timeout)),
            ("failures", probe.failures.to_string()),
            ("successes", probe.successes.to_string()),
            ("initial_delay", time(probe.initial_delay)),
        ];
        for (key, value) in all {
            if !written.iter().any(|entry| entry.key == key) {
                self.add(&format!("{name}.{key}"), value, "default".to_owned());
            }
        }
    }

    fn value(&mut self, path: &str, node: &Node, form: Option<&'static Form>) {
        match &node.value {
            Value::Table(entries) if !entries.is_empty() => {
                for entry in entries {
                    let form = form.and_then(|form| child(form, &entry.key));
                    self.value(&format!("{path}.{}", key(&entry.key)), &entry.value, form);
                }
            }
            _ => {
                let (value, origin) = (self.inline(node), self.origin(node));
                self.add(path, value, origin);
            }
        }
    }

    /// A value on one line.
    fn inline(&self, node: &Node) -> String {
        match &node.value {
            Value::Text(text) => match self.cx.became(self.service.as_deref().unwrap_or_default(), text) {
                Some(Became::Text(value)) => string(value),
                Some(Became::Words(words)) => {
                    format!("[{}]", words.iter().map(|word| string(word)).collect::<Vec<_>>().join(", "))
                }
                None => quoted(&text.raw),
            },
            Value::Integer(_, Some(number)) => number.to_string(),
            Value::Integer(written, None) => written.clone(),
            Value::Bool(value) => value.to_string(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| self.inline(item)).collect::<Vec<_>>().join(", "))
            }
            Value::Table(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{} = {}", key(&entry.key), self.inline(&entry.value)))
                    .collect();
                if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
            }
            // As it was written: a parser's number may have other digits.
            Value::Decimal => {
                let source = self.cx.source(node.span.source);
                source.text.get(node.span.start..node.span.end).unwrap_or_default().to_owned()
            }
            // Nothing that a plan without errors has in it.
            Value::Date | Value::Null | Value::Broken => "\"\"".to_owned(),
        }
    }

    fn origin(&mut self, node: &Node) -> String {
        let place = self.cx.place(node.span);
        let source = self.cx.source(node.span.source);
        let mut origin = match source.origin {
            Origin::File | Origin::Named => format!("{}:{}", place.file, place.line),
            Origin::Overlay => format!("overlay {}:{}", place.file, place.line),
            Origin::Variable => format!("variable {}", place.file),
            Origin::Set => "--set".to_owned(),
        };
        if let Value::Text(text) = &node.value
            && text.raw.contains("${")
            && text.raw.len() <= 60
        {
            let _ = write!(origin, ": {}", text.raw);
        }
        origin
    }

    /// The defaults of keys that are not there, where they can be written as values.
    fn defaults(&mut self, path: &str, section: &'static Section, node: &Node) {
        // What goes with one of several keys has defaults that depend on it.
        if !section.one_of.is_empty() {
            return;
        }
        let Value::Table(entries) = &node.value else { return };
        for known in section.keys.iter().filter(|known| !known.no_effect) {
            let path = if path.is_empty() { known.name.to_owned() } else { format!("{path}.{}", known.name) };
            let there = entries.iter().find(|entry| entry.key == known.name).map(|entry| &entry.value);
            let nothing = Node { span: node.span, value: Value::Table(Vec::new()) };
            match (there, table_of(&known.form)) {
                (Some(node), Some(section)) => self.defaults(&path, section, node),
                (None, Some(section)) if section.keys.iter().all(|key| !key.required) => {
                    self.defaults(&path, section, &nothing);
                }
                (None, _) => {
                    if let Some(default) = literal(known.default) {
                        self.add(&path, default.to_owned(), "default".to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, key: &str, value: String, origin: String) {
        self.values.push(EffectiveValue {
            service: self.service.clone(),
            key: key.to_owned(),
            value,
            origin,
        });
    }
}

/// As a person writes it.
fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("\"{}s\"", time.as_secs())
    } else {
        format!("\"{}ms\"", time.as_millis())
    }
}

fn table_of(form: &'static Form) -> Option<&'static Section> {
    match form {
        Form::Section(section) => Some(section),
        Form::Any(forms) => forms.iter().find_map(table_of),
        _ => None,
    }
}

/// A default that is a value and not words.
fn literal(default: Option<&'static str>) -> Option<&'static str> {
    let value = default?.strip_prefix('`')?.strip_suffix('`')?;
    let sound = !value.contains('`') && crate::syntax::single(0, value, 0).is_some();
    sound.then_some(value)
}

/// A string in which nothing is a variable; references to secrets stay.
fn string(text: &str) -> String {
    match expand::has_secret(text) {
        true => quoted(&expand::secret_text(text).to_string()),
        false => quoted(&text.replace('$', "$$")),
    }
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}
