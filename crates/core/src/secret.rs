//! Secrets: where their values are read from, and texts in which they stand. No value ever comes in here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a reference begins: `${secret:NAME}`.
const BEGIN: &str = "${secret:";

/// A text with references to secrets, as a plan has it: `postgres://app:${secret:db}@localhost/`. A dollar sign that is
/// none of a reference is doubled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretText(String);

/// A piece of a [`SecretText`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// This, as it is.
    Text(Cow<'a, str>),
    /// The value of the secret of this name.
    Secret(&'a str),
}

impl SecretText {
    /// Puts pieces together.
    pub fn of<'a>(pieces: impl IntoIterator<Item = Piece<'a>>) -> SecretText {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text += &plain.replace('$', "$$"),
                Piece::Secret(name) => {
                    text += BEGIN;
                    text += name;
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
            let name = from.strip_prefix(BEGIN).and_then(|inside| inside.split_once('}'));
            rest = match name {
                Some((name, after)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(Piece::Secret(name));
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
            Piece::Secret(name) => Some(name.to_owned()),
            Piece::Text(_) => None,
        })
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
            vec![Piece::Secret("a")],
            vec![
                Piece::Text("postgres://".into()),
                Piece::Secret("a"),
                Piece::Secret("b-2"),
                Piece::Text("$".into()),
            ],
        ] {
            let text = SecretText::of(pieces.clone());
            assert_eq!(text.pieces(), pieces, "{text}");
            let json = serde_json::to_string(&text).unwrap();
            assert_eq!(serde_json::from_str::<SecretText>(&json).unwrap(), text);
        }
        let names = names_in(&[SecretText::of([Piece::Secret("b"), Piece::Secret("a"), Piece::Secret("b")])]);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_damaged_text_stands_for_itself() {
        for text in ["${secret:", "$", "a${secret:b", "${x}"] {
            let read: SecretText = serde_json::from_value(text.into()).unwrap();
            assert_eq!(read.pieces(), [Piece::Text(text.into())]);
        }
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
