//! A value that nobody but the new process is to see.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret value. Zeroed when it is dropped, and not shown by `Debug`. In a frame it stands in hexadecimal digits: they
/// need no escapes, for which a parser would make copies of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it in.
    pub const fn new(value: Zeroizing<String>) -> Secret {
        Secret(value)
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = Zeroizing::new(String::with_capacity(2 * self.0.len()));
        for byte in self.0.bytes() {
            for half in [byte >> 4, byte & 15] {
                digits.extend(char::from_digit(half.into(), 16));
            }
        }
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Secret, E> {
        // Nothing of what is wrong is repeated.
        let wrong = || E::custom("a secret that is not in hexadecimal digits");
        let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
        for pair in digits.as_bytes().chunks(2) {
            let &[high, low] = pair else { return Err(wrong()) };
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(high).ok_or_else(wrong)? << 4 | digit(low).ok_or_else(wrong)?);
        }
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            wrong()
        })?;
        Ok(Secret(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_crosses_unseen() {
        for value in ["", "canary", "ümläut \"\\\n\u{1}"] {
            let secret = Secret::new(value.to_owned().into());
            let json = serde_json::to_string(&secret).unwrap();
            assert!(value.is_empty() || !json.contains(value), "{json}");
            assert_eq!(serde_json::from_str::<Secret>(&json).unwrap().value(), value);
            assert_eq!(format!("{secret:?}"), "Secret");
        }
        for wrong in ["\"6\"", "\"zz\"", "\"ff\"", "7"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(!error.contains("zz"), "{error}");
        }
    }
}
