//! `command`: the program and its arguments.
//!
//! A list is passed exactly as written. A string is split at blanks; quotes keep what is between them together and
//! that is all there is to it: no shell, no escapes (a `\` is an ordinary character, as Windows' paths need it), and
//! whatever a shell would understand but we do not is refused rather than passed on silently.

use crate::context::{Context, Field};
use crate::effective::Became;
use crate::value::{Text, Value};

/// Reads a command. None if something is wrong with it.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<Vec<String>> {
    let command = match &field.node.value {
        Value::Text(text) => words(cx, field, text)?,
        Value::List(items) => {
            let words: Vec<Option<String>> = items
                .iter()
                .map(|item| {
                    let word = cx.string(field.part(item), "a string for each argument");
                    word.map(|word| word.value)
                })
                .collect();
            words.into_iter().collect::<Option<Vec<String>>>()?
        }
        _ => {
            cx.wrong_type(field, "a list of strings").hint("write it like [\"./api\", \"--port\", \"8080\"]");
            return None;
        }
    };
    match command.first().map(String::as_str) {
        None => {
            cx.error(field.span(), format!("`{}` is empty", field.key))
                .hint("write the program and its arguments: [\"./api\", \"--port\", \"8080\"]");
            None
        }
        Some(program) if program.trim().is_empty() => {
            cx.error(field.span(), "the program's name is empty")
                .hint("the first item of the list is the program, the others are its arguments");
            None
        }
        Some(_) => Some(command),
    }
}

/// Splits a string into words, and replaces the variables of each afterwards: a value with blanks stays one word.
fn words(cx: &mut Context<'_>, field: Field<'_>, text: &Text) -> Option<Vec<String>> {
    let words = match split(&text.raw) {
        Ok(words) => words,
        Err((at, wrong)) => {
            let span = text.part(field.span(), at, at + 1);
            let (message, hint) = match wrong {
                Wrong::Shell(c) => (
                    format!("`{c}` has a meaning for a shell, but no shell runs this"),
                    "put it in quotes if the program wants it; or run a shell yourself: \
                     [\"sh\", \"-c\", \"…\"] or [\"cmd\", \"/c\", \"…\"]",
                ),
                Wrong::Unclosed(c) => (
                    format!("this {c} has no second one"),
                    "a list needs no quotes inside: [\"./api\", \"it's\"]",
                ),
                Wrong::Escape => (
                    "a `\\` does not keep a blank or a quote from its meaning here".to_owned(),
                    "write a list, where nothing has a meaning: [\"./api\", \"two words\"]",
                ),
            };
            cx.error(span, message).hint(hint);
            return None;
        }
    };
    let mut expanded = Vec::with_capacity(words.len());
    let mut whole = true;
    for (raw, start) in words {
        let verbatim = text.verbatim.and_then(|first| start.map(|start| first + start));
        match cx.expand(&Text { raw, verbatim }, field.span()) {
            Some(word) => expanded.push(word.value),
            None => whole = false,
        }
    }
    if whole {
        cx.record(text, || Became::Words(expanded.clone()));
    }
    whole.then_some(expanded)
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Shell(char),
    Unclosed(char),
    Escape,
}

/// A word, and where it begins in the string if it stands there as it is.
type Word = (String, Option<usize>);

fn split(raw: &str) -> Result<Vec<Word>, (usize, Wrong)> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<(char, usize)> = None;
    // Depth of `${…}`: blanks in a default do not end a word.
    let mut braces = 0_usize;
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let plain = quote.is_none() && braces == 0;
        match c {
            '$' if next == Some('$') => {
                chars.next();
                word.get_or_insert_with(|| (String::new(), Some(at))).0.push_str("$$");
            }
            '$' if next == Some('{') => {
                chars.next();
                braces += 1;
                word.get_or_insert_with(|| (String::new(), Some(at))).0.push_str("${");
            }
            '}' if braces > 0 => {
                braces -= 1;
                word.get_or_insert_with(|| (String::new(), Some(at))).0.push('}');
            }
            '\'' | '"' if plain => {
                quote = Some((c, at));
                // What follows is no longer what stands in the file.
                word.get_or_insert_with(|| (String::new(), None)).1 = None;
            }
            _ if quote.is_some_and(|(open, _)| open == c) && braces == 0 => quote = None,
            c if plain && c.is_whitespace() => words.extend(word.take()),
            '\\' if plain && next.is_some_and(|n| matches!(n, ' ' | '\t' | '"' | '\'')) => {
                return Err((at, Wrong::Escape));
            }
            '|' | '&' | ';' | '<' | '>' | '`' | '*' if plain => return Err((at, Wrong::Shell(c))),
            '(' if plain && word.as_ref().is_some_and(|(word, _)| word.ends_with('$')) => {
                return Err((at - 1, Wrong::Shell('$')));
            }
            c => word.get_or_insert_with(|| (String::new(), Some(at))).0.push(c),
        }
    }
    if let Some((open, at)) = quote {
        return Err((at, Wrong::Unclosed(open)));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(raw: &str) -> Result<Vec<String>, (usize, Wrong)> {
        super::split(raw).map(|words| words.into_iter().map(|(word, _)| word).collect())
    }

    #[test]
    fn strings_are_split_at_blanks() {
        for (raw, words) in [
            ("", vec![]),
            ("./api", vec!["./api"]),
            ("  a  b\tc ", vec!["a", "b", "c"]),
            ("a 'b c' \"d 'e'\" ''", vec!["a", "b c", "d 'e'", ""]),
            ("--name='x y'z", vec!["--name=x yz"]),
            (r"C:\apps\api.exe --dir D:\x\", vec![r"C:\apps\api.exe", "--dir", r"D:\x\"]),
            ("a ${B:-x y} $$c", vec!["a", "${B:-x y}", "$$c"]),
            ("a '${B:-x}' é", vec!["a", "${B:-x}", "é"]),
        ] {
            assert_eq!(split(raw).unwrap(), words, "{raw}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_refused() {
        for (raw, at, wrong) in [
            ("a | b", 2, Wrong::Shell('|')),
            ("a && b", 2, Wrong::Shell('&')),
            ("a > b", 2, Wrong::Shell('>')),
            ("rm *.log", 3, Wrong::Shell('*')),
            ("echo $(date)", 5, Wrong::Shell('$')),
            ("it's", 2, Wrong::Unclosed('\'')),
            (r"a\ b", 1, Wrong::Escape),
        ] {
            assert_eq!(split(raw), Err((at, wrong)), "{raw}");
        }
        assert!(split("grep 'a|b*'").is_ok());
    }
}
