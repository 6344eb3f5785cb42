//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `${VAR:+other}` in strings, and `$$` for a dollar sign.
//!
//! `${secret:NAME}` stays a reference: in the result it is the name between two NUL characters, which stand in no text.
//!
//! A `$` before anything else stands for itself, so that regular expressions and passwords need no care.

use std::borrow::Cow;
use std::ops::Range;

use mainstay_core::{Piece, SecretText, is_secret_name};

/// What a variable is.
pub(crate) enum Var {
    Set(String),
    Unset,
    /// Its own definition is wrong, which has been told already.
    Broken,
}

/// What is wrong with a `${…}`, and where in the string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub range: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unset(String),
    Unclosed,
    BadName(String),
    /// `${VAR:?message}` of a variable that is unset or empty: its name and the message.
    Demanded(String, String),
    /// `${secret:…}` with something else than a name.
    BadSecret(String),
    /// What follows the name is neither `}` nor `:-`, `:?` or `:+`.
    Operator(String),
    TooDeep,
    TooLong,
}

/// A string with its variables replaced: none if something is wrong.
pub(crate) struct Expansion {
    pub value: Option<String>,
    pub problems: Vec<Problem>,
}

/// What stands before the name of a secret.
const SECRET: &str = "secret:";
/// What stands around the name of a secret in a result.
const REFERENCE: char = '\0';

/// Whether a result has a reference to a secret in it.
pub(crate) fn has_secret(value: &str) -> bool {
    value.contains(REFERENCE)
}

/// A result with references, as a plan has it.
pub(crate) fn secret_text(value: &str) -> SecretText {
    let piece = |(number, text): (usize, _)| match number % 2 {
        0 => Piece::Text(Cow::Borrowed(text)),
        _ => Piece::Secret(text, Vec::new()),
    };
    let pieces = value.split(REFERENCE).enumerate().map(piece);
    SecretText::of(pieces.filter(|piece| *piece != Piece::Text("".into())))
}

/// Defaults in defaults in defaults… to this depth.
const MAX_DEPTH: usize = 16;
/// So many problems of one string are told.
const MAX_PROBLEMS: usize = 20;
/// The longest result.
pub(crate) const MAX_LENGTH: usize = 1024 * 1024;

/// Replaces the variables of `raw`.
pub(crate) fn expand(raw: &str, lookup: &mut dyn FnMut(&str, Range<usize>) -> Var) -> Expansion {
    let mut expander = Expander { raw, at: 0, lookup, problems: Vec::new(), broken: false, length: 0 };
    let value = expander.run(0, true);
    let whole = expander.problems.is_empty() && !expander.broken;
    Expansion { value: whole.then_some(value), problems: expander.problems }
}

/// What stands between a name and the word that follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `:-`: the word, if the variable is unset or empty.
    Default,
    /// `:?`: an error that says the word, if the variable is unset or empty.
    Demand,
    /// `:+`: the word, if the variable is set and not empty; else nothing.
    Other,
}

struct Expander<'a> {
    raw: &'a str,
    at: usize,
    lookup: &'a mut dyn FnMut(&str, Range<usize>) -> Var,
    problems: Vec<Problem>,
    broken: bool,
    length: usize,
}

impl Expander<'_> {
    /// Reads to the end, or to the `}` that ends a default. Only looks at the form if not `live`: the default of a
    /// variable that is set.
    fn run(&mut self, depth: usize, live: bool) -> String {
        let mut out = String::new();
        while let Some(rest) = self.raw.get(self.at..).filter(|rest| !rest.is_empty()) {
            if self.problems.len() >= MAX_PROBLEMS {
                self.at = self.raw.len();
                return out;
            }
            if rest.starts_with("$$") {
                self.at += 2;
                self.push(&mut out, "$", live);
            } else if rest.starts_with("${") {
                if !self.variable(&mut out, depth, live) {
                    return out;
                }
            } else if depth > 0 && rest.starts_with('}') {
                return out;
            } else {
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let next = rest[first..].find(['$', '}']).map_or(rest.len(), |found| first + found);
                self.at += next;
                self.push(&mut out, &rest[..next], live);
            }
        }
        out
    }

    /// Reads from `${` to its `}`. False: there is no sense in going on.
    fn variable(&mut self, out: &mut String, depth: usize, live: bool) -> bool {
        let start = self.at;
        let inside = &self.raw[start + 2..];
        let Some(close) = inside.find('}') else {
            return self.give_up(start, Kind::Unclosed);
        };
        if let Some(secret) = inside[..close].strip_prefix(SECRET) {
            if !is_secret_name(secret) {
                return self.skip(start, close, Kind::BadSecret(secret.to_owned()));
            }
            self.at = start + 2 + close + 1;
            self.push(out, &format!("{REFERENCE}{secret}{REFERENCE}"), live);
            return true;
        }
        let name_length = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let name = &inside[..name_length];
        let after = &inside[name_length..];
        if name.is_empty() || name.starts_with(|c: char| !c.is_ascii_alphabetic() && c != '_') {
            let bad = &inside[..close];
            return self.skip(start, close, Kind::BadName(bad.to_owned()));
        }
        if after.starts_with('}') {
            self.at = start + 2 + name_length + 1;
            self.put(out, name, start, live);
            return true;
        }
        let operator = match after.as_bytes() {
            [b':', b'-', ..] => Operator::Default,
            [b':', b'?', ..] => Operator::Demand,
            [b':', b'+', ..] => Operator::Other,
            _ => {
                let operator: String = after.chars().take_while(|c| *c != '}').take(2).collect();
                return self.skip(start, close, Kind::Operator(operator));
            }
        };
        if depth >= MAX_DEPTH {
            return self.give_up(start, Kind::TooDeep);
        }
        // Whether the word behind the operator counts is known before it is read, so that an unset variable in one
        // that does not count is no error.
        let value = if live { Some((self.lookup)(name, start..start + 2 + name_length)) } else { None };
        let missing = match &value {
            Some(Var::Unset) => true,
            Some(Var::Set(value)) => value.is_empty(),
            Some(Var::Broken) | None => false,
        };
        let is_set = matches!(&value, Some(Var::Set(_))) && !missing;
        let use_word = if operator == Operator::Other { is_set } else { missing };
        self.at = start + 2 + name_length + 2;
        let word = self.run(depth + 1, use_word);
        if !self.raw[self.at.min(self.raw.len())..].starts_with('}') {
            if self.problems.is_empty() {
                self.give_up(start, Kind::Unclosed);
            }
            return false;
        }
        self.at += 1;
        match (operator, value) {
            (_, Some(Var::Broken)) => self.broken = true,
            (Operator::Demand, Some(_)) if missing => {
                let kind = Kind::Demanded(name.to_owned(), word);
                self.problems.push(Problem { range: start..self.at, kind });
            }
            (Operator::Default | Operator::Demand, Some(Var::Set(value))) if !missing => {
                self.push(out, &value, live);
            }
            // Its length has been counted when it was read.
            (_, Some(_)) if use_word => out.push_str(&word),
            _ => {}
        }
        true
    }

    fn put(&mut self, out: &mut String, name: &str, start: usize, live: bool) {
        if !live {
            return;
        }
        match (self.lookup)(name, start..self.at) {
            Var::Set(value) => self.push(out, &value, live),
            Var::Broken => self.broken = true,
            Var::Unset => {
                self.problems.push(Problem { range: start..self.at, kind: Kind::Unset(name.to_owned()) });
            }
        }
    }

    fn push(&mut self, out: &mut String, text: &str, live: bool) {
        if !live {
            return;
        }
        self.length += text.len();
        if self.length <= MAX_LENGTH {
            out.push_str(text);
        } else if !self.problems.iter().any(|p| p.kind == Kind::TooLong) {
            self.problems.push(Problem { range: 0..self.raw.len(), kind: Kind::TooLong });
        }
    }

    fn skip(&mut self, start: usize, close: usize, kind: Kind) -> bool {
        self.at = start + 2 + close + 1;
        self.problems.push(Problem { range: start..self.at, kind });
        true
    }

    fn give_up(&mut self, start: usize, kind: Kind) -> bool {
        self.at = self.raw.len();
        self.problems.push(Problem { range: start..self.raw.len(), kind });
        false
    }
}

/// Parentheses for the sake of Windows' `ProgramFiles(x86)`.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(raw: &str) -> Result<String, Vec<Problem>> {
        let mut lookup = |name: &str, _: Range<usize>| match name {
            "A" => Var::Set("one".into()),
            "EMPTY" => Var::Set(String::new()),
            "DOLLAR" => Var::Set("${A}".into()),
            "ProgramFiles(x86)" => Var::Set("C:\\x".into()),
            "BIG" => Var::Set("x".repeat(600 * 1024)),
            _ => Var::Unset,
        };
        let expansion = super::expand(raw, &mut lookup);
        expansion.value.ok_or(expansion.problems)
    }

    #[test]
    fn variables_are_replaced() {
        for (raw, wanted) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "one"),
            ("<${A}${A}>", "<oneone>"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY}", ""),
            ("${A:-two}", "one"),
            ("${B:-}", ""),
            ("${B:-${A}}", "one"),
            ("${B:-<${C:-${A}}>}!", "<one>!"),
            ("${A:-${NOT_ASKED_FOR}}", "one"),
            ("${B:-a$$b}", "a$b"),
            ("${A:?needed}", "one"),
            ("${A:?${NOT_ASKED_FOR}}", "one"),
            ("<${A:+yes ${A}}>", "<yes one>"),
            ("<${B:+${NOT_ASKED_FOR}}${EMPTY:+x}>", "<>"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$A ^a$ 5$ $(x)", "$A ^a$ 5$ $(x)"),
            ("}{", "}{"),
            ("${DOLLAR}", "${A}"),
            ("${ProgramFiles(x86)}", "C:\\x"),
            ("ü${A}ü", "üoneü"),
            ("a${secret:db}b", "a\0db\0b"),
            ("${B:-${secret:db-2}}", "\0db-2\0"),
            ("${A:-${secret:db}}$${secret:db}", "one${secret:db}"),
        ] {
            assert_eq!(expand(raw).as_deref(), Ok(wanted), "{raw}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (raw, range, kind) in [
            ("a${B}c", 1..5, Kind::Unset("B".into())),
            ("a${B", 1..4, Kind::Unclosed),
            ("${B:-x", 0..6, Kind::Unclosed),
            ("${}", 0..3, Kind::BadName(String::new())),
            ("${1}", 0..4, Kind::BadName("1".into())),
            ("${A:=no}", 0..8, Kind::Operator(":=".into())),
            ("<${B:?set ${A}}>", 1..15, Kind::Demanded("B".into(), "set one".into())),
            ("${EMPTY:?}", 0..10, Kind::Demanded("EMPTY".into(), String::new())),
            ("a${secret:}", 1..11, Kind::BadSecret(String::new())),
            ("${secret:a.b}", 0..13, Kind::BadSecret("a.b".into())),
            ("${A-b}", 0..6, Kind::Operator("-b".into())),
            ("${BIG}${BIG}", 0..12, Kind::TooLong),
            ("${A:-${1}}", 5..9, Kind::BadName("1".into())),
        ] {
            assert_eq!(expand(raw), Err(vec![Problem { range, kind }]), "{raw}");
        }
        let deep = format!("{}x{}", "${B:-".repeat(100), "}".repeat(100));
        assert!(expand(&deep).is_err_and(|p| p[0].kind == Kind::TooDeep));
        assert_eq!(expand("${B} ${C}").map_err(|p| p.len()), Err(2), "all at once");
    }
}
