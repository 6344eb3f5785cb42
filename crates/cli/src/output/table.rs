//! Tables: aligned columns with two spaces between them, and notes below the rows that need an explanation.
//!
//! Written here because the table crates know rows of cells only, not a note across all columns below one of them.

use anstyle::Style;

use super::style::{self, Paint};
use super::words::printable;

/// What one column is like.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
}

impl Column {
    /// Words, set to the left.
    pub const fn left(title: &'static str) -> Column {
        Column { title, right: false }
    }

    /// Numbers, set to the right.
    pub const fn right(title: &'static str) -> Column {
        Column { title, right: true }
    }
}

/// A text and its colour.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// In the terminal's own colour.
    pub fn new(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: None }
    }

    /// In a colour.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style: Some(style) }
    }
}

#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    notes: Vec<Cell>,
}

/// A table. The first column gives way when the terminal is too narrow.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// Notes begin this far to the right.
const INDENT: usize = 4;
/// The first column keeps at least this width.
const LEAST: usize = 8;

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(Row { cells: cells.into(), notes: Vec::new() });
    }

    /// Adds a note below the last row.
    pub fn note(&mut self, text: &str, style: Style) {
        if let Some(row) = self.rows.last_mut() {
            row.notes.push(Cell::styled(printable(text), style));
        }
    }

    /// The whole table as text, in `width` columns if there is a limit.
    pub fn render(&self, paint: Paint, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut text = String::with_capacity((self.rows.len() + 1) * 80);
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell::styled(column.title, style::DIM)).collect();
        self.push_row(&mut text, &titles, &widths, paint);
        for row in &self.rows {
            self.push_row(&mut text, &row.cells, &widths, paint);
            for note in &row.notes {
                for line in wrap(&note.text, width.map(|w| w.saturating_sub(INDENT))) {
                    text.push_str(&" ".repeat(INDENT));
                    text.push_str(&paint.apply(note.style.unwrap_or_default(), line));
                    text.push('\n');
                }
            }
        }
        text
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.title.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        if let Some(limit) = width {
            let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
            if let Some(first) = widths.first_mut() {
                *first = first.saturating_sub(total.saturating_sub(limit)).max(LEAST.min(*first));
            }
        }
        widths
    }

    fn push_row(&self, text: &mut String, cells: &[Cell], widths: &[usize], paint: Paint) {
        let mut gap = 0;
        for ((cell, column), width) in cells.iter().zip(&self.columns).zip(widths) {
            let shown = shorten(&cell.text, *width);
            let room = width - shown.chars().count();
            let (before, after) = if column.right { (room, 0) } else { (0, room) };
            push_spaces(text, gap + before);
            match cell.style {
                Some(style) => text.push_str(&paint.apply(style, &shown)),
                None => text.push_str(&shown),
            }
            // Not written until something follows: no line ends in spaces.
            gap = after + 2;
        }
        text.push('\n');
    }
}

fn push_spaces(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}

/// `text` in at most `width` characters; the middle is left out, because names often differ at their ends.
fn shorten(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    let length = text.chars().count();
    if length <= width {
        return text.into();
    }
    let kept = width.saturating_sub(2);
    let front: String = text.chars().take(kept.div_ceil(2)).collect();
    let back: String = text.chars().skip(length - kept / 2).collect();
    format!("{front}..{back}").into()
}

/// Breaks `text` at spaces into lines of at most `width` characters; a longer word stays whole.
pub fn wrap(text: &str, width: Option<usize>) -> Vec<&str> {
    let Some(width) = width else { return vec![text] };
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.chars().count() > width {
        let limit = rest.char_indices().nth(width + 1).map_or(rest.len(), |(at, _)| at);
        let cut = rest[..limit].rfind(' ').filter(|at| *at > 0).or_else(|| rest.find(' '));
        let Some(cut) = cut else { break };
        lines.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new([Column::left("NAME"), Column::left("STATE"), Column::right("PID")]);
        table.row([Cell::new("api"), Cell::styled("ready", style::GOOD), Cell::new("1250")]);
        table.row([Cell::new("a-service-with-a-long-name-1"), Cell::new("backoff"), Cell::new("-")]);
        table.note("exit code 1, in a crash loop; the next start comes in 12s", style::DIM);
        table
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let text = example().render(Paint::plain(), None);
        insta::assert_snapshot!(text, @r"
        NAME                          STATE     PID
        api                           ready    1250
        a-service-with-a-long-name-1  backoff     -
            exit code 1, in a crash loop; the next start comes in 12s
        ");
        assert!(text.lines().all(|line| line.trim_end() == line));
    }

    #[test]
    fn a_narrow_terminal_shortens_names_and_wraps_notes() {
        let text = example().render(Paint::plain(), Some(40));
        insta::assert_snapshot!(text, @r"
        NAME                       STATE     PID
        api                        ready    1250
        a-service-wi..long-name-1  backoff     -
            exit code 1, in a crash loop; the
            next start comes in 12s
        ");
        assert!(text.lines().all(|line| line.len() <= 40));
    }

    #[test]
    fn colours_do_not_change_the_alignment() {
        let plain = example().render(Paint::plain(), None);
        let coloured = example().render(Paint::coloured(), None);
        assert_ne!(plain, coloured);
        assert_eq!(plain, anstream::adapter::strip_str(&coloured).to_string());
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        assert_eq!(wrap("/a/very/long/path is gone", Some(8)), ["/a/very/long/path", "is gone"]);
        assert_eq!(wrap("", Some(8)), [""]);
        assert_eq!(wrap("äöü äöü", Some(3)), ["äöü", "äöü"]);
    }
}
