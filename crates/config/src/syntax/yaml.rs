//! YAML 1.2 to a tree of values.
//!
//! Plain scalars mean what YAML 1.2 says: `no`, `yes`, `on` and `off` are strings, and never truth values. Anchors,
//! aliases and merge keys (`<<`) work; what aliases repeat is bounded, so that a small file cannot fill the memory.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Mark, Tag};

use crate::context::Context;
use crate::source::Span;
use crate::value::{Entry, Node, Text, Value};

/// Tables and lists in each other.
const MAX_DEPTH: usize = 128;
/// So many values, and bytes of strings, may come of aliases.
const MAX_REPEATED: usize = 1_000_000;
/// The key that takes in other tables.
const MERGE: &str = "<<";

/// Reads a source as YAML.
pub(crate) fn read(cx: &mut Context<'_>, source: usize) -> Node {
    let text = cx.source(source).text.clone();
    let whole = Span { source, start: 0, end: text.len() };
    let mut builder = Builder::new(source, &text);
    let mut sound = true;
    for next in Parser::new_from_str(&text) {
        let goes_on = match next {
            Ok((event, mark)) => builder.take(cx, event, mark),
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let (message, hint) = explain(error.info());
                let problem = cx.error(Span { source, start: at, end: at }, message);
                if let Some(hint) = hint {
                    problem.hint(hint);
                }
                false
            }
        };
        if !goes_on {
            sound = false;
            break;
        }
    }
    let value = match (sound, builder.root) {
        (false, _) => Value::Broken,
        // Nothing, or comments alone.
        (true, None | Some(Node { value: Value::Null, .. })) => Value::Table(Vec::new()),
        (true, Some(root)) => root.value,
    };
    Node { span: whole, value }
}

/// The parser's words, and what to do.
fn explain(info: &str) -> (String, Option<&'static str>) {
    let lower = info.to_ascii_lowercase();
    if lower.contains("tab") {
        return (info.to_owned(), Some("YAML is indented with blanks, never with tabs"));
    }
    if lower.contains("anchor") {
        return (info.to_owned(), Some("an alias `*name` needs an anchor `&name` before it"));
    }
    if lower.contains("mapping values are not allowed") {
        return (
            "a `:` is not allowed here".to_owned(),
            Some("check the indentation; a value with `: ` in it needs quotes"),
        );
    }
    if lower.contains("recursion limit") {
        return ("too many tables or lists in each other".to_owned(), None);
    }
    (info.to_owned(), Some("check the indentation and the quotes on this line and the one before"))
}

/// A table or a list that is not ended yet.
struct Frame {
    start: usize,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Table(Table),
}

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    seen: BTreeMap<String, Span>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// What `<<` names, in order.
    merged: Vec<Entry>,
}

struct Key {
    name: String,
    span: Span,
    merge: bool,
}

/// What an anchor names, and how much it is.
struct Anchor {
    node: Node,
    weight: usize,
}

struct Builder<'t> {
    source: usize,
    text: &'t str,
    /// Where each character begins, if some are longer than a byte.
    starts: Option<Vec<u32>>,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchor>,
    repeated: usize,
    documents: usize,
    root: Option<Node>,
}

impl<'t> Builder<'t> {
    fn new(source: usize, text: &'t str) -> Self {
        let starts = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect());
        Builder {
            source,
            text,
            starts,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            repeated: 0,
            documents: 0,
            root: None,
        }
    }

    /// The parser counts characters.
    fn byte(&self, character: usize) -> usize {
        match &self.starts {
            None => character.min(self.text.len()),
            Some(starts) => starts.get(character).map_or(self.text.len(), |at| *at as usize),
        }
    }

    fn span(&self, mark: Mark) -> Span {
        let start = self.byte(mark.start.index());
        Span { source: self.source, start, end: self.byte(mark.end.index()).max(start) }
    }

    /// Takes the next event. False: there is no sense in going on.
    fn take(&mut self, cx: &mut Context<'_>, event: Event<'_>, mark: Mark) -> bool {
        let span = self.span(mark);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => true,
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    cx.error(Span { end: span.start, ..span }, "a second document begins here")
                        .hint("a configuration is one document: leave out the line `---`");
                }
                self.documents == 1
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(cx, &text, style, tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain;
                self.put(cx, Node { span, value }, anchor, plain)
            }
            Event::SequenceStart(anchor, tag) => {
                tag_of_collection(cx, tag.as_deref(), "seq", span);
                self.open(cx, span, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                tag_of_collection(cx, tag.as_deref(), "map", span);
                self.open(cx, span, anchor, Inside::Table(Table::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.frames.pop() else { return true };
                let end = span.end.max(frame.start);
                let end = frame.start + self.text[frame.start..end].trim_end().len();
                let span = Span { source: self.source, start: frame.start, end };
                let value = match frame.inside {
                    Inside::List(items) => Value::List(items),
                    Inside::Table(table) => Value::Table(table.end()),
                };
                self.put(cx, Node { span, value }, frame.anchor, false)
            }
            Event::Alias(anchor) => self.alias(cx, anchor, span),
        }
    }

    fn open(&mut self, cx: &mut Context<'_>, span: Span, anchor: usize, inside: Inside) -> bool {
        if self.frames.len() >= MAX_DEPTH {
            cx.error(Span { end: span.start, ..span }, "too many tables or lists in each other")
                .hint(format!("{MAX_DEPTH} levels are understood"));
            return false;
        }
        self.frames.push(Frame { start: span.start, anchor, inside });
        true
    }

    fn alias(&mut self, cx: &mut Context<'_>, anchor: usize, span: Span) -> bool {
        let Some(found) = self.anchors.get(&anchor) else {
            cx.error(span, "this alias stands inside of what it names")
                .hint("name something that is complete");
            return false;
        };
        self.repeated = self.repeated.saturating_add(found.weight);
        if self.repeated > MAX_REPEATED {
            cx.error(span, "the aliases of this file repeat too much")
                .hint(format!("at most {MAX_REPEATED} values and bytes may come of them"));
            return false;
        }
        let node = found.node.clone();
        self.put(cx, node, 0, false)
    }

    /// Puts a value where it belongs. `plain`: it was written without quotes.
    fn put(&mut self, cx: &mut Context<'_>, node: Node, anchor: usize, plain: bool) -> bool {
        if anchor != 0 {
            let weight = node.weight();
            // What is kept is bounded like what is repeated: anchors in anchors would be kept many times over.
            self.repeated = self.repeated.saturating_add(weight / 16);
            self.anchors.insert(anchor, Anchor { node: node.clone(), weight });
        }
        let text = self.text;
        match self.frames.last_mut().map(|frame| &mut frame.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Table(table)) => match table.key.take() {
                None => match key_name(&node, text) {
                    Some(name) => {
                        table.key = Some(Key { merge: plain && name == MERGE, name, span: node.span });
                    }
                    None => {
                        cx.error(node.span, format!("a key has to be a string, and this is {}", node.kind()))
                            .hint("write it like key: value");
                        return false;
                    }
                },
                Some(key) if key.merge => merge(cx, table, node),
                Some(key) => {
                    if let Some(first) = table.seen.get(&key.name) {
                        cx.error(key.span, format!("`{}` is given twice", key.name))
                            .hint("keep one of them")
                            .related(*first, "given here too");
                    } else {
                        table.seen.insert(key.name.clone(), key.span);
                        table.entries.push(Entry { key: key.name, key_span: key.span, value: node });
                    }
                }
            },
        }
        true
    }

    fn scalar(
        &self,
        cx: &mut Context<'_>,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Value {
        let string = || {
            let source = self.text.get(span.start..span.end).unwrap_or_default();
            let skip = usize::from(source.starts_with(['"', '\'']) && style != ScalarStyle::Plain);
            let verbatim =
                source.get(skip..).is_some_and(|inner| inner.starts_with(text)) && !text.is_empty();
            Value::Text(Text { raw: text.to_owned(), verbatim: verbatim.then_some(span.start + skip) })
        };
        match tag {
            None if style == ScalarStyle::Plain => plain(text).unwrap_or_else(string),
            None => string(),
            Some(tag) if is_core(tag, "str") || tag.suffix.is_empty() => string(),
            Some(tag) if ["int", "float", "bool", "null"].iter().any(|name| is_core(tag, name)) => {
                plain(text).unwrap_or_else(string)
            }
            Some(_) => {
                cx.error(span, "this tag is not understood")
                    .hint("leave it out; `!!str` makes a string of any value");
                Value::Broken
            }
        }
    }
}

impl Table {
    /// The entries, those of `<<` behind the table's own: of one name the first counts.
    fn end(self) -> Vec<Entry> {
        let mut entries = self.entries;
        let mut seen = self.seen;
        for entry in self.merged {
            if !seen.contains_key(&entry.key) {
                seen.insert(entry.key.clone(), entry.key_span);
                entries.push(entry);
            }
        }
        entries
    }
}

fn merge(cx: &mut Context<'_>, table: &mut Table, node: Node) {
    let span = node.span;
    let parts = match node.value {
        Value::List(items) => items,
        value => vec![Node { span, value }],
    };
    for part in parts {
        match part.value {
            Value::Table(entries) => table.merged.extend(entries),
            Value::Broken => {}
            _ => {
                cx.error(part.span, "`<<` takes in tables, and this is none")
                    .hint("write <<: *name, or <<: [*one, *two]");
            }
        }
    }
}

/// A key as it is written: `78:` is the key "78".
fn key_name(node: &Node, text: &str) -> Option<String> {
    match &node.value {
        Value::Text(key) => Some(key.raw.clone()),
        Value::Integer(..) | Value::Decimal | Value::Bool(_) => {
            text.get(node.span.start..node.span.end).map(|written| written.trim().to_owned())
        }
        _ => None,
    }
}

fn is_core(tag: &Tag, name: &str) -> bool {
    tag.suffix == name && tag.handle == "tag:yaml.org,2002:"
}

fn tag_of_collection(cx: &mut Context<'_>, tag: Option<&Tag>, name: &str, span: Span) {
    if let Some(tag) = tag
        && !is_core(tag, name)
    {
        cx.error(Span { end: span.start, ..span }, "this tag is not understood").hint("leave it out");
    }
}

/// A plain scalar by YAML 1.2's core schema; none if it is a string.
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" => {
            return Some(Value::Decimal);
        }
        _ => {}
    }
    let radix = |prefix: &str, radix: u32| {
        let digits = text.strip_prefix(prefix)?;
        let good = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        good.then(|| Value::Integer(text.to_owned(), i128::from_str_radix(digits, radix).ok()))
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.chars().all(|c| c.is_ascii_digit()) {
        return Some(Value::Integer(text.to_owned(), text.parse().ok()));
    }
    let decimal = unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    (decimal && text.parse::<f64>().is_ok()).then_some(Value::Decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_yaml_1_2_says() {
        for text in
            ["no", "yes", "on", "off", "y", "N", "1_000", "12:30", "0b1", "1.2.3", "-", "e3", "0x", "+x"]
        {
            assert!(plain(text).is_none(), "{text} is a string");
        }
        assert!(matches!(plain("08"), Some(Value::Integer(_, Some(8)))));
        assert!(matches!(plain("0xFF"), Some(Value::Integer(_, Some(255)))));
        assert!(plain("-0o17").is_none());
        assert!(matches!(plain("0o17"), Some(Value::Integer(_, Some(15)))));
        assert!(matches!(plain("1.10"), Some(Value::Decimal)));
        assert!(matches!(plain("~"), Some(Value::Null)));
        assert!(matches!(plain("True"), Some(Value::Bool(true))));
    }
}
