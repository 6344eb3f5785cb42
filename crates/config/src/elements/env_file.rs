//! `env_file`: files of `NAME=value` lines.
//!
//! ```text
//! # a comment
//! export PORT=8080            # `export` is allowed, as is a comment after a blank
//! GREETING = hello world      # blanks around are not part of the value
//! RAW='taken as it is: \n $HOME "x"'
//! ESCAPED="a line\nanother one, a \"quote\", a \\ and a \$"
//! LINES="may go
//! over several lines"
//! ```
//! Values are taken literally: `${…}` is not replaced in them. Such files hold secrets: no message repeats a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::context::{Context, Field};
use crate::source::{Origin, Shown, Span};
use crate::value::Value;

/// The largest file.
const MAX_FILE: usize = 1024 * 1024;
/// So many files of one service.
const MAX_FILES: usize = 100;
/// So many mistakes of one file are told.
const MAX_MISTAKES: usize = 20;

/// The variables of all files, by folded name: a later file wins. The second is false if something was wrong.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> (BTreeMap<String, (String, String)>, bool) {
    let mut variables = BTreeMap::new();
    let mut sound = true;
    let files: Vec<Field<'_>> = match &field.node.value {
        Value::Text(_) => vec![field],
        Value::List(items) => items.iter().map(|item| field.part(item)).collect(),
        _ => {
            cx.wrong_type(field, "a list of paths").hint("write it like [\"api.env\"]");
            return (variables, false);
        }
    };
    if files.len() > MAX_FILES {
        cx.error(field.span(), format!("too many files: {}", files.len()))
            .hint(format!("at most {MAX_FILES} are accepted"));
        return (variables, false);
    }
    let mut seen: Vec<(PathBuf, Span)> = Vec::new();
    for file in files {
        let Some(path) = super::path::read(cx, file) else {
            sound = false;
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == path) {
            let first = *first;
            cx.warning(file.span(), "this file is named twice")
                .related(first, "here too")
                .hint("leave it out");
            continue;
        }
        seen.push((path.clone(), file.span()));
        let known = match cx.variables.get(&path) {
            Some(known) => known.clone(),
            None => {
                let found = one_file(cx, file, &path).map(Rc::new);
                cx.variables.insert(path, found.clone());
                found
            }
        };
        let Some(found) = known.filter(|found| {
            let bytes = found.iter().map(|(name, value)| name.len() + value.len()).sum();
            cx.grow(bytes, file.span())
        }) else {
            sound = false;
            continue;
        };
        for (name, value) in found.iter() {
            variables.insert(cx.fold(name).into_owned(), (name.clone(), value.clone()));
        }
    }
    (variables, sound)
}

fn one_file(cx: &mut Context<'_>, field: Field<'_>, path: &Path) -> Option<Vec<(String, String)>> {
    cx.add_file(path.to_owned());
    let bytes = match (cx.around.read_file)(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let problem = cx.error(field.span(), format!("cannot read {}: {error}", path.display()));
            if error.kind() == std::io::ErrorKind::NotFound {
                problem.hint("a relative path starts at the directory of the configuration file");
            }
            return None;
        }
    };
    if bytes.len() > MAX_FILE {
        cx.error(field.span(), format!("{} is too large for a file of variables", path.display()))
            .hint(format!("at most {MAX_FILE} bytes are accepted"));
        return None;
    }
    let name = cx.called(path, field.span());
    variables(cx, &name, &bytes)
}

/// The variables of a file in their order; none if something is wrong with it, which is told.
pub(crate) fn variables(cx: &mut Context<'_>, name: &str, bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let base_dir = cx.around.base_dir;
    let source = cx.add_source(name, bytes, Shown::PlaceOnly, Origin::Named, base_dir)?;
    let text = cx.source(source).text.clone();
    let mut parser = Parser { text: &text, at: 0 };
    let mut found: Vec<(String, String)> = Vec::new();
    let mut first: BTreeMap<String, Span> = BTreeMap::new();
    let mut mistakes = 0;
    while let Some(item) = parser.next() {
        match item {
            Ok((name, start, value)) => {
                let span = Span { source, start, end: start + name.len() };
                if let Some(other) = first.get(cx.fold(&name).as_ref()).copied() {
                    cx.warning(span, format!("`{name}` is given twice; the later one counts"))
                        .related(other, "given here too");
                }
                first.insert(cx.fold(&name).into_owned(), span);
                found.push((name, value));
            }
            Err(wrong) => {
                mistakes += 1;
                cx.error(Span { source, start: wrong.at, end: wrong.at }, wrong.message).hint(wrong.hint);
                if mistakes >= MAX_MISTAKES {
                    return None;
                }
            }
        }
    }
    (mistakes == 0).then_some(found)
}

#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    at: usize,
    message: String,
    hint: &'static str,
}

/// A variable: its name, where that begins, its value.
type Item = Result<(String, usize, String), Wrong>;

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn line(&self) -> &str {
        let rest = self.rest();
        rest.split_once('\n').map_or(rest, |(line, _)| line)
    }

    fn next_line(&mut self) {
        let line = self.line().len();
        self.at = (self.at + line + 1).min(self.text.len());
    }

    fn skip_blanks(&mut self) {
        let line = self.line();
        self.at += line.len() - line.trim_start().len();
    }

    fn next(&mut self) -> Option<Item> {
        loop {
            if self.rest().is_empty() {
                return None;
            }
            self.skip_blanks();
            let line = self.line();
            if line.is_empty() || line.starts_with('#') {
                self.next_line();
                continue;
            }
            let item = self.assignment();
            if item.is_err() {
                self.next_line();
            }
            return Some(item);
        }
    }

    fn assignment(&mut self) -> Item {
        if let Some(after) = self.line().strip_prefix("export").filter(|after| after.starts_with([' ', '\t']))
        {
            self.at += "export".len() + (after.len() - after.trim_start().len());
        }
        let start = self.at;
        let line = self.line();
        let Some((name, value)) = line.split_once('=') else {
            return Err(Wrong {
                at: start,
                message: "this line is no variable: it has no `=`".to_owned(),
                hint: "write NAME=value, or `#` before a comment",
            });
        };
        let (name, after_name) = (name.trim_end().to_owned(), name.len() + 1);
        if let Some(bad) = bad_name(&name) {
            return Err(Wrong { at: start, message: bad.to_owned(), hint: "write NAME=value" });
        }
        let blanks = value.len() - value.trim_start().len();
        self.at = start + after_name + blanks;
        let value = match self.line().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote, &name)?,
            _ => {
                let value = unquoted(self.line()).to_owned();
                self.next_line();
                value
            }
        };
        if value.contains('\0') {
            let message = format!("the value of `{name}` has a NUL character");
            return Err(Wrong { at: start, message, hint: "no program can be given one" });
        }
        Ok((name, start, value))
    }

    /// A value in quotes, which may go over several lines.
    fn quoted(&mut self, quote: char, name: &str) -> Result<String, Wrong> {
        let open = self.at;
        let mut value = String::new();
        let mut chars = self.text[open + 1..].char_indices();
        while let Some((index, c)) = chars.next() {
            let at = open + 1 + index;
            if c == quote {
                self.at = at + 1;
                let rest = self.line().trim();
                if rest.is_empty() || rest.starts_with('#') {
                    self.next_line();
                    return Ok(value);
                }
                // After a mistake reading goes on below the line with the opening quote: it may be the closing one of
                // that line that is missing.
                self.at = open;
                return Err(if self.line().len() < at - open {
                    Wrong {
                        at: open,
                        message: format!("the quotes of `{name}` are not closed in this line"),
                        hint: "add the closing quote; a value may go over several lines, but nothing may follow it",
                    }
                } else {
                    Wrong {
                        at: at + 1,
                        message: format!("something follows the closing quote of `{name}`"),
                        hint: "put the whole value in quotes; inside \"…\" a quote is written \\\"",
                    }
                });
            }
            if c != '\\' || quote == '\'' {
                value.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('\\' | '"' | '\'' | '$' | '`')) => value.push(c),
                _ => {
                    return Err(Wrong {
                        at,
                        message: format!("a `\\` in the value of `{name}` begins no escape that is known"),
                        hint: "write '…' instead of \"…\" to take every character as it is, or double the `\\`",
                    });
                }
            }
        }
        Err(Wrong {
            at: open,
            message: format!("the value of `{name}` has no closing quote"),
            hint: "add it, or leave out the opening one",
        })
    }
}

/// The value up to a comment, without blanks around.
fn unquoted(line: &str) -> &str {
    let comment = line
        .char_indices()
        .find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with([' ', '\t'])))
        .map_or(line.len(), |(at, _)| at);
    line[..comment].trim()
}

/// Why a text is no name of a variable, if so.
pub(crate) fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("the name of the variable is empty");
    }
    let bad =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '"' | '\'' | '`' | '#' | '$');
    name.contains(bad).then_some("the name of a variable cannot have blanks, quotes, `=`, `#` or `$`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<Item> {
        let mut parser = Parser { text, at: 0 };
        std::iter::from_fn(|| parser.next()).take(1000).collect()
    }

    fn values(text: &str) -> Vec<(String, String)> {
        items(text).into_iter().map(|item| item.map(|(name, _, value)| (name, value)).unwrap()).collect()
    }

    #[test]
    fn variables_are_read_as_shells_and_compose_do() {
        let text = "# c\n\n  export A=1\r\nB = two words  # c\nC='a \\n $X \"'\nD=\"x\\ny \\\"q\\\" \\\\ \\$\"\n\
                    E=\nF=\"a\nb\" # c\nG=C:\\apps\\new\nH=a#b\nI=#c\nJ=x=y\nexport=1\nK=''";
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a \\n $X \""),
            ("D", "x\ny \"q\" \\ $"),
            ("E", ""),
            ("F", "a\nb"),
            ("G", "C:\\apps\\new"),
            ("H", "a#b"),
            ("I", ""),
            ("J", "x=y"),
            ("export", "1"),
            ("K", ""),
        ];
        assert_eq!(values(text), wanted.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn mistakes_have_their_place_and_what_follows_is_read() {
        let text = "A\nB=\"x\ny\nC=1";
        let found = items(text);
        assert!(found[0].as_ref().is_err_and(|w| w.at == 0 && w.message.contains("no `=`")));
        assert!(found[1].as_ref().is_err_and(|w| w.at == 4 && w.message.contains("no closing quote")));
        assert_eq!(found.last(), Some(&Ok(("C".to_owned(), 9, "1".to_owned()))));
        assert!(items("A=\"x\" y")[0].as_ref().is_err_and(|w| w.at == 5));
        assert!(items("A=\"C:\\apps\"")[0].as_ref().is_err_and(|w| w.at == 5));
        assert!(items("=x")[0].as_ref().is_err_and(|w| w.at == 0));
        assert!(items("A B=x")[0].as_ref().is_err_and(|w| w.at == 0));
    }
}
