//! The log of a service on the screen: the newest lines, followed or held, searched.

use std::collections::VecDeque;

use mainstay_core::ServiceName;

use crate::Key;

/// So many lines are held; older ones go, the file has them.
const HELD: usize = 5_000;
/// A longer line is cut.
const LONGEST: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Lines {
    pub name: ServiceName,
    pub lines: VecDeque<String>,
    /// The first line on the screen.
    pub top: usize,
    /// Whether the newest line stays in sight.
    pub follows: bool,
    /// What is searched.
    pub word: String,
    room: usize,
}

impl Lines {
    pub fn new(name: ServiceName, room: usize) -> Lines {
        Lines { name, lines: VecDeque::new(), top: 0, follows: true, word: String::new(), room }
    }

    pub fn extend(&mut self, new: Vec<String>) {
        for line in new {
            self.lines.push_back(line.chars().take(LONGEST).map(printable).collect());
        }
        let old = self.lines.len().saturating_sub(HELD);
        self.lines.drain(..old);
        self.top = self.top.saturating_sub(old);
        self.fit(self.room);
    }

    pub fn fit(&mut self, room: usize) {
        self.room = room;
        let last = self.last();
        self.top = if self.follows { last } else { self.top.min(last) };
    }

    fn last(&self) -> usize {
        self.lines.len().saturating_sub(self.room)
    }

    pub fn key(&mut self, key: Key) {
        let top = match key {
            Key::Up | Key::Char('k') => self.top.saturating_sub(1),
            Key::Down | Key::Char('j') => self.top + 1,
            Key::PageUp => self.top.saturating_sub(self.room),
            Key::PageDown => self.top + self.room,
            Key::Home => 0,
            Key::End => usize::MAX,
            Key::Char('f') => {
                self.follows = !self.follows;
                return self.fit(self.room);
            }
            Key::Char('n') => return self.find(true),
            Key::Char('N') => return self.find(false),
            _ => return,
        };
        self.top = top.min(self.last());
        // Whoever looks at what was has it stand still; at the end it goes on.
        self.follows = self.top == self.last();
    }

    /// To the next line below that has the word, or above.
    pub fn find(&mut self, below: bool) {
        if self.word.is_empty() {
            return;
        }
        let has = |place: &usize| self.lines.get(*place).is_some_and(|line| self.fits(line));
        let found = if below {
            (self.top + 1..self.lines.len()).find(has)
        } else {
            // From the end, for a fresh search.
            let from = if self.follows { self.lines.len() } else { self.top };
            (0..from).rev().find(has)
        };
        if let Some(place) = found {
            self.follows = false;
            self.top = place;
        }
    }

    /// Whether a line has the word, whatever its letters' case.
    pub fn fits(&self, line: &str) -> bool {
        !self.word.is_empty() && line.to_lowercase().contains(&self.word.to_lowercase())
    }
}

/// What would do something to a terminal becomes a question mark.
pub(crate) fn printable(letter: char) -> char {
    match letter {
        '\t' => ' ',
        letter if letter.is_control() => '?',
        letter => letter,
    }
}
