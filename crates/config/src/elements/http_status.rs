//! `expect` of an http probe: the statuses that are a success.

use crate::context::{Context, Field};
use crate::keys::Form;
use crate::value::Value;

const ONE: Form = Form::Any(&[Form::Count(100, 599), Form::Text]);
pub(crate) const FORM: Form = Form::Any(&[ONE, Form::List(&ONE)]);

const EXPECTED: &str = "a status such as 204, a range such as \"200-299\", or a list of them";

/// Reads a status, a range, or a list of them.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<Vec<(u16, u16)>> {
    let Value::List(items) = &field.node.value else { return one(cx, field).map(|range| vec![range]) };
    if items.is_empty() {
        cx.error(field.span(), "no status at all would be a success")
            .hint("leave out `expect`: then 200 to 399 are");
        return None;
    }
    // Each of them is looked at, so that all mistakes are told at once.
    let ranges: Vec<Option<(u16, u16)>> = items.iter().map(|item| one(cx, field.part(item))).collect();
    ranges.into_iter().collect()
}

fn one(cx: &mut Context<'_>, field: Field<'_>) -> Option<(u16, u16)> {
    if let Value::Integer(..) = field.node.value {
        let status = cx.count(field, 100, 599)?;
        return u16::try_from(status).ok().map(|status| (status, status));
    }
    let text = cx.string(field, EXPECTED)?;
    let range = range(&text.value);
    if range.is_none() {
        cx.error(field.span(), format!("`{}` is no status of HTTP", text.value))
            .hint(format!("write {EXPECTED}"));
    }
    range
}

fn range(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (status(from)?, status(to)?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn statuses_and_ranges() {
        for (text, expected) in [
            ("200", Some((200, 200))),
            ("200-299", Some((200, 299))),
            ("200 - 204", Some((200, 204))),
            ("2xx", Some((200, 299))),
            ("5xx", Some((500, 599))),
            ("6xx", None),
            ("299-200", None),
            ("99", None),
            ("600", None),
            ("", None),
            ("-", None),
            ("ok", None),
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
    }
}
