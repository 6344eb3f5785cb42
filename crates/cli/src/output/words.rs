//! Numbers and strange characters, as people read them.

use std::time::Duration;

/// A duration in at most two units: `340ms`, `12s`, `5m 3s`, `2h 5m`, `3d 4h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let pair = |high: u64, big: &str, low: u64, small: &str| match low {
        0 => format!("{high}{big}"),
        _ => format!("{high}{big} {low}{small}"),
    };
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// The same from milliseconds.
pub fn millis(millis: u64) -> String {
    duration(Duration::from_millis(millis))
}

/// Whole seconds at the least, for an uptime that nobody reads to the millisecond.
pub fn uptime(millis: u64) -> String {
    duration(Duration::from_secs(millis / 1_000)).replace("0ms", "0s")
}

/// Bytes in decimal units.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} bytes");
    }
    let mut scaled = count;
    let mut unit = 0;
    while scaled >= 1_000_000 && unit + 1 < UNITS.len() {
        scaled /= 1_000;
        unit += 1;
    }
    format!("{}.{} {}", scaled / 1_000, scaled % 1_000 / 100, UNITS[unit])
}

/// A count and its noun: `1 service`, `3 services`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names in a row: `a`, `a and b`, `a, b and 4 more`.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().map(AsRef::as_ref).take(SHOWN).collect();
    match (shown.as_slice(), names.len()) {
        ([], _) => String::new(),
        ([only], _) => (*only).to_owned(),
        (_, all) if all > SHOWN => format!("{} and {} more", shown.join(", "), all - SHOWN),
        ([front @ .., last], _) => format!("{} and {last}", front.join(", ")),
    }
}

/// `text` without characters that would do something to a terminal; each becomes a question mark. For words that
/// come from services; their logs are passed on as they are.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { if c == '\t' { ' ' } else { '?' } } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let text = |ms| millis(ms);
        assert_eq!(text(0), "0ms");
        assert_eq!(text(999), "999ms");
        assert_eq!(text(59_999), "59s");
        assert_eq!(text(60_000), "1m");
        assert_eq!(text(303_000), "5m 3s");
        assert_eq!(text(7_500_000), "2h 5m");
        assert_eq!(text(273_600_000), "3d 4h");
        assert_eq!(uptime(400), "0s");
        assert_eq!(uptime(61_400), "1m 1s");
    }

    #[test]
    fn bytes_have_one_decimal() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(1_250_000), "1.2 MB");
        assert_eq!(bytes(7_000_000_000_000_000), "7000.0 TB");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
        assert_eq!(list::<&str>(&[]), "");
    }
}
