//! Secrets: where their values are read from, and texts in which they stand. No value ever comes in here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a reference begins: `${secret:NAME}`.
const BEGIN: &str = "${secret:";

/// A text with references to secrets, as a plan has it: `postgres://app:${secret:db}@localhost/`. A value that is to be
/// written in the way of another language says so: `{"password": "${secret:db|json}"}`. A dollar sign that is none of a
/// reference is doubled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretText(String);

/// A piece of a [`SecretText`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// This, as it is.
    Text(Cow<'a, str>),
    /// The value of the secret of this name, encoded in these ways, one after the other.
    Secret(&'a str, Vec<Encoding>),
}

/// How a value is written within a text of another language, so that nothing in it means something there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Within a string of JSON, and so of YAML; without its quotes.
    Json,
    /// Within an address: all but letters, digits and `-._~` as `%xx`.
    Url,
    /// Within HTML or XML.
    Html,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 3] = [Encoding::Json, Encoding::Url, Encoding::Html];
    /// No text is longer by more than this factor when it is encoded.
    pub const LONGEST: usize = 6;

    const fn word(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::Url => "url",
            Encoding::Html => "html",
        }
    }

    /// Writes a text in this way behind another one, which has to have [room](Self::LONGEST) for it if nothing of it may
    /// be left in memory.
    pub fn write(self, text: &str, out: &mut String) {
        for c in text.chars() {
            match (self, c) {
                (Encoding::Json, '"' | '\\') => out.extend(['\\', c]),
                (Encoding::Json, '\0'..='\x1f') => digits(out, "\\u00", u32::from(c)),
                (Encoding::Html, '&' | '<' | '>' | '"' | '\'') => {
                    digits(out, "&#x", u32::from(c));
                    out.push(';');
                }
                (Encoding::Url, c) if !c.is_ascii_alphanumeric() && !"-._~".contains(c) => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        digits(out, "%", u32::from(byte));
                    }
                }
                _ => out.push(c),
            }
        }
    }
}

/// The last two hexadecimal digits of a number, behind something.
fn digits(out: &mut String, before: &str, number: u32) {
    out.push_str(before);
    out.extend([number >> 4 & 15, number & 15].into_iter().filter_map(|digit| char::from_digit(digit, 16)));
}

impl SecretText {
    /// Puts pieces together.
    pub fn of<'a>(pieces: impl IntoIterator<Item = Piece<'a>>) -> SecretText {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text += &plain.replace('$', "$$"),
                Piece::Secret(name, encodings) => {
                    text += BEGIN;
                    text += name;
                    for encoding in encodings {
                        text.push('|');
                        text += encoding.word();
                    }
                    text.push('}');
                }
            }
        }
        SecretText(text)
    }

    /// Its pieces, in order. What is no reference, in a text that somebody has damaged, stands for itself.
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let (mut pieces, mut rest, mut plain) = (Vec::new(), self.0.as_str(), String::new());
        while let Some(at) = rest.find('$') {
            plain += &rest[..at];
            let from = &rest[at..];
            let inside = from.strip_prefix(BEGIN).and_then(|inside| inside.split_once('}'));
            rest = match inside.and_then(|(inside, after)| Some((reference(inside)?, after))) {
                Some((reference, after)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(reference);
                    after
                }
                None => {
                    plain.push('$');
                    from.strip_prefix("$$").unwrap_or(&from[1..])
                }
            };
        }
        plain += rest;
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        pieces
    }

    /// The secrets that it refers to.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.pieces().into_iter().filter_map(|piece| match piece {
            Piece::Secret(name, _) => Some(name.to_owned()),
            Piece::Text(_) => None,
        })
    }

    /// One as a plan has it, with its references, for people.
    pub(crate) fn stored(text: &str) -> String {
        text.replace("$$", "$")
    }

    /// The text itself, if it refers to no secret.
    pub fn plain(&self) -> Option<String> {
        let text = |piece| match piece {
            Piece::Text(text) => Some(text.into_owned()),
            Piece::Secret(..) => None,
        };
        self.pieces().into_iter().map(text).collect()
    }
}

/// What stands between the parts that make a reference.
fn reference(inside: &str) -> Option<Piece<'_>> {
    let mut parts = inside.split('|');
    let name = parts.next()?;
    let known = |word| Encoding::ALL.into_iter().find(|encoding| encoding.word() == word);
    Some(Piece::Secret(name, parts.map(known).collect::<Option<_>>()?))
}

/// A text without references.
impl From<&str> for SecretText {
    fn from(text: &str) -> SecretText {
        SecretText::of([Piece::Text(text.into())])
    }
}

/// With its references, never with values.
impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The secrets that some texts refer to.
pub fn names_in<'a>(texts: impl IntoIterator<Item = &'a SecretText>) -> BTreeSet<String> {
    texts.into_iter().flat_map(SecretText::names).collect()
}

/// Whether a text can be the name of a secret: 1 to 64 letters, digits, `_` and `-` (ASCII), a letter or digit first.
pub fn is_secret_name(text: &str) -> bool {
    let sound = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    (1..=64).contains(&text.len())
        && text.bytes().all(sound)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Where the value of a secret is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// The stack's own store, in its state directory; `mainstay secret set` puts it there.
    #[default]
    Store,
    /// A file that nobody but the account can read.
    File {
        /// Absolute.
        path: String,
    },
    /// A credential that systemd hands to the unit (`LoadCredential=` and the like).
    Credential {
        /// The credential's name.
        name: String,
    },
    /// A file that Windows' data protection (DPAPI) has encrypted.
    Dpapi {
        /// Absolute.
        path: String,
    },
    /// A file that `age` has encrypted.
    Age {
        /// Absolute.
        path: String,
        /// The file of the private key, absolute.
        identity: String,
        /// The program that decrypts it: `age`, `rage`.
        program: String,
    },
    /// What a command writes to standard output.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// It is killed after this time.
        timeout: Duration,
    },
}

impl SecretSource {
    /// Its kind, in a word: the key in the configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            SecretSource::Store => "store",
            SecretSource::File { .. } => "file",
            SecretSource::Credential { .. } => "credential",
            SecretSource::Dpapi { .. } => "dpapi",
            SecretSource::Age { .. } => "age",
            SecretSource::Command { .. } => "command",
        }
    }
}

/// In words. Of a command only its program: arguments may say more than everybody should read.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Store => f.write_str("the stack's store"),
            SecretSource::File { path } => write!(f, "file {path}"),
            SecretSource::Credential { name } => write!(f, "credential {name}"),
            SecretSource::Dpapi { path } => write!(f, "dpapi {path}"),
            SecretSource::Age { path, .. } => write!(f, "age {path}"),
            SecretSource::Command { command, .. } => {
                write!(f, "command {}", command.first().map_or("", String::as_str))
            }
        }
    }
}

/// What tells whether the values of a service's secrets have changed: by name a keyed digest of the value, from which
/// nobody without the key can tell anything about it.
pub type SecretMarks = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_apart_as_it_was_put_together() {
        for pieces in [
            vec![],
            vec![Piece::Text("plain $ $$ ${secret:x} }".into())],
            vec![Piece::Secret("a", vec![])],
            vec![Piece::Secret("a", vec![Encoding::Json, Encoding::Url])],
            vec![
                Piece::Text("postgres://".into()),
                Piece::Secret("a", vec![]),
                Piece::Secret("b-2", vec![]),
                Piece::Text("$".into()),
            ],
        ] {
            let text = SecretText::of(pieces.clone());
            assert_eq!(text.pieces(), pieces, "{text}");
            let json = serde_json::to_string(&text).unwrap();
            assert_eq!(serde_json::from_str::<SecretText>(&json).unwrap(), text);
        }
        let names = names_in(&[SecretText::of(["b", "a", "b"].map(|name| Piece::Secret(name, vec![])))]);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_damaged_text_stands_for_itself() {
        for text in ["${secret:", "$", "a${secret:b", "${x}", "${secret:a|rot13}"] {
            let read: SecretText = serde_json::from_value(text.into()).unwrap();
            assert_eq!(read.pieces(), [Piece::Text(text.into())]);
        }
    }

    #[test]
    fn a_value_is_written_as_its_surroundings_want_it() {
        let value = "a\"b\\c\n<&>'\u{e4} /~";
        let written = |encoding: Encoding| {
            let mut out = String::with_capacity(value.len() * Encoding::LONGEST);
            let room = out.capacity();
            encoding.write(value, &mut out);
            assert_eq!(out.capacity(), room, "nothing is left behind elsewhere");
            out
        };
        let json: String = serde_json::from_str(&format!("\"{}\"", written(Encoding::Json))).unwrap();
        assert_eq!(json, value);
        assert_eq!(written(Encoding::Url), "a%22b%5cc%0a%3c%26%3e%27%c3%a4%20%2f~");
        assert_eq!(written(Encoding::Html), "a&#x22;b\\c\n&#x3c;&#x26;&#x3e;&#x27;\u{e4} /~");
        for encoding in Encoding::ALL {
            let worst = "\u{1}".repeat(100);
            let mut out = String::new();
            encoding.write(&worst, &mut out);
            assert!(out.len() <= worst.len() * Encoding::LONGEST, "{encoding:?}");
        }
        assert_eq!(SecretText::from("a$b").plain().as_deref(), Some("a$b"));
        assert_eq!(SecretText::of([Piece::Secret("a", vec![])]).plain(), None);
    }

    #[test]
    fn names_serve_as_names_of_files_and_variables() {
        for name in ["db", "DB_PASSWORD", "a-1", "7"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "_a", "-a", "a.b", "a/b", "ä", "a b", &"x".repeat(65)] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
