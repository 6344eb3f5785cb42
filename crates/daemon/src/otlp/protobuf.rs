//! Protocol buffers, as far as OTLP needs them written: a dozen kinds of messages of four kinds of fields.
//!
//! The published types need a code generator's library, the SDK and a gRPC stack beneath them; the tests decode with
//! these what is written here.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Made by `fill`.
    pub fn new(fill: impl FnOnce(&mut Message)) -> Message {
        let mut message = Message::default();
        fill(&mut message);
        message
    }

    /// The finished bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: u64) {
        self.varint(u64::from(field) << 3 | wire);
    }

    /// A whole number, an enum's, or a truth value.
    pub fn uint(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    /// `fixed64`.
    pub fn fixed(&mut self, field: u32, value: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// `double`.
    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed(field, value.to_bits());
    }

    /// `bytes`.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// `string`.
    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A message in the message.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Message)) {
        let inner = Message::new(fill);
        self.bytes(field, &inner.0);
    }

    /// A packed list of `fixed64` or `double`, by their bits.
    pub fn packed(&mut self, field: u32, values: impl IntoIterator<Item = u64>) {
        let bytes: Vec<u8> = values.into_iter().flat_map(u64::to_le_bytes).collect();
        self.bytes(field, &bytes);
    }

    /// `KeyValue` with a string.
    pub fn attribute(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| any.text(1, value));
        });
    }

    /// `KeyValue` with a whole number.
    pub fn number(&mut self, field: u32, key: &str, value: u64) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| any.uint(3, value));
        });
    }
}

/// How many of the items a collector that took the request has refused: `partial_success`, whose first field is that
/// number, in the answers to traces and metrics alike.
pub(super) fn refused(answer: &[u8]) -> u64 {
    let Some(Field::Bytes(partial)) = find(answer, 1) else { return 0 };
    match find(partial, 1) {
        Some(Field::Number(count)) => count,
        _ => 0,
    }
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The first field of this number.
fn find(mut bytes: &[u8], wanted: u64) -> Option<Field<'_>> {
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(take_varint(&mut bytes)?),
            1 => Field::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Field::Bytes(take(&mut bytes, length)?)
            }
            5 => Field::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        if key >> 3 == wanted {
            return Some(field);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let answer = Message::new(|answer| {
                answer.text(7, "skipped");
                answer.fixed(8, 5);
                answer.message(1, |partial| {
                    partial.text(2, "why");
                    partial.uint(1, value);
                });
            });
            assert_eq!(refused(&answer.into_bytes()), value);
        }
        assert_eq!(refused(b""), 0);
        assert_eq!(refused(b"<html>no collector</html>"), 0);
        assert_eq!(refused(&[0x0A, 0xFF, 0xFF]), 0);
    }
}
