//! `extends`: what services take from templates, before they are read.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::{Context, Field};
use crate::elements::service::SERVICE;
use crate::keys::Form;
use crate::layers;
use crate::nearest::{list, nearest};
use crate::source::Span;
use crate::value::{Entry, Node, Value};

/// Templates that extend templates that extend…
const MAX_DEPTH: usize = 16;
/// So many values, and bytes of strings, may come of templates.
const MAX_COPIED: usize = 16_000_000;

static FORM: Form = Form::Section(&SERVICE);

/// Services and templates with what they take from templates.
pub(crate) struct Applied {
    /// The services, each under its own keys.
    pub services: Node,
    /// The templates that no service extends.
    pub unused: Vec<Entry>,
}

/// Puts templates into what extends them.
pub(crate) fn apply(cx: &mut Context<'_>, services: &Node, templates: Option<Field<'_>>) -> Applied {
    let entries: &[Entry] = match templates.map(|field| (field, &field.node.value)) {
        None => &[],
        Some((_, Value::Table(entries))) => entries,
        Some((field, _)) => {
            cx.wrong_type(field, "a table for each template").hint("write one like [template.base]");
            &[]
        }
    };
    let templates = entries.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    let mut resolver = Resolver { cx, templates, done: BTreeMap::new(), used: BTreeSet::new(), copied: 0 };
    let mut services = services.clone();
    if let Value::Table(entries) = &mut services.value {
        for entry in entries {
            let taken = resolver.taken(&entry.value, &mut Vec::new());
            if let Some(mut base) = taken {
                let own = std::mem::replace(&mut entry.value, Node { span: base.span, value: Value::Broken });
                // What is missing is told at the service.
                base.span = own.span;
                layers::merge(&mut base, own, Some(&FORM));
                entry.value = base;
            }
        }
    }
    let used = std::mem::take(&mut resolver.used);
    let mut unused = Vec::new();
    for entry in entries.iter().filter(|entry| !used.contains(entry.key.as_str())) {
        resolver
            .cx
            .warning(entry.key_span, format!("no service extends the template `{}`", entry.key))
            .hint("write extends = \"NAME\" in a service");
        if let Some(value) = resolver.template(&entry.key, entry.key_span, &mut Vec::new()) {
            unused.push(Entry { value, ..entry.clone() });
        }
    }
    Applied { services, unused }
}

struct Resolver<'c, 'a, 'n> {
    cx: &'c mut Context<'a>,
    templates: BTreeMap<&'n str, &'n Entry>,
    /// Templates with what they extend; none if something is wrong with it, which is told.
    done: BTreeMap<&'n str, Option<Node>>,
    used: BTreeSet<&'n str>,
    copied: usize,
}

impl<'n> Resolver<'_, '_, 'n> {
    /// What a service or template takes from those that it extends: none if nothing.
    fn taken(&mut self, node: &Node, way: &mut Vec<&'n str>) -> Option<Node> {
        let Value::Table(entries) = &node.value else { return None };
        let extends = entries.iter().find(|entry| entry.key == "extends")?;
        let field = Field { key: "extends", node: &extends.value };
        let names: Vec<Field<'_>> = match &extends.value.value {
            Value::Text(_) => vec![field],
            Value::List(items) => items.iter().map(|item| field.part(item)).collect(),
            _ => {
                self.cx.wrong_type(field, "the name of a template").hint("write extends = \"base\"");
                return None;
            }
        };
        let mut base: Option<Node> = None;
        for field in names {
            let Value::Text(text) = &field.node.value else {
                self.cx.wrong_type(field, "the name of a template").hint("write extends = \"base\"");
                continue;
            };
            let Some(found) = self.template(&text.raw, field.span(), way) else { continue };
            self.copied = self.copied.saturating_add(found.weight());
            if self.copied > MAX_COPIED {
                self.cx
                    .error(field.span(), "templates make this configuration too large")
                    .hint(format!("at most {MAX_COPIED} values and bytes may come of them"));
                return base;
            }
            match &mut base {
                None => base = Some(found),
                Some(base) => layers::merge(base, found, Some(&FORM)),
            }
        }
        base
    }

    fn template(&mut self, name: &str, span: Span, way: &mut Vec<&'n str>) -> Option<Node> {
        let Some((key, entry)) = self.templates.get_key_value(name).map(|(key, entry)| (*key, *entry)) else {
            let known = || self.templates.keys().copied();
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.templates.is_empty() => format!("write one: [template.{name}]"),
                None => format!("the templates are {}", list(known(), "and")),
            };
            self.cx.error(span, format!("there is no template `{name}`")).hint(hint);
            return None;
        };
        self.used.insert(key);
        if let Some(done) = self.done.get(key) {
            return done.clone();
        }
        if let Some(from) = way.iter().position(|other| *other == key) {
            let mut names = way[from..].to_vec();
            names.push(key);
            self.cx
                .error(span, format!("these templates extend each other: {}", names.join(" → ")))
                .hint("take out one of these `extends`");
            return None;
        }
        if way.len() >= MAX_DEPTH {
            self.cx
                .error(span, "too many templates that extend each other")
                .hint(format!("at most {MAX_DEPTH} may follow each other"));
            return None;
        }
        let field = Field { key: "template", node: &entry.value };
        if !matches!(entry.value.value, Value::Table(_)) {
            self.cx.wrong_type(field, "a table").hint("write it like [template.base]");
            self.done.insert(key, None);
            return None;
        }
        way.push(key);
        let own = entry.value.clone();
        let node = match self.taken(&entry.value, way) {
            Some(mut base) => {
                layers::merge(&mut base, own, Some(&FORM));
                base
            }
            None => own,
        };
        way.pop();
        self.done.insert(key, Some(node.clone()));
        Some(node)
    }
}
