//! `log` of a probe: the regular expression that is looked for in the output.

use regex::bytes::Regex;

use crate::context::{Context, Field};

/// Reads a regular expression.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "a regular expression such as \"listening on\"")?;
    if text.value.is_empty() {
        cx.error(field.span(), "an empty regular expression matches every line")
            .hint("write a part of the line that the service prints when it is ready");
        return None;
    }
    let Err(error) = Regex::new(&text.value) else {
        return Some(text.value);
    };
    // The same parser once more, for the place of the mistake.
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&text.value);
    let (message, span) = match parsed {
        Err(regex_syntax::Error::Parse(error)) => {
            (error.kind().to_string(), text.part(error.span().start.offset, error.span().end.offset))
        }
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), text.part(error.span().start.offset, error.span().end.offset))
        }
        Ok(_) | Err(_) => (error.to_string().lines().last().unwrap_or_default().to_owned(), text.whole()),
    };
    cx.error(span, format!("this is no regular expression: {message}"))
        .hint("put a `\\` before `.`, `(`, `[`, `{`, `*`, `+`, `?`, `|` that mean themselves; '…' keeps it as it is");
    None
}
