//! `environment`: the variables of a service.
//!
//! A service sees Mainstay's own environment, over it its files of variables, over these its `environment`. `${NAME}`
//! anywhere in a service means what the service will see, with one exception: in its own definition
//! (`PORT = "${PORT:-8080}"`) it means what comes from outside. There the environment beats the file, and the file
//! beats the default.

use std::collections::BTreeMap;

use mainstay_core::SecretText;

use super::env_file::{self, bad_name};
use crate::context::{Context, Field, INSTANCE, Scope};
use crate::expand::{self, Var};
use crate::keys::{Form, MapKey};
use crate::source::Span;
use crate::value::{Node, Value};

pub(crate) const FORM: Form = Form::Map(MapKey::Variable, &Form::Scalar);

/// Definitions that refer to each other, in a chain of this length.
const MAX_CHAIN: usize = 64;

/// Reads both keys: makes the variables known to the rest of the service, and gives those to set, and those in whose
/// values secrets stand.
pub(crate) fn read(
    cx: &mut Context<'_>,
    environment: Option<Field<'_>>,
    env_file: Option<Field<'_>>,
) -> (BTreeMap<String, String>, BTreeMap<String, SecretText>) {
    cx.scope = Scope::default();
    let (files, sound) = env_file.map_or((BTreeMap::new(), true), |field| env_file::read(cx, field));
    let definitions = environment.map(|field| definitions(cx, field)).unwrap_or_default();

    let mut resolver = Resolver { cx, definitions, files, sound, done: BTreeMap::new(), chain: Vec::new() };
    let names: Vec<String> = resolver.definitions.keys().cloned().collect();
    for name in &names {
        resolver.resolve(name);
    }
    let Resolver { cx, definitions, files, done, .. } = resolver;

    let (mut set, mut secret) = (BTreeMap::new(), BTreeMap::new());
    let mut vars = BTreeMap::new();
    for (folded, (name, value)) in files {
        if !definitions.contains_key(&folded) {
            set.insert(name, value.clone());
            vars.insert(folded, Some(value));
        }
    }
    for (folded, value) in done {
        if let (Some(definition), Some(value)) = (definitions.get(&folded), &value) {
            let name = definition.name.to_owned();
            match expand::has_secret(value) {
                true => drop(secret.insert(name, expand::secret_text(value))),
                false => drop(set.insert(name, value.clone())),
            }
        }
        vars.insert(folded, value);
    }
    if let Some(number) = cx.instance
        && !vars.contains_key(INSTANCE)
    {
        set.insert(INSTANCE.to_owned(), number.to_string());
    }
    cx.scope = Scope { vars, incomplete: !sound };
    (set, secret)
}

struct Definition<'n> {
    name: &'n str,
    key_span: Span,
    value: &'n Node,
}

fn definitions<'n>(cx: &mut Context<'_>, field: Field<'n>) -> BTreeMap<String, Definition<'n>> {
    let mut found: BTreeMap<String, Definition<'n>> = BTreeMap::new();
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table").hint("write it like { PORT = \"8080\", MODE = \"fast\" }");
        return found;
    };
    for entry in entries {
        if let Some(bad) = bad_name(&entry.key) {
            cx.error(entry.key_span, bad).hint("write it like PORT = \"8080\"");
            continue;
        }
        let folded = cx.fold(&entry.key).into_owned();
        if let Some(other) = found.get(&folded) {
            let (span, message) = (other.key_span, format!("`{}` is given twice", entry.key));
            cx.error(entry.key_span, message)
                .related(span, "given here too")
                .hint("Windows takes upper and lower case for the same name");
            continue;
        }
        found.insert(folded, Definition { name: &entry.key, key_span: entry.key_span, value: &entry.value });
    }
    found
}

struct Resolver<'c, 'a, 'n> {
    cx: &'c mut Context<'a>,
    definitions: BTreeMap<String, Definition<'n>>,
    files: BTreeMap<String, (String, String)>,
    sound: bool,
    /// None: wrong, and told.
    done: BTreeMap<String, Option<String>>,
    /// The definitions that are being resolved, each because of the one before.
    chain: Vec<String>,
}

impl Resolver<'_, '_, '_> {
    /// The value of a definition, resolved before or now.
    fn resolve(&mut self, folded: &str) -> Option<String> {
        if let Some(done) = self.done.get(folded) {
            return done.clone();
        }
        self.chain.push(folded.to_owned());
        let value = self.evaluate(folded);
        self.chain.pop();
        self.done.insert(folded.to_owned(), value.clone());
        value
    }

    fn evaluate(&mut self, folded: &str) -> Option<String> {
        let definition = self.definitions.get(folded)?;
        let (name, node) = (definition.name, definition.value);
        match &node.value {
            Value::Text(text) => {
                let expansion = expand::expand(&text.raw, &mut |asked, _| self.lookup(folded, asked));
                self.cx.take_expansion(text, node.span, expansion)
            }
            Value::Integer(written, Some(number)) if *written == number.to_string() => Some(written.clone()),
            Value::Bool(value) => Some(value.to_string()),
            _ => {
                let field = Field { key: name, node };
                self.cx.wrong_type(field, "a string").hint("write the value in quotes");
                None
            }
        }
    }

    /// What `asked` means in the definition of `own`.
    fn lookup(&mut self, own: &str, asked: &str) -> Var {
        let folded = self.cx.fold(asked).into_owned();
        let in_file = self.files.get(&folded).map(|(_, value)| value.clone());
        let or_unset = |var: Option<Var>, sound: bool| match var {
            Some(Var::Unset) | None if !sound => Var::Broken,
            other => other.unwrap_or(Var::Unset),
        };
        if folded == own {
            return match self.cx.outside(asked) {
                Var::Unset => or_unset(in_file.map(Var::Set), self.sound),
                var => var,
            };
        }
        if self.definitions.contains_key(&folded) {
            if let Some(at) = self.chain.iter().position(|name| *name == folded) {
                self.circle(at);
                return Var::Broken;
            }
            if self.chain.len() >= MAX_CHAIN {
                self.too_long();
                return Var::Broken;
            }
            return self.resolve(&folded).map_or(Var::Broken, Var::Set);
        }
        match in_file {
            Some(value) => Var::Set(value),
            None => or_unset(Some(self.cx.outside(asked)), self.sound),
        }
    }

    fn circle(&mut self, from: usize) {
        let mut names: Vec<&str> = self.chain[from..]
            .iter()
            .filter_map(|folded| self.definitions.get(folded))
            .map(|definition| definition.name)
            .collect();
        let first = self.definitions.get(&self.chain[from]).map(|d| d.value.span);
        names.extend(names.first().copied());
        let path = names.join(" → ");
        if let Some(span) = first {
            self.cx
                .error(span, format!("these variables are defined by each other: {path}"))
                .hint("give one of them a value of its own");
        }
    }

    fn too_long(&mut self) {
        let last = self.chain.last().and_then(|folded| self.definitions.get(folded));
        if let Some(span) = last.map(|definition| definition.value.span) {
            self.cx
                .error(span, "too long a chain of variables that refer to each other")
                .hint(format!("at most {MAX_CHAIN} may follow each other"));
        }
    }
}
