//! Reads one table of the file by its [`Section`].

use crate::context::{Context, Field, Str, Subject};
use crate::elements::stack::STACK;
use crate::keys::{Key, Section, walk};
use crate::nearest::{list, nearest};
use crate::source::Span;
use crate::value::{Entry, Node, Value};

/// A table that is being read. [`finish`](Reader::finish) it.
#[must_use]
pub(crate) struct Reader<'n> {
    section: &'static Section,
    entries: &'n [Entry],
    span: Span,
    asked: Vec<&'static str>,
}

impl<'n> Reader<'n> {
    /// Begins to read a table: tells of keys that the section does not have, of keys without an effect, and of keys
    /// that exclude each other. None if it is no table, which is told.
    pub fn open(cx: &mut Context<'_>, field: Field<'n>, section: &'static Section) -> Option<Reader<'n>> {
        let Value::Table(entries) = &field.node.value else {
            cx.wrong_type(field, "a table");
            return None;
        };
        for entry in entries {
            match section.key(&entry.key) {
                Some(key) if key.no_effect => {
                    cx.warning(entry.key_span, format!("`{}` has no effect in this version", entry.key))
                        .hint("it is checked and otherwise ignored");
                }
                Some(_) => {}
                None => unknown_key(cx, entry, section),
            }
        }
        let reader = Reader { section, entries, span: field.span(), asked: Vec::new() };
        reader.check_one_of(cx);
        Some(reader)
    }

    fn check_one_of(&self, cx: &mut Context<'_>) {
        let names = self.section.one_of;
        if names.is_empty() {
            return;
        }
        let mut there = self.entries.iter().filter(|entry| names.contains(&entry.key.as_str()));
        let Some(first) = there.next() else {
            // One that is misspelt has been told already.
            let known = self.entries.iter().all(|entry| self.section.key(&entry.key).is_some());
            if known && cx.subject == Subject::Service {
                cx.error(self.span, format!("{} needs a key that says what it is", self.section.title))
                    .hint(format!("give it one of {}", list(names.iter().copied(), "or")));
            }
            return;
        };
        for other in there {
            cx.error(
                other.key_span,
                format!("`{}` and `{}` exclude each other in {}", first.key, other.key, self.section.title),
            )
            .related(first.key_span, "the other one")
            .hint(format!("keep one of {}", list(names.iter().copied(), "or")));
        }
    }

    /// The value of a key of the section.
    pub fn get(&mut self, name: &'static str) -> Option<Field<'n>> {
        debug_assert!(
            self.section.key(name).is_some(),
            "`{name}` is not in the table of {}",
            self.section.id
        );
        self.asked.push(name);
        self.entries.iter().find(|e| e.key == name).map(|entry| Field { key: &entry.key, node: &entry.value })
    }

    /// The value of a key that has to be there; told at the table if it is not.
    pub fn required(&mut self, cx: &mut Context<'_>, name: &'static str) -> Option<Field<'n>> {
        self.required_at(cx, name, self.span)
    }

    /// The same, told at another place.
    pub fn required_at(
        &mut self,
        cx: &mut Context<'_>,
        name: &'static str,
        place: Span,
    ) -> Option<Field<'n>> {
        let field = self.get(name);
        // One that is misspelt has been told already.
        let misspelt = || {
            self.entries.iter().any(|entry| {
                self.section.key(&entry.key).is_none()
                    && meant(self.section, &entry.key).is_some_and(|key| key.name == name)
            })
        };
        if field.is_none() && cx.subject == Subject::Service && !misspelt() {
            let example = self.section.key(name).map_or("…", |key| key.example);
            cx.error(place, format!("{} needs `{name}`", self.section.title))
                .hint(format!("write {name} = {example}"));
        }
        field
    }

    /// Ends the reading; every key of the section has been asked for.
    pub fn finish(self) {
        debug_assert!(
            self.section.keys.iter().all(|key| self.asked.contains(&key.name)),
            "{} has keys that nobody reads",
            self.section.id
        );
    }
}

/// The key of the section that was meant, probably.
fn meant(section: &'static Section, given: &str) -> Option<&'static Key> {
    let lower = given.to_ascii_lowercase();
    match nearest(given, section.keys.iter().map(|key| key.name)) {
        Some(name) => section.key(name),
        None => section.keys.iter().find(|key| key.also.contains(&lower.as_str())),
    }
}

fn unknown_key(cx: &mut Context<'_>, entry: &Entry, section: &'static Section) {
    let given = entry.key.as_str();
    let message = format!("unknown key `{given}` in {}", section.title);
    if cx.is_full() {
        cx.error(entry.key_span, message);
        return;
    }
    let all = || format!("{} has {}", section.title, list(section.keys.iter().map(|key| key.name), "and"));
    let hint = if let Some(key) = meant(section, given) {
        format!("did you mean `{}`?", key.name)
    } else {
        // A good key in a wrong place?
        let elsewhere = walk(&STACK);
        let places: Vec<&str> = elsewhere
            .iter()
            .filter(|(_, other)| other.key(given).is_some())
            .map(|(path, _)| if path.is_empty() { "the top of the file" } else { path.as_str() })
            .collect();
        if places.is_empty() { all() } else { format!("it is a key of {}", list(places, "and")) }
    };
    cx.error(entry.key_span, message).hint(hint);
}

impl Context<'_> {
    /// One of some strings.
    pub fn choice<T: Copy>(&mut self, field: Field<'_>, choices: &[(&str, T)]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let text = self.string(field, &quoted(names()))?;
        match choices.iter().find(|(name, _)| *name == text.value) {
            Some((_, value)) => Some(*value),
            None => {
                self.not_a_choice(&text, field.key, &names().collect::<Vec<_>>());
                None
            }
        }
    }

    /// Tells that a string is none of those expected.
    pub fn not_a_choice(&mut self, text: &Str, key: &str, names: &[&str]) {
        let accepted = quoted(names.iter().copied());
        let hint = match nearest(&text.value, names.iter().copied()).or_else(|| synonym(&text.value, names)) {
            Some(near) => format!("did you mean \"{near}\"? It can be {accepted}"),
            None => format!("it can be {accepted}"),
        };
        self.error(text.whole(), format!("`{key}` cannot be \"{}\"", text.value)).hint(hint);
    }

    /// A whole number in a range.
    pub fn count(&mut self, field: Field<'_>, least: u32, most: u32) -> Option<u32> {
        let Value::Integer(_, number) = &field.node.value else {
            let problem = self.wrong_type(field, "a whole number");
            if matches!(field.node.value, Value::Text(_)) {
                problem.hint("write it without quotes");
            }
            return None;
        };
        let fits = number.and_then(|n| u32::try_from(n).ok()).filter(|n| (least..=most).contains(n));
        if fits.is_none() {
            let message = match number {
                Some(n) => format!("`{}` cannot be {n}", field.key),
                None => format!("the number for `{}` is too large", field.key),
            };
            let hint = if most == u32::MAX {
                format!("at least {least} is accepted")
            } else {
                format!("{least} to {most} are accepted")
            };
            self.error(field.span(), message).hint(hint);
        }
        fits
    }

    /// The items of a list.
    pub fn items<'n>(&mut self, field: Field<'n>, expected: &str) -> Option<&'n [Node]> {
        match &field.node.value {
            Value::List(items) => Some(items),
            _ => {
                self.wrong_type(field, expected);
                None
            }
        }
    }
}

/// What other tools call a choice.
fn synonym<'n>(given: &str, names: &[&'n str]) -> Option<&'n str> {
    let meant = match given.to_ascii_lowercase().as_str() {
        "no" | "none" | "false" | "off" => ["never", "disabled"],
        "yes" | "true" | "on" | "unless-stopped" => ["always", "auto"],
        "automatic" | "enabled" => ["auto", "always"],
        "demand" | "on-demand" => ["manual", "manual"],
        "on-error" | "on-crash" | "unexpected" => ["on-failure", "on-failure"],
        "healthy" | "service_healthy" => ["ready", "ready"],
        "running" | "service_started" => ["started", "started"],
        "exited" | "done" | "finished" | "service_completed_successfully" => ["completed", "completed"],
        "ignore" | "success" | "exit" => ["stop", "stop"],
        _ => return None,
    };
    names.iter().copied().find(|name| meant.contains(name))
}

/// `"a", "b" or "c"`.
fn quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    list(names, "or").replace('`', "\"")
}
