//! Secrets in templates. No value is there when a template is rendered: a token stands for it, which says how the value
//! is to be written there, and becomes a reference in the end.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mainstay_core::{Encoding, Piece, SecretText, is_secret_name};
use minijinja::value::{Kwargs, Object, ObjectRepr, Value};
use minijinja::{Environment, Error, State, filters};

use super::Mistake;

/// How a token begins. It has letters and digits alone, which no encoding changes; the rest of it is
/// `x<name, in hexadecimal digits>y<encodings, a letter each>z`.
const MARK: &str = "mainstay7c0f5e1b93d24a68";
/// So many characters of it tell what is left of one that somebody has cut, or written in other letters.
const RUIN: usize = 8;
/// So many references in one text.
const MAX_REFERENCES: usize = 100;

/// `secret`: a table with a token for every name.
#[derive(Debug)]
pub(super) struct Names;

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str().filter(|name| is_secret_name(name))?;
        Some(Value::from_object(Hidden(token(name, &[]))))
    }
}

/// A text with tokens. Nothing of it can be cut out, and it has no length.
#[derive(Debug)]
struct Hidden(String);

impl Object for Hidden {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a template is given of a text in which secrets may stand.
pub(crate) fn value(text: &SecretText) -> Value {
    if let Some(plain) = text.plain() {
        return Value::from(plain);
    }
    let pieces = text.pieces().into_iter().map(|piece| match piece {
        Piece::Text(plain) => plain.into_owned(),
        Piece::Secret(name, encodings) => token(name, &encodings),
    });
    Value::from_object(Hidden(pieces.collect()))
}

/// Filters that write a text in the way of another language do so with secrets, too.
pub(super) fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter("tojson", |value: &Value, indent: Option<Value>, rest: Kwargs| {
        let json = filters::tojson(value, indent, rest)?;
        Ok::<_, Error>(Value::from_safe_string(encoded(&json.to_string(), Encoding::Json)))
    });
    let escape = |state: &mut State<'_, '_>, value: &Value| match value.is_safe() {
        true => Ok(value.clone()),
        false => {
            let html = filters::escape(state, value)?;
            Ok::<_, Error>(Value::from_safe_string(encoded(&html.to_string(), Encoding::Html)))
        }
    };
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("urlencode", |value: &Value| {
        let mut url = String::new();
        Encoding::Url.write(&value.to_string(), &mut url);
        encoded(&url, Encoding::Url)
    });
}

/// What was rendered, with references where tokens were.
pub(super) fn references(rendered: &str) -> Result<SecretText, Mistake> {
    let wrong = |message: &str, hint: &str| {
        Err(Mistake { message: message.to_owned(), hint: Some(hint.to_owned()), range: 0..0 })
    };
    let tokens = tokens(rendered);
    if tokens.len() > MAX_REFERENCES {
        let message = format!("there are {} secrets in it", tokens.len());
        return wrong(&message, &format!("at most {MAX_REFERENCES} are accepted"));
    }
    let (mut pieces, mut end) = (Vec::new(), 0);
    for token in &tokens {
        pieces.push(Piece::Text(rendered[end..token.range.start].into()));
        pieces.push(Piece::Secret(&token.name, token.encodings.clone()));
        end = token.range.end;
    }
    pieces.push(Piece::Text(rendered[end..].into()));
    // The first word of it alone may stand there as well.
    let ruins = || MARK.as_bytes().windows(RUIN).skip(1).filter_map(|part| str::from_utf8(part).ok());
    let ruined = |piece: &Piece<'_>| {
        matches!(piece, Piece::Text(plain) if {
            let plain = plain.to_ascii_lowercase();
            ruins().any(|ruin| plain.contains(ruin))
        })
    };
    if pieces.iter().any(ruined) {
        return wrong(
            "a secret cannot be changed by a template",
            "its value is read when the file is written: put it in as it is, or by tojson, urlencode or escape",
        );
    }
    Ok(SecretText::of(pieces))
}

struct Token {
    range: Range<usize>,
    name: String,
    encodings: Vec<Encoding>,
}

fn token(name: &str, encodings: &[Encoding]) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let letters: String = encodings.iter().copied().map(letter).collect();
    format!("{MARK}x{digits}y{letters}z")
}

const fn letter(encoding: Encoding) -> char {
    match encoding {
        Encoding::Json => 'j',
        Encoding::Url => 'u',
        Encoding::Html => 'h',
    }
}

fn tokens(text: &str) -> Vec<Token> {
    text.match_indices(MARK).filter_map(|(start, _)| token_at(text, start)).collect()
}

fn token_at(text: &str, start: usize) -> Option<Token> {
    let after = text[start..].strip_prefix(MARK)?.strip_prefix('x')?;
    let (inside, rest) = after.split_once('z')?;
    let (digits, letters) = inside.split_once('y')?;
    let name = digits.as_bytes().chunks(2).map(|pair| {
        let pair = str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let name = String::from_utf8(name.collect::<Option<Vec<u8>>>()?).ok()?;
    let encoding = |c| Encoding::ALL.into_iter().find(|encoding| letter(*encoding) == c);
    let encodings = letters.chars().map(encoding).collect::<Option<Vec<_>>>()?;
    is_secret_name(&name).then_some(Token { range: start..text.len() - rest.len(), name, encodings })
}

/// The same text, in which what the tokens stand for is encoded once more.
fn encoded(text: &str, encoding: Encoding) -> String {
    let mut out = text.to_owned();
    for token in tokens(text).iter().rev() {
        out.insert(token.range.end - 1, letter(encoding));
    }
    out
}
