//! TOML to a tree of values.
//!
//! The parser recovers from mistakes, and so a person sees more than one; what it makes up while recovering is kept
//! from making further noise.

use std::borrow::Cow;
use std::ops::Range;

use ::toml::de::{DeInteger, DeString, DeTable, DeValue};

use crate::context::Context;
use crate::source::Span;
use crate::value::{Entry, Node, Text, Value};

/// Reads a source as TOML. If its structure is in doubt, all there is to say has been said and the node is broken.
pub(crate) fn read(cx: &mut Context<'_>, source: usize) -> Node {
    let text = cx.source(source).text.clone();
    let (table, errors) = DeTable::parse_recoverable(&text);
    let mistakes = mistakes(&text, errors);
    let sound = mistakes.iter().all(|mistake| mistake.local);
    let whole = Span { source, start: 0, end: text.len() };

    let mut duplicates = Vec::new();
    for mistake in &mistakes {
        if mistake.message == DUPLICATE && duplicates.len() < MAX_DUPLICATES {
            duplicates.push(mistake.range.clone());
            continue;
        }
        let span = Span { source, start: mistake.range.start, end: mistake.range.end };
        let problem = cx.error(span, &mistake.message);
        if let Some(hint) = &mistake.hint {
            problem.hint(hint.clone());
        }
    }
    let reader = Reader { source, text: &text, offset: 0, mistakes: &mistakes };
    let root = reader.table(table.get_ref());
    for range in duplicates {
        duplicate(cx, &root, source, &text, range);
    }
    let value = if sound { root } else { Value::Broken };
    Node { span: whole, value }
}

const DUPLICATE: &str = "duplicate key";
/// For so many of them the other place is looked for, each time through the whole file.
const MAX_DUPLICATES: usize = 20;
const NOT_CLOSED: &str = "this list is not closed";

/// A mistake of syntax.
struct Mistake {
    range: Range<usize>,
    message: String,
    hint: Option<String>,
    /// It concerns one value or key: all around it can be trusted.
    local: bool,
    /// The value was understood nevertheless.
    understood: bool,
}

/// What the parser found, in order, one a line, without what only follows from an earlier one.
fn mistakes(text: &str, errors: Vec<::toml::de::Error>) -> Vec<Mistake> {
    let mut found: Vec<(Range<usize>, String)> = errors
        .into_iter()
        .map(|error| {
            let range = error.span().unwrap_or(0..0);
            (range.start.min(text.len())..range.end.min(text.len()), error.message().to_owned())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.start.cmp(&b.start).then(a.end.cmp(&b.end)));

    // A list that is not closed takes the rest of the file for its items.
    let unclosed = found.iter().rposition(|(_, message)| message.starts_with("unclosed array"));
    let first = found.iter().position(|(_, message)| message.contains("array"));
    if let (Some(unclosed), Some(first)) = (unclosed, first) {
        let (from, to) = (found[first].0.start, found[unclosed].0.end);
        // Where it should have been closed: behind what is right.
        let end = text[..from].trim_end().len();
        found.retain(|(range, _)| range.start < end || range.start > to);
        let at = found.partition_point(|(range, _)| range.start < end);
        found.insert(at, (end..end, NOT_CLOSED.to_owned()));
    }

    let mut kept: Vec<Mistake> = Vec::new();
    let mut line_end = None;
    for (range, message) in found {
        if line_end.is_some_and(|end| range.start <= end) {
            continue;
        }
        line_end = Some(text[range.start..].find('\n').map_or(text.len(), |at| range.start + at));
        kept.push(explain(range, message));
    }
    kept
}

/// The parser's words in ours, where they need help.
fn explain(range: Range<usize>, message: String) -> Mistake {
    let mut mistake = Mistake { range, message, hint: None, local: false, understood: false };
    let message = mistake.message.as_str();
    if message == DUPLICATE {
        (mistake.local, mistake.understood) = (true, true);
    } else if message.starts_with("string values must be quoted") {
        (mistake.local, mistake.understood) = (true, true);
        mistake.message = "a string needs quotes".to_owned();
        mistake.hint = Some("write \"…\", or '…' to take every character as it is".to_owned());
    } else if message.starts_with("missing escaped value") || message.contains("unicode value") {
        mistake.local = true;
        mistake.message = "this `\\` begins no escape that is known".to_owned();
        mistake.hint =
            Some("write Windows paths in single quotes: 'C:\\apps\\api.exe', or double each `\\`".to_owned());
    } else if message.starts_with("invalid unquoted key") {
        mistake.local = true;
        mistake.message = "this key needs quotes".to_owned();
        mistake.hint = Some("bare keys have letters (a-z, A-Z), digits, `-` and `_`".to_owned());
    } else if message.starts_with("key with no value") {
        mistake.message = "a key without a value".to_owned();
        mistake.hint = Some("write key = value".to_owned());
    } else if message == NOT_CLOSED {
        mistake.hint = Some("add a comma and the next item, or `]`".to_owned());
    } else if message.starts_with("unclosed table") {
        mistake.message = "this header is not closed".to_owned();
        mistake.hint = Some("add `]`".to_owned());
    } else if message.starts_with("invalid literal string") || message.starts_with("invalid basic string") {
        mistake.hint = Some("is the closing quote missing?".to_owned());
    }
    mistake
}

/// Tells of a key or table that is given twice, and where it was given first.
fn duplicate(cx: &mut Context<'_>, root: &Value, source: usize, text: &str, range: Range<usize>) {
    let again = text.get(range.clone()).unwrap_or_default();
    let line_start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let other = if text[line_start..].trim_start().starts_with('[') {
        first_header(text, line_start)
    } else {
        find_key(root, again.trim_matches(['"', '\'']), range.start)
            .filter(|span| !text[span.start..range.start].contains("\n["))
            .map(|span| span.start..span.end)
    };
    let span = |range: Range<usize>| Span { source, start: range.start, end: range.end };
    let problem = cx.error(span(range), format!("`{again}` is given twice")).hint("keep one of them");
    if let Some(first) = other {
        problem.related(span(first), "given here too");
    }
}

/// The header at `line_start`, where it stands first.
fn first_header(text: &str, line_start: usize) -> Option<Range<usize>> {
    let header = text[line_start..].lines().next()?.trim();
    let mut at = 0;
    for line in text[..line_start].split_inclusive('\n') {
        if line.trim() == header {
            let start = at + line.len() - line.trim_start().len();
            return Some(start..start + header.len());
        }
        at += line.len();
    }
    None
}

/// The last key of this name before `limit`.
fn find_key(value: &Value, name: &str, limit: usize) -> Option<Span> {
    let mut last: Option<Span> = None;
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Table(entries) => {
                for entry in entries {
                    if entry.key == name && entry.key_span.start < limit {
                        last = last.max(Some(entry.key_span));
                    }
                    pending.push(&entry.value.value);
                }
            }
            Value::List(items) => pending.extend(items.iter().map(|item| &item.value)),
            _ => {}
        }
    }
    last
}

/// A single value such as `5` or `["a", "b"]`, which stands at `offset` of a source. None if it is no TOML.
pub(crate) fn single(source: usize, text: &str, offset: usize) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let reader = Reader { source, text, offset, mistakes: &[] };
    Some(reader.node(value.span(), value.get_ref()))
}

/// A dotted key such as `service."shop.api".start`: its parts with their places.
pub(crate) fn key(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    if text.contains(['\n', '\r', '[', '{', '#']) {
        return None;
    }
    let line = format!("{text}=0");
    let table = DeTable::parse(&line).ok()?;
    let mut parts = Vec::new();
    let mut next = table.get_ref();
    loop {
        let mut entries = next.iter();
        let (key, value) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        parts.push((key.get_ref().to_string(), key.span()));
        match value.get_ref() {
            DeValue::Table(inner) => next = inner,
            _ => return Some(parts),
        }
    }
}

struct Reader<'t> {
    source: usize,
    text: &'t str,
    /// Where `text` begins in the source.
    offset: usize,
    mistakes: &'t [Mistake],
}

impl Reader<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        Span { source: self.source, start: self.offset + range.start, end: self.offset + range.end }
    }

    fn table(&self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_span: self.span(key.span()),
                value: self.node(value.span(), value.get_ref()),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span);
        Value::Table(entries)
    }

    fn node(&self, range: Range<usize>, value: &DeValue<'_>) -> Node {
        let value = match value {
            DeValue::Table(table) => self.table(table),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item.span(), item.get_ref())).collect())
            }
            _ if self.is_damaged(&range) => Value::Broken,
            DeValue::String(text) => Value::Text(self.string(text)),
            DeValue::Integer(number) => integer(number),
            DeValue::Float(_) => Value::Decimal,
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(_) => Value::Date,
        };
        Node { span: self.span(range), value }
    }

    fn string(&self, text: &DeString<'_>) -> Text {
        let verbatim = match text {
            Cow::Borrowed(part) => {
                // Where the slice lies in the text it was cut from.
                let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
                self.text
                    .get(offset..offset.wrapping_add(part.len()))
                    .filter(|same| same == part)
                    .map(|_| self.offset + offset)
            }
            Cow::Owned(_) => None,
        };
        Text { raw: text.to_string(), verbatim }
    }

    fn is_damaged(&self, range: &Range<usize>) -> bool {
        let from = self.mistakes.partition_point(|mistake| mistake.range.start < range.start);
        self.mistakes[from..]
            .iter()
            .take_while(|mistake| mistake.range.start <= range.end)
            .any(|mistake| !mistake.understood)
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    let digits = number.as_str();
    let parsed = i128::from_str_radix(digits, number.radix()).ok();
    Value::Integer(number.to_string(), parsed)
}
