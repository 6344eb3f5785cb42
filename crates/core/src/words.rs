//! Small pieces of text that reasons are made of.

use std::time::Duration;

/// The longest text from outside that is kept: an error, a probe's detail, a name of who asked.
const LONGEST: usize = 500;

/// Cuts a text from outside to a length that is worth keeping.
pub(crate) fn clip(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

/// A duration as people write it: `250 ms`, `1.5 s`, `2 min 5 s`, `3 h`.
pub(crate) fn span(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    let (seconds, tenth) = (ms / 1_000, ms % 1_000 / 100);
    match seconds {
        0..10 if tenth > 0 => format!("{seconds}.{tenth} s"),
        0..60 => format!("{seconds} s"),
        60..3_600 => two((seconds / 60, "min"), (seconds % 60, "s")),
        _ => two((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
    }
}

fn two(large: (u128, &str), small: (u128, &str)) -> String {
    match small.0 {
        0 => format!("{} {}", large.0, large.1),
        _ => format!("{} {} {} {}", large.0, large.1, small.0, small.1),
    }
}

/// `1 restart`, `2 restarts`, `2 processes`.
pub(crate) fn count(n: u32, thing: &str) -> String {
    let ending = match n {
        1 => "",
        _ if thing.ends_with('s') => "es",
        _ => "s",
    };
    format!("{n} {thing}{ending}")
}

/// The name of `known` that somebody who wrote `wanted` may have meant.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).clamp(1, 3);
    let wanted = wanted.to_ascii_lowercase();
    known
        .map(|name| (distance(&wanted, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let words = |ms| span(Duration::from_millis(ms));
        let read: Vec<String> =
            [0, 250, 1_000, 1_540, 12_700, 60_000, 125_000, 3_600_000, 5_400_000].map(words).into();
        let expected = ["0 ms", "250 ms", "1 s", "1.5 s", "12 s", "1 min", "2 min 5 s", "1 h", "1 h 30 min"];
        assert_eq!(read, expected);
    }

    #[test]
    fn nearest_name() {
        let known = ["api", "db", "worker", "worker-2"];
        let guess = |wanted| nearest(wanted, known.into_iter());
        assert_eq!(guess("apo"), Some("api"));
        assert_eq!(guess("API"), Some("api"));
        assert_eq!(guess("bd"), Some("db"));
        assert_eq!(guess("wroker"), Some("worker"));
        assert_eq!(guess("frontend"), None);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let clipped = clip("é".repeat(400));
        assert_eq!(clipped.chars().count(), 251);
        assert_eq!(clip("short".into()), "short");
    }
}
