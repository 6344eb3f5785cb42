//! Sizes as people write them: "100MB", "1GiB", "512 kB".

use std::ops::Range;

use super::duration::{Wrong, scale};
use crate::context::{Context, Field};
use crate::value::Value;

const ACCEPTED: &str = "write it like \"100MB\" (millions of bytes) or \"64MiB\" (1,048,576 bytes each)";

/// The units, in lower case.
const UNITS: [(&[&str], u64); 9] = [
    (&["b", "byte", "bytes"], 1),
    (&["kb"], 1_000),
    (&["mb"], 1_000_000),
    (&["gb"], 1_000_000_000),
    (&["tb"], 1_000_000_000_000),
    (&["kib"], 1 << 10),
    (&["mib"], 1 << 20),
    (&["gib"], 1 << 30),
    (&["tib"], 1 << 40),
];

/// Reads a size as the configuration has it ("100MB", "1GiB"), in bytes, for other places where people write one.
///
/// # Errors
/// What is wrong with it, and what is accepted, in a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text).map_err(|wrong| format!("{}; {}", wrong.message, wrong.hint))
}

/// Reads a size, in bytes.
pub(crate) fn parse(text: &str) -> Result<u64, Wrong> {
    let whole = 0..text.len();
    let wrong = |range: Range<usize>, message: String, hint: &str| {
        Err(Wrong { range, message, hint: hint.to_owned() })
    };
    let start = text.len() - text.trim_start().len();
    let rest = &text[start..];
    let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number = &rest[..number_length];
    let unit_part = &rest[number_length..];
    let unit = unit_part.trim();
    if number.is_empty() {
        return wrong(whole, format!("`{}` is no size", text.trim()), ACCEPTED);
    }
    if unit.is_empty() {
        let hint = missing_unit(number);
        return wrong(whole, format!("the size `{number}` has no unit"), &hint);
    }
    let unit_start = start + number_length + (unit_part.len() - unit_part.trim_start().len());
    let range = unit_start..unit_start + unit.len();
    let lower = unit.to_lowercase();
    let Some((_, bytes)) = UNITS.iter().find(|(names, _)| names.contains(&lower.as_str())) else {
        // To some these are thousands, to others 1024s.
        let hint = match lower.as_str() {
            "k" | "m" | "g" | "t" => {
                let letter = lower.to_uppercase();
                format!("write \"{number}{letter}B\" (1000s) or \"{number}{letter}iB\" (1024s)")
            }
            _ => ACCEPTED.to_owned(),
        };
        return wrong(range, format!("`{unit}` is no unit of size"), &hint);
    };
    match scale(number, *bytes) {
        None => wrong(start..start + number_length, format!("`{number}` is no number"), ACCEPTED),
        Some(total) => match u64::try_from(total) {
            Ok(total) if total <= i64::MAX as u64 => Ok(total),
            _ => wrong(whole, format!("`{}` is too large", text.trim()), "at most 8388607TiB are accepted"),
        },
    }
}

fn missing_unit(number: &str) -> String {
    format!("add one: \"{number}MB\" are millions of bytes, \"{number}B\" are bytes")
}

impl Context<'_> {
    /// A size of at least so many bytes.
    pub fn size(&mut self, field: Field<'_>, least: u64) -> Option<u64> {
        let expected = "a size such as \"100MB\"";
        if let Value::Integer(number, _) = &field.node.value {
            let hint = missing_unit(number);
            self.wrong_type(field, expected).hint(hint);
            return None;
        }
        if !matches!(field.node.value, Value::Text(_)) {
            self.wrong_type(field, expected).hint(ACCEPTED);
            return None;
        }
        let text = self.string(field, expected)?;
        match parse(&text.value) {
            Ok(bytes) if bytes < least => {
                self.error(field.span(), format!("`{}` is too small", field.key))
                    .hint(format!("at least {least} bytes are accepted"));
                None
            }
            Ok(bytes) => Some(bytes),
            Err(wrong) => {
                let span = text.part(wrong.range.start, wrong.range.end);
                self.error(span, wrong.message).hint(wrong.hint);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("0B", 0),
            ("100MB", 100_000_000),
            ("100 mb", 100_000_000),
            ("1GiB", 1 << 30),
            ("1.5 KiB", 1536),
            (" 12 bytes ", 12),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_why() {
        for (text, range, message, hint) in [
            ("", 0..0, "is no size", "write it like"),
            ("big", 0..3, "`big` is no size", "write it like"),
            ("100", 0..3, "has no unit", "\"100MB\""),
            ("512M", 3..4, "`M` is no unit", "\"512MB\" (1000s) or \"512MiB\" (1024s)"),
            ("1 GBit", 2..6, "`GBit` is no unit", "write it like"),
            ("1..5MB", 0..4, "`1..5` is no number", "write it like"),
            ("9000000TiB", 0..10, "too large", "at most"),
            ("99999999999999999999999999999MB", 0..31, "too large", "at most"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong.range, range, "{text}");
            assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
            assert!(wrong.hint.contains(hint), "{text}: {}", wrong.hint);
        }
    }
}
