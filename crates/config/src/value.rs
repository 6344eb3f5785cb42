//! A configuration as a tree of values with their places, whatever format it was written in.

use crate::source::Span;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Text),
    /// The number as written without `_`, and itself if it fits.
    Integer(String, Option<i128>),
    Decimal,
    Bool(bool),
    /// YAML's and JSON's `null`: takes away what a lower layer says.
    Null,
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Something that the parser has already complained about; nothing more is said of it.
    Broken,
}

/// A string as written in the file: `${…}` not yet replaced.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub raw: String,
    /// Where `raw` begins in the source, if it stands there letter by letter (no escapes).
    pub verbatim: Option<usize>,
}

/// One `key = value` of a table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    /// What it is, in words that fit after "found".
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a string",
            Value::Integer(..) => "an integer",
            Value::Decimal => "a decimal number",
            Value::Bool(_) => "true or false",
            Value::Null => "nothing",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Broken => "something broken",
        }
    }

    /// How much it is: values, and bytes of strings.
    pub fn weight(&self) -> usize {
        1 + match &self.value {
            Value::Text(text) => text.raw.len(),
            Value::List(items) => items.iter().map(Node::weight).sum(),
            Value::Table(entries) => entries.iter().map(|e| e.key.len() + e.value.weight()).sum(),
            _ => 0,
        }
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.value, Value::Broken)
    }
}

impl Text {
    /// The place of a part of the string, given as bytes of `raw`; the whole string's if it is written with escapes.
    pub fn part(&self, whole: Span, start: usize, end: usize) -> Span {
        match self.verbatim {
            Some(first) => Span { source: whole.source, start: first + start, end: first + end },
            None => whole,
        }
    }
}
