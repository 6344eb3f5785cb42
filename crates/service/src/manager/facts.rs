//! What a service manager knows of a service, by words that are the same for all of them.

use std::fmt;

/// One thing that a service manager knows of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is called: a word in small letters, with `_` for blanks.
    pub name: &'static str,
    /// What it is.
    pub value: FactValue,
}

/// The value of a [`Fact`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactValue {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Whether it is so.
    Truth(bool),
    /// Several texts.
    List(Vec<String>),
}

impl From<String> for FactValue {
    fn from(text: String) -> FactValue {
        FactValue::Text(text)
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> FactValue {
        FactValue::Text(text.to_owned())
    }
}

impl From<u32> for FactValue {
    fn from(number: u32) -> FactValue {
        FactValue::Number(number.into())
    }
}

impl From<u64> for FactValue {
    fn from(number: u64) -> FactValue {
        FactValue::Number(number)
    }
}

impl From<bool> for FactValue {
    fn from(truth: bool) -> FactValue {
        FactValue::Truth(truth)
    }
}

impl From<Vec<String>> for FactValue {
    fn from(list: Vec<String>) -> FactValue {
        FactValue::List(list)
    }
}

impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactValue::Text(text) => f.write_str(text),
            FactValue::Number(number) => number.fmt(f),
            FactValue::Truth(truth) => f.write_str(if *truth { "yes" } else { "no" }),
            FactValue::List(list) if list.is_empty() => f.write_str("none"),
            FactValue::List(list) => f.write_str(&list.join(", ")),
        }
    }
}

/// Facts as they are found.
#[derive(Debug, Default)]
pub(super) struct Facts(pub(super) Vec<Fact>);

impl Facts {
    pub(super) fn add(&mut self, name: &'static str, value: impl Into<FactValue>) {
        self.0.push(Fact { name, value: value.into() });
    }

    /// What is not known, or is not there, is left out.
    pub(super) fn add_some(&mut self, name: &'static str, value: Option<impl Into<FactValue>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}
