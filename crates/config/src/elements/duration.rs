//! Times as people write them: "500ms", "5s", "1m30s", "1.5h", "2 minutes".

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use crate::context::{Context, Field};
use crate::nearest::nearest;
use crate::value::Value;

const ACCEPTED: &str = "write it like \"500ms\", \"5s\", \"1m30s\" or \"2h\" (units: ms, s, m, h, d, w)";

/// The units, the first name of each the one to use.
const UNITS: [(&[&str], u64); 7] = [
    (&["us", "µs", "microsecond", "microseconds"], 1_000),
    (&["ms", "msec", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["w", "week", "weeks"], 604_800_000_000_000),
];

/// The longest time: ten years and a little. Nothing that is added up of such overflows.
pub(crate) const MAX: Duration = Duration::from_secs(3_660 * 86_400);
/// The shortest time for what is repeated.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// What is wrong with a time, and where in the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub range: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// Reads a time as the configuration has it ("5s", "1m30s"), for other places where people write one.
///
/// # Errors
/// What is wrong with it, and what is accepted, in a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|wrong| format!("{}; {}", wrong.message, wrong.hint))
}

/// Reads a time.
pub(crate) fn parse(text: &str) -> Result<Duration, Wrong> {
    let wrong = |range: Range<usize>, message: String| Wrong { range, message, hint: ACCEPTED.to_owned() };
    let whole = 0..text.len();
    if text.trim().is_empty() {
        return Err(wrong(whole, "this is no time: it is empty".to_owned()));
    }
    if text.trim_start().starts_with('-') {
        return Err(wrong(whole, "a time cannot be negative".to_owned()));
    }
    let mut total: u128 = 0;
    let mut at = text.len() - text.trim_start().len();
    while at < text.trim_end().len() {
        let rest = &text[at..];
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if number_length == 0 {
            return Err(wrong(whole, format!("`{}` is no time", text.trim())));
        }
        let number = &rest[..number_length];
        let after = &rest[number_length..];
        let unit_start = at + number_length + (after.len() - after.trim_start().len());
        let rest = &text[unit_start..];
        let unit_length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit = &rest[..unit_length];
        if unit.is_empty() {
            let message = format!("the time `{}` has no unit", text.trim());
            return Err(Wrong { range: whole, message, hint: missing_unit(number) });
        }
        let range = unit_start..unit_start + unit_length;
        let Some(nanos) = unit_nanos(unit) else {
            let names = UNITS.iter().flat_map(|(names, _)| names.iter().copied());
            let hint = match nearest(unit, names) {
                Some(near) => format!("did you mean `{near}`? The units are ms, s, m, h, d, w"),
                None => ACCEPTED.to_owned(),
            };
            return Err(Wrong { range, message: format!("`{unit}` is no unit of time"), hint });
        };
        let Some(part) = scale(number, nanos) else {
            return Err(wrong(at..at + number_length, format!("`{number}` is no number")));
        };
        total = total.saturating_add(part);
        let after = &text[range.end..];
        at = range.end + (after.len() - after.trim_start().len());
    }
    match u64::try_from(total).map(Duration::from_nanos) {
        Ok(duration) if duration <= MAX => Ok(duration),
        _ => Err(Wrong {
            range: whole,
            message: format!("`{}` is too long a time", text.trim()),
            hint: "ten years (\"3650d\") are accepted".to_owned(),
        }),
    }
}

fn unit_nanos(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(names, _)| names.contains(&unit)).map(|(_, nanos)| *nanos)
}

fn missing_unit(number: &str) -> String {
    format!("add one: \"{number}s\" are seconds, \"{number}ms\" milliseconds, \"{number}m\" minutes")
}

/// A decimal number of so many units, without rounding until the last digit. None if it is no number; the largest if
/// it is too large.
pub(crate) fn scale(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    if whole.trim_start_matches('0').len() > 20 {
        return Some(u128::from(u64::MAX));
    }
    let unit = u128::from(unit);
    let whole: u128 = whole.parse().ok()?;
    // More digits than these change nothing.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = if fraction.is_empty() {
        0
    } else {
        let digits = u32::try_from(fraction.len()).ok()?;
        fraction.parse::<u128>().ok()? * unit / 10_u128.pow(digits)
    };
    Some(whole.saturating_mul(unit).saturating_add(part))
}

impl Context<'_> {
    /// A time in a range.
    pub fn duration(&mut self, field: Field<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
        let expected = "a time such as \"5s\"";
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
            Ok(duration) if duration < *range.start() => {
                let least = format!("at least {} is accepted", show(*range.start()));
                self.error(field.span(), format!("`{}` is too short", field.key)).hint(least);
                None
            }
            Ok(duration) if duration > *range.end() => {
                let most = format!("at most {} is accepted", show(*range.end()));
                self.error(field.span(), format!("`{}` is too long", field.key)).hint(most);
                None
            }
            Ok(duration) => Some(duration),
            Err(wrong) => {
                let span = text.part(wrong.range.start, wrong.range.end);
                self.error(span, wrong.message).hint(wrong.hint);
                None
            }
        }
    }
}

/// A time as it would be written in the file.
pub(crate) fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (names, nanos) in UNITS.iter().rev() {
        if rest / nanos > 0 {
            out.push_str(&format!("{}{}", rest / nanos, names[0]));
            rest %= nanos;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for (text, nanos) in [
            ("0s", 0),
            ("500ms", 500_000_000),
            ("5s", 5_000_000_000),
            (" 5 s ", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1m 30s", 90_000_000_000),
            ("1h 2min 3sec", 3_723_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0.25s", 250_000_000),
            ("2 minutes", 120_000_000_000),
            ("100us", 100_000),
            ("2w", 1_209_600_000_000_000),
            ("3650d", 315_360_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_why() {
        for (text, range, message) in [
            ("", 0..0, "this is no time: it is empty"),
            ("soon", 0..4, "`soon` is no time"),
            ("5", 0..1, "the time `5` has no unit"),
            ("1m30", 0..4, "the time `1m30` has no unit"),
            ("5 parsecs", 2..9, "`parsecs` is no unit of time"),
            ("5S", 1..2, "`S` is no unit of time"),
            ("-5s", 0..3, "a time cannot be negative"),
            ("1.s", 0..2, "`1.` is no number"),
            ("1.2.3s", 0..5, "`1.2.3` is no number"),
            ("5s!", 0..3, "`5s!` is no time"),
            ("4000d", 0..5, "`4000d` is too long a time"),
            ("99999999999999999999999999999999999999999999w", 0..45, "is too long a time"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong.range, range, "{text}");
            assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for nanos in [0, 1_000, 90_000_000_000, 5_400_000_000_000, 604_801_500_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
