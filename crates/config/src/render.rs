//! Diagnostics as text for a person, in the manner of rustc.
//!
//! Our own rather than annotate-snippets': a diagnostic here carries the one line it needs (or a part of a very long
//! one, or none of a file with secrets), and hints are wrapped to the width.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity};

/// How diagnostics are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Columns of the terminal; lines are cut or wrapped to them, paths never. At least 40 are used.
    pub width: usize,
    /// Whether to colour with ANSI sequences.
    pub colour: bool,
}

impl Default for Layout {
    /// 80 columns, no colour.
    fn default() -> Self {
        Layout { width: 80, colour: false }
    }
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[1;36m";
const BOLD: &str = "\x1b[1m";

impl Layout {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
    }

    fn width(&self) -> usize {
        self.width.max(40)
    }
}

/// All of them, a blank line between, and how many there are.
pub(crate) fn all(diagnostics: &Diagnostics, layout: &Layout) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(diagnostic, layout));
        out.push('\n');
    }
    let (errors, warnings) = (diagnostics.errors(), diagnostics.warnings());
    if diagnostics.omitted() > 0 {
        let _ = writeln!(out, "… and {} more, not shown\n", diagnostics.omitted());
    }
    if errors + warnings > 1 {
        let parts: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        out.push_str(&parts.join(", "));
        out.push('\n');
    } else {
        // The blank line was for what follows.
        out.truncate(out.trim_end_matches('\n').len());
        if !out.is_empty() {
            out.push('\n');
        }
    }
    out
}

/// One of them.
pub(crate) fn one(diagnostic: &Diagnostic, layout: &Layout) -> String {
    let (colour, word) = match diagnostic.severity {
        Severity::Error => (RED, "error"),
        Severity::Warning => (YELLOW, "warning"),
    };
    let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|r| &r.place));
    let gutter = places.map(|p| p.line.to_string().len()).max().unwrap_or(1);

    let mut out = String::new();
    let message = wrap(&visible(&diagnostic.message), word.len() + 2, word.len() + 2, layout.width());
    let _ = writeln!(out, "{}{}", layout.paint(colour, word), layout.paint(BOLD, &format!(": {message}")));
    if let Some(place) = &diagnostic.place {
        snippet(&mut out, layout, gutter, "-->", place, ('^', colour), "");
    }
    for related in &diagnostic.related {
        snippet(&mut out, layout, gutter, ":::", &related.place, ('-', BLUE), &related.message);
    }
    if let Some(hint) = &diagnostic.hint {
        let indent = gutter + 3 + "help: ".len();
        let _ = writeln!(
            out,
            "{} {} {}: {}",
            " ".repeat(gutter),
            layout.paint(BLUE, "="),
            layout.paint(CYAN, "help"),
            wrap(&visible(hint), indent, indent, layout.width())
        );
    }
    out
}

/// The place, its line, and marks below it.
fn snippet(
    out: &mut String,
    layout: &Layout,
    gutter: usize,
    arrow: &str,
    place: &Place,
    (mark, colour): (char, &str),
    label: &str,
) {
    let margin = " ".repeat(gutter);
    let _ = writeln!(
        out,
        "{margin}{} {}:{}:{}",
        layout.paint(BLUE, arrow),
        visible(&place.file),
        place.line,
        place.column
    );
    let bar = layout.paint(BLUE, "|");
    let Some(text) = &place.text else {
        if !label.is_empty() {
            let _ = writeln!(out, "{margin} {bar} {}", visible(label));
        }
        return;
    };
    let (line, before, marked) = fit(text, place, layout.width().saturating_sub(gutter + 3));
    let number = layout.paint(BLUE, &format!("{:>gutter$}", place.line));
    let _ = writeln!(out, "{margin} {bar}");
    let _ = writeln!(out, "{}", format!("{number} {bar} {line}").trim_end());
    let marks = layout.paint(colour, &mark.to_string().repeat(marked));
    let label = if label.is_empty() { String::new() } else { format!(" {}", visible(label)) };
    let _ = writeln!(out, "{margin} {bar} {}{marks}{label}", " ".repeat(before));
}

/// The part of a line that fits into `width` columns, how many columns precede the marks, and how many marks.
fn fit(text: &str, place: &Place, width: usize) -> (String, usize, usize) {
    let cells: Vec<(String, usize)> = text.chars().map(cell).collect();
    let from = (place.column - place.text_column).min(cells.len());
    let to = (from + place.length).min(cells.len());
    let columns = |range: &[(String, usize)]| range.iter().map(|(_, columns)| columns).sum::<usize>();

    // Begin further right if the marks' beginning (with a little of what follows) would not fit.
    let mut first = 0;
    let wanted = to.min(from + 30);
    while first < from && columns(&cells[first..wanted]) + 4 + if first > 0 { 3 } else { 0 } > width {
        first += 1;
    }
    let cut_left = first > 0 || place.text_column > 1;
    let mut room = width.saturating_sub(if cut_left { 3 } else { 0 });
    let all_fit = columns(&cells[first..]) <= room;
    if !all_fit {
        room = room.saturating_sub(3);
    }
    let mut line = String::from(if cut_left { "..." } else { "" });
    let (mut used, mut last) = (0, first);
    while last < cells.len() && used + cells[last].1 <= room {
        line.push_str(&cells[last].0);
        used += cells[last].1;
        last += 1;
    }
    if last < cells.len() {
        line.push_str("...");
    }
    let before = columns(&cells[first..from]) + if cut_left { 3 } else { 0 };
    let marked = columns(&cells[from..to.clamp(from, last.max(from))]).max(1);
    (line.trim_end().to_owned(), before, marked)
}

/// How a character is shown, and in how many columns.
fn cell(c: char) -> (String, usize) {
    match c {
        '\t' => ("    ".to_owned(), 4),
        c if c.is_control() => ("\u{FFFD}".to_owned(), 1),
        c => (c.to_string(), c.width().unwrap_or(0)),
    }
}

/// Text without control characters, so that a file cannot play with the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

/// Breaks text at blanks. `first` columns of the first line are taken; later lines are indented by `indent`.
fn wrap(text: &str, first: usize, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = first;
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            let _ = write!(out, "\n{}", " ".repeat(indent));
            column = indent;
        }
        for (index, word) in line.split(' ').enumerate() {
            let columns: usize = word.chars().map(|c| c.width().unwrap_or(0)).sum();
            if index > 0 {
                if column + 1 + columns > width {
                    let _ = write!(out, "\n{}", " ".repeat(indent));
                    column = indent;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(word);
            column += columns;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Related;

    fn place(text: &str, column: usize, length: usize) -> Place {
        Place { file: "m.toml".into(), line: 14, column, length, text: Some(text.into()), text_column: 1 }
    }

    fn error(place: Place) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: "it is wrong".into(),
            place: Some(place),
            hint: Some("make it right".into()),
            related: Vec::new(),
        }
    }

    #[test]
    fn marks_stand_below_what_they_mean() {
        let mut diagnostic = error(place("\tx = \"日本\" # y", 6, 4));
        diagnostic.related.push(Related { message: "first here".into(), place: place("abc", 1, 3) });
        insta::assert_snapshot!(one(&diagnostic, &Layout::default()), @r#"
        error: it is wrong
          --> m.toml:14:6
           |
        14 |     x = "日本" # y
           |         ^^^^^^
          ::: m.toml:14:1
           |
        14 | abc
           | --- first here
           = help: make it right
        "#);
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let long = format!("a = [{}\"here\"{}]", "1, ".repeat(90), ", 2".repeat(90));
        let column = long.find("\"here").unwrap() + 1;
        let mut diagnostic = error(place(&long, column, 6));
        diagnostic.hint = Some("many words ".repeat(20).trim().to_owned());
        let text = one(&diagnostic, &Layout::default());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let mark = text.lines().find(|l| l.contains('^')).unwrap();
        let line = text.lines().find(|l| l.starts_with("14")).unwrap();
        assert_eq!(mark.find('^'), line.find("\"here\""), "{text}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut diagnostic = error(place("a = \"\x1b[31m\"", 5, 7));
        diagnostic.message = "unknown \x1b[31m".into();
        assert!(!one(&diagnostic, &Layout::default()).contains('\x1b'));
    }

    #[test]
    fn colours_are_asked_for() {
        let diagnostic = error(place("abc", 1, 3));
        assert!(one(&diagnostic, &Layout { width: 80, colour: true }).starts_with("\x1b[1;31merror\x1b[0m"));
    }
}
