//! JSON to a tree of values. Strictly JSON: what only JavaScript or a lenient reader would take is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jsonc_parser::ast::{ObjectPropName, StringLit, Value as Json};
use jsonc_parser::common::{Range, Ranged as _};
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::context::Context;
use crate::source::Span;
use crate::value::{Entry, Node, Text, Value};

/// Strict in all.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// So many mistakes that do not matter for what follows are told at once.
const MOST_REPAIRS: usize = 100;

/// Reads a source as JSON.
pub(crate) fn read(cx: &mut Context<'_>, source: usize) -> Node {
    let mut text = cx.source(source).text.to_string();
    let whole = Span { source, start: 0, end: text.len() };
    for _ in 0..MOST_REPAIRS {
        let error = match parse_to_ast(&text, &CollectOptions::default(), &OPTIONS) {
            // A file without anything in it is one without a key, as in TOML and YAML.
            Ok(result) => {
                let value =
                    result.value.map_or(Value::Table(Vec::new()), |value| node(cx, source, value).value);
                return Node { span: whole, value };
            }
            Err(error) => error,
        };
        let (message, hint) = explain(error.kind());
        let problem = cx.error(at(source, error.range()), message);
        if let Some(hint) = hint {
            problem.hint(hint);
        }
        let Some(repaired) = repair(&text, error.range().start, error.kind()) else { break };
        text = repaired;
    }
    Node { span: whole, value: Value::Broken }
}

/// The text without a mistake that is told already and whose repair is beyond doubt, so that what is behind it is told as
/// well. All else stays where it is.
fn repair(text: &str, at: usize, kind: &ParseErrorKind) -> Option<String> {
    let rest = text.get(at..)?;
    let (length, instead) = match kind {
        ParseErrorKind::ExpectedComma if rest.starts_with([' ', '\t', '\r', '\n']) => (1, ",".to_owned()),
        ParseErrorKind::TrailingCommasNotAllowed if rest.starts_with(',') => (1, " ".to_owned()),
        ParseErrorKind::CommentsNotAllowed => {
            let length = match rest.get(..2)? {
                "//" => rest.find('\n').unwrap_or(rest.len()),
                "/*" => rest.find("*/")? + 2,
                _ => return None,
            };
            (length, " ".repeat(length))
        }
        _ => return None,
    };
    Some([&text[..at], &instead, &rest[length..]].concat())
}

/// The parser's words in ours.
fn explain(kind: &ParseErrorKind) -> (String, Option<&'static str>) {
    use ParseErrorKind as Kind;
    match kind {
        Kind::CommentsNotAllowed => {
            ("JSON has no comments".to_owned(), Some("write the file in YAML or TOML, which have them"))
        }
        Kind::TrailingCommasNotAllowed => {
            ("a comma before the end".to_owned(), Some("leave out the comma behind the last item"))
        }
        Kind::SingleQuotedStringsNotAllowed => {
            ("a string in single quotes".to_owned(), Some("JSON has double quotes only: \"…\""))
        }
        Kind::UnexpectedWord => ("a string needs quotes".to_owned(), Some("write \"…\"")),
        Kind::ExpectedStringObjectProperty => {
            ("this key needs quotes".to_owned(), Some("write \"key\": value"))
        }
        Kind::ExpectedColonAfterObjectKey | Kind::ExpectedObjectValue => {
            ("a key without a value".to_owned(), Some("write \"key\": value"))
        }
        Kind::ExpectedComma => ("a comma is missing".to_owned(), Some("put one between two items")),
        Kind::UnterminatedArray => ("this list is not closed".to_owned(), Some("add `]`")),
        Kind::UnterminatedObject => ("this table is not closed".to_owned(), Some("add `}`")),
        Kind::HexadecimalNumbersNotAllowed => {
            ("JSON has no hexadecimal numbers".to_owned(), Some("write a decimal one"))
        }
        Kind::MultipleRootJsonValues => {
            ("there is something behind the end".to_owned(), Some("one table holds the whole configuration"))
        }
        Kind::NestingDepthExceeded => ("too many tables or lists in each other".to_owned(), None),
        Kind::String(inner) => (
            format!("this string is wrong: {}", lower(&inner.to_string())),
            Some("in JSON a backslash is written twice: \"C:\\\\apps\\\\api.exe\""),
        ),
        other => (lower(&other.to_string()), None),
    }
}

fn lower(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

fn node(cx: &mut Context<'_>, source: usize, json: Json<'_>) -> Node {
    let span = at(source, json.range());
    let value = match json {
        Json::StringLit(text) => Value::Text(string(&text)),
        Json::NumberLit(number) => match number.value.parse::<i128>() {
            Ok(parsed) => Value::Integer(number.value.to_owned(), Some(parsed)),
            Err(_) if number.value.contains(['.', 'e', 'E']) => Value::Decimal,
            Err(_) => Value::Integer(number.value.to_owned(), None),
        },
        Json::BooleanLit(truth) => Value::Bool(truth.value),
        Json::NullKeyword(_) => Value::Null,
        Json::Array(list) => {
            Value::List(list.elements.into_iter().map(|item| node(cx, source, item)).collect())
        }
        Json::Object(object) => {
            let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
            let mut seen: BTreeMap<String, Span> = BTreeMap::new();
            for property in object.properties {
                let key_span = at(source, property.name.range());
                let key = match property.name {
                    ObjectPropName::String(text) => text.value.into_owned(),
                    ObjectPropName::Word(word) => word.value.to_owned(),
                };
                let value = node(cx, source, property.value);
                if let Some(first) = seen.get(&key) {
                    cx.error(key_span, format!("`{key}` is given twice"))
                        .hint("keep one of them")
                        .related(*first, "given here too");
                    continue;
                }
                seen.insert(key.clone(), key_span);
                entries.push(Entry { key, key_span, value });
            }
            Value::Table(entries)
        }
    };
    Node { span, value }
}

fn string(text: &StringLit<'_>) -> Text {
    let verbatim = matches!(text.value, Cow::Borrowed(_)).then_some(text.range.start + 1);
    Text { raw: text.value.to_string(), verbatim }
}

fn at(source: usize, range: Range) -> Span {
    Span { source, start: range.start, end: range.end }
}
