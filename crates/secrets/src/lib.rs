//! Values of secrets: read from where they are kept, put there, told apart without being shown.
//!
//! A value is only ever in memory that is zeroed when it is let go ([`Value`]), and in no error.
#![forbid(unsafe_code)]

mod age;
mod mark;
mod source;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use mainstay_core::{Encoding, Piece, SecretSource, SecretText, is_secret_name};
use zeroize::Zeroizing;

pub use mark::Marker;
pub use store::Stored;

/// The value of a secret. Zeroed when it is dropped. It has no NUL characters and is not empty.
pub type Value = Zeroizing<String>;

/// The longest value, in bytes: what Windows takes as a variable.
pub const MAX_VALUE: usize = 32 << 10;

/// Why there is no value. Says nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// Of this secret.
    pub name: String,
    /// A clause: "it is not set".
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SecretError {
    pub(crate) fn new(name: &str, why: impl Into<String>) -> SecretError {
        SecretError { name: name.to_owned(), why: why.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> SecretError {
        SecretError { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret {}: {}", self.name, self.why)
    }
}

impl std::error::Error for SecretError {}

/// Where the secrets of a stack are. Nothing is kept in memory: each question is answered from the source. Answers can
/// take as long as a command may.
#[derive(Clone, Debug)]
pub struct Secrets {
    store: PathBuf,
    sources: BTreeMap<String, SecretSource>,
}

impl Secrets {
    /// Those of the stack with this state directory. What has no line in `sources` is in the stack's own store.
    pub fn new(state: &Path, sources: &BTreeMap<String, SecretSource>) -> Secrets {
        Secrets { store: store::directory(state), sources: sources.clone() }
    }

    /// Where a value is read from.
    pub fn source(&self, name: &str) -> &SecretSource {
        self.sources.get(name).unwrap_or(&SecretSource::Store)
    }

    /// The value of a secret, read from its source now.
    ///
    /// # Errors
    /// Why there is none.
    pub fn get(&self, name: &str) -> Result<Value, SecretError> {
        checked(name)?;
        let bytes = source::read(self, name)?;
        text(name, bytes)
    }

    /// Gives a secret a value, where it is kept.
    ///
    /// # Errors
    /// It cannot be written, or is kept where Mainstay does not write.
    pub fn set(&self, name: &str, value: &str) -> Result<(), SecretError> {
        checked(name)?;
        check_value(name, value)?;
        source::write(self, name, value)
    }

    /// Takes a secret's value away, where it is kept. False if it had none.
    ///
    /// # Errors
    /// It cannot be removed, or is kept where Mainstay does not write.
    pub fn remove(&self, name: &str) -> Result<bool, SecretError> {
        checked(name)?;
        source::remove(self, name)
    }

    /// The names with a source of their own, and those in the store; the latter with what is known of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> std::io::Result<BTreeMap<String, Option<Stored>>> {
        let mut all: BTreeMap<_, _> = self.sources.keys().map(|name| (name.clone(), None)).collect();
        for (name, stored) in store::list(&self.store)? {
            all.entry(name).or_insert(Some(stored));
        }
        Ok(all)
    }

    /// A number that is another one after the files of these secrets have changed. Cheap: nothing is read or run.
    pub fn stamp<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> u64 {
        let mut hasher = DefaultHasher::new();
        for name in names {
            name.hash(&mut hasher);
            let Some(path) = source::file(self, name) else { continue };
            if let Ok(metadata) = std::fs::metadata(path) {
                (metadata.modified().ok(), metadata.len()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }
}

/// Puts values into a text.
///
/// # Errors
/// What `value` says of one that has none.
pub fn fill<E>(text: &SecretText, mut value: impl FnMut(&str) -> Result<Value, E>) -> Result<Value, E> {
    let mut parts = Vec::new();
    for piece in text.pieces() {
        parts.push(match piece {
            Piece::Text(plain) => Zeroizing::new(plain.into_owned()),
            Piece::Secret(name, encodings) => encodings.into_iter().fold(value(name)?, encoded),
        });
    }
    // As long as it will be from the start, so that nothing is left behind where it was shorter.
    let mut whole = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| whole.push_str(part));
    Ok(whole)
}

/// A value, written in the way of another language.
fn encoded(value: Value, encoding: Encoding) -> Value {
    let mut written = Zeroizing::new(String::with_capacity(value.len() * Encoding::LONGEST));
    encoding.write(&value, &mut written);
    written
}

/// Names become names of files.
fn checked(name: &str) -> Result<(), SecretError> {
    if is_secret_name(name) {
        return Ok(());
    }
    Err(SecretError::new(name, "that is not the name of a secret")
        .hint("names have letters, digits, `_` and `-`, at most 64"))
}

/// The text of a value, without the line end that an editor puts behind it.
fn text(name: &str, mut bytes: Zeroizing<Vec<u8>>) -> Result<Value, SecretError> {
    let bytes = std::mem::take(&mut *bytes);
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            return Err(SecretError::new(name, "its value is no text in UTF-8")
                .hint("encode it, for instance in base64"));
        }
    };
    let length =
        text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(length);
    check_value(name, &text)?;
    Ok(text)
}

fn check_value(name: &str, value: &str) -> Result<(), SecretError> {
    let wrong = |why| Err(SecretError::new(name, why));
    match () {
        () if value.is_empty() => wrong("its value is empty"),
        () if value.contains('\0') => wrong("its value has a NUL character, which no program can be given"),
        () if value.len() > MAX_VALUE => wrong("its value is longer than 32 KiB"),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests;
