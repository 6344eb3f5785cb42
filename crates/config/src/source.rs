//! The texts that a configuration consists of, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::Place;

/// A range of bytes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Which source; they are numbered in the order they were read.
    pub source: usize,
    pub start: usize,
    pub end: usize,
}

/// Whether messages may repeat the lines of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Lines,
    /// Files of environment variables hold secrets: messages give the place alone.
    PlaceOnly,
}

/// So much of a very long line, in characters, is kept on each side of a place.
const MARGIN: usize = 200;

/// What kind of a source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    /// A file that goes over the others in one environment.
    Overlay,
    /// A variable such as `MAINSTAY__SERVICE__API__START`.
    Variable,
    /// `--set` on the command line.
    Set,
    /// A file that a configuration names, or one of variables.
    Named,
}

#[derive(Debug)]
pub(crate) struct Source {
    pub name: String,
    pub text: String,
    pub origin: Origin,
    /// Relative paths in it start here.
    pub base_dir: PathBuf,
    shown: Shown,
    hidden: Vec<Range<usize>>,
    /// Where each line starts, made when the first place is asked for.
    lines: Vec<usize>,
}

impl Source {
    pub fn new(name: &str, text: String, shown: Shown, origin: Origin, base_dir: &Path) -> Self {
        let base_dir = base_dir.to_owned();
        Source { name: name.to_owned(), text, origin, base_dir, shown, hidden: Vec::new(), lines: Vec::new() }
    }

    /// A text that only a test knows.
    #[cfg(test)]
    fn of(text: &str) -> Self {
        Source::new("x", text.to_owned(), Shown::Lines, Origin::File, Path::new("/"))
    }

    /// What stands there is shown to nobody.
    pub fn hide(&mut self, start: usize, end: usize) {
        self.hidden.push(start..end);
    }

    /// A part of the text that starts at this byte, without what is hidden.
    fn masked(&self, part: &str, start: usize) -> String {
        let is_hidden = |at: usize| self.hidden.iter().any(|hidden| hidden.contains(&(start + at)));
        part.char_indices().map(|(at, c)| if is_hidden(at) { '*' } else { c }).collect()
    }

    /// The place of `start..end`, cut down to the line it starts on.
    pub fn place(&mut self, start: usize, end: usize) -> Place {
        if self.lines.is_empty() {
            self.lines.push(0);
            self.lines.extend(self.text.match_indices('\n').map(|(at, _)| at + 1));
        }
        let start = floor_boundary(&self.text, start);
        let line = self.lines.partition_point(|first| *first <= start) - 1;
        let line_start = self.lines[line];
        let rest = &self.text[line_start..];
        let line_text = rest.split_once('\n').map_or(rest, |(line, _)| line);
        let line_text = line_text.strip_suffix('\r').unwrap_or(line_text);

        // A place behind the line (a missing value, the end of the file) is the one after its last character.
        let from = (start - line_start).min(line_text.len());
        let to = floor_boundary(&self.text, end).saturating_sub(line_start).clamp(from, line_text.len());
        let column = line_text[..from].chars().count() + 1;
        let length = line_text[from..to].chars().count();
        let (text, text_column) = match self.shown {
            Shown::Lines => {
                let (part, first) = window(line_text, from);
                (Some(self.masked(&line_text[part.clone()], line_start + part.start)), first)
            }
            Shown::PlaceOnly => (None, 1),
        };
        Place { file: self.name.clone(), line: line + 1, column, length, text, text_column }
    }
}

/// The part of `line` around byte `at`, and the column of its first character.
fn window(line: &str, at: usize) -> (Range<usize>, usize) {
    let before = line[..at].char_indices().rev().take(MARGIN).last().map_or(at, |(index, _)| index);
    let after = line[at..].char_indices().nth(MARGIN).map_or(line.len(), |(index, _)| at + index);
    (before..after, line[..before].chars().count() + 1)
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

/// Makes text of bytes, or tells where and why they are none (as a message, a hint, the text as far as it goes).
pub(crate) fn decode(bytes: &[u8]) -> Result<String, NotText> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(NotText {
            message: "the file is UTF-16".to_owned(),
            hint: "save it as UTF-8 (Notepad: Save as, Encoding: UTF-8)",
            text: String::new(),
            at: 0,
        });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            // Enough of what follows to show the line.
            let end = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |length| at + length);
            Err(NotText {
                message: format!("the file is not UTF-8: byte 0x{byte:02X} does not belong here"),
                hint: "save it as UTF-8; an editor may call what it is now ANSI, Latin-1 or Windows-1252",
                text: String::from_utf8_lossy(&bytes[..end]).into_owned(),
                at,
            })
        }
    }
}

/// Why bytes are no text.
pub(crate) struct NotText {
    pub message: String,
    pub hint: &'static str,
    pub text: String,
    pub at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, start: usize, end: usize) -> (usize, usize, usize) {
        let place = Source::of(text).place(start, end);
        (place.line, place.column, place.length)
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        assert_eq!(place("", 0, 0), (1, 1, 0));
        assert_eq!(place("añb = 1\n", 3, 4), (1, 3, 1));
        assert_eq!(place("a\r\nb\r\n", 3, 4), (2, 1, 1));
        assert_eq!(place("a\nb", 1, 1), (1, 2, 0), "the line end belongs to its line");
        assert_eq!(place("a\n", 2, 2), (2, 1, 0), "the end of the file");
        assert_eq!(place("a = '''x\ny'''", 4, 13), (1, 5, 4), "cut down to the first line");
        assert_eq!(place("añ", 2, 99), (1, 2, 1), "never inside a character or behind the end");
    }

    #[test]
    fn a_long_line_is_kept_in_part() {
        let line = format!("{}X{}", "é".repeat(1000), "y".repeat(1000));
        let place = Source::of(&line).place(2000, 2001);
        assert_eq!((place.column, place.length, place.text_column), (1001, 1, 801));
        assert_eq!(place.text.unwrap().chars().count(), 400);
    }

    #[test]
    fn bytes_that_are_no_text_are_told() {
        assert_eq!(decode(b"\xEF\xBB\xBFa = 1").ok().as_deref(), Some("a = 1"));
        assert!(decode(b"\xFF\xFEa\0").is_err_and(|e| e.message.contains("UTF-16")));
        let error = decode(b"name = \"caf\xE9\"\nx = 1").err().unwrap();
        assert_eq!((error.at, error.text.as_str()), (11, "name = \"caf\u{FFFD}\""));
    }
}
