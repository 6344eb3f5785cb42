//! How the table of keys is written: each element has a [`Section`] beside its reader.
//!
//! A section drives the hint for an unknown key, the JSON schema and the reference in the documentation, and the
//! reader checks (in tests) that it asks for exactly the keys of its section: none of them can drift.

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the JSON schema.
    pub id: &'static str,
    /// What it is, fit to follow "unknown key … in".
    pub title: &'static str,
    pub about: &'static str,
    pub keys: &'static [Key],
    /// Exactly one of these keys has to be there, unless empty.
    pub one_of: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub form: Form,
    /// One line of Markdown.
    pub about: &'static str,
    /// The default as written in the file, or in words.
    pub default: Option<&'static str>,
    /// A value as written in the file.
    pub example: &'static str,
    /// What other tools, or people in a hurry, call it.
    pub also: &'static [&'static str],
    pub required: bool,
    /// Accepted, but nothing follows from it in this version.
    pub no_effect: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Text,
    /// A name of a stack or service.
    Name,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// One of these strings or numbers in a range: signals.
    Signal,
    Duration,
    Size,
    /// A whole number, at least and at most.
    Count(u32, u32),
    /// A number of processors, or a percentage of one.
    Processors,
    /// A whole number that may be negative, at least and at most.
    Number(i32, i32),
    /// Only `true`.
    True,
    /// `true` or `false`.
    Truth,
    /// A list of strings, or a string that is split at blanks.
    Command,
    Url,
    /// `host:port`.
    Address,
    Regex,
    Path,
    /// A string, or a number or truth value taken as one.
    Scalar,
    List(&'static Form),
    /// Anything, tables of it too.
    Free,
    /// A table with keys of the user's choosing.
    Map(MapKey, &'static Form),
    Section(&'static Section),
    /// The same keys as a section that is described elsewhere.
    Like(&'static Section),
    Any(&'static [Form]),
}

/// What the keys of a [`Form::Map`] are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MapKey {
    Name,
    Secret,
    Variable,
    ExitCode,
    Control,
    Header,
}

impl Key {
    pub const fn new(name: &'static str, form: Form, example: &'static str, about: &'static str) -> Key {
        Key { name, form, about, default: None, example, also: &[], required: false, no_effect: false }
    }

    pub const fn default(mut self, default: &'static str) -> Key {
        self.default = Some(default);
        self
    }

    pub const fn also(mut self, also: &'static [&'static str]) -> Key {
        self.also = also;
        self
    }

    pub const fn required(mut self) -> Key {
        self.required = true;
        self
    }

    #[expect(dead_code, reason = "for the next key that is there before what follows from it")]
    pub const fn no_effect(mut self) -> Key {
        self.no_effect = true;
        self
    }
}

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Form {
    /// The sections that a value of this form can be, or can hold, and what is written before their keys.
    pub fn sections(&self, path: &str, out: &mut Vec<(String, &'static Section)>) {
        match self {
            Form::Section(section) => out.push((path.to_owned(), section)),
            Form::List(item) => item.sections(path, out),
            Form::Map(_, value) => value.sections(&format!("{path}.NAME"), out),
            Form::Any(forms) => forms.iter().for_each(|form| form.sections(path, out)),
            Form::Like(_)
            | Form::Text
            | Form::Name
            | Form::Choice(_)
            | Form::Signal
            | Form::Duration
            | Form::Size
            | Form::Count(..)
            | Form::Number(..)
            | Form::True
            | Form::Processors
            | Form::Truth
            | Form::Command
            | Form::Url
            | Form::Address
            | Form::Regex
            | Form::Path
            | Form::Free
            | Form::Scalar => {}
        }
    }
}

/// Every section below `root`, with the path to it, each before what is in it. A section that stands in several places
/// appears several times.
pub(crate) fn walk(root: &'static Section) -> Vec<(String, &'static Section)> {
    let mut found: Vec<(String, &'static Section)> = vec![(String::new(), root)];
    let mut next = 0;
    while let Some((path, section)) = found.get(next).cloned() {
        let mut inside = Vec::new();
        for key in section.keys {
            let dot = if path.is_empty() { "" } else { "." };
            key.form.sections(&format!("{path}{dot}{}", key.name), &mut inside);
        }
        next += 1;
        found.splice(next..next, inside);
    }
    found
}
