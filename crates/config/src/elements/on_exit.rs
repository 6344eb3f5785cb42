//! `on_exit` of `restart`: what follows certain exit codes.

use std::collections::BTreeMap;

use mainstay_core::ExitAction;

use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, MapKey};
use crate::source::Span;
use crate::value::Value;

pub(crate) const FORM: Form =
    Form::Map(MapKey::ExitCode, &Form::Choice(&["restart", "restart-now", "stop", "fail"]));

const ACTIONS: &[(&str, ExitAction)] = &[
    ("restart", ExitAction::Restart),
    ("restart-now", ExitAction::RestartNow),
    ("stop", ExitAction::Stop),
    ("fail", ExitAction::Fail),
];

/// Reads the table of codes.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> BTreeMap<i64, ExitAction> {
    let mut actions: BTreeMap<i64, ExitAction> = BTreeMap::new();
    let mut places: BTreeMap<i64, Span> = BTreeMap::new();
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table").hint("write it like { 78 = \"fail\", 0xC0000005 = \"restart\" }");
        return actions;
    };
    for entry in entries {
        let action = cx.choice(Field { key: &entry.key, node: &entry.value }, ACTIONS);
        let Some(code) = code(&entry.key, cx.around.system) else {
            cx.error(entry.key_span, format!("`{}` is no exit code", entry.key))
                .hint("write a number: 78, -1, or one of Windows such as 0xC0000005");
            continue;
        };
        if let Some(first) = places.insert(code, entry.key_span) {
            cx.error(entry.key_span, format!("the exit code {code} is given twice"))
                .related(first, "given here too")
                .hint("keep one of them; -1, 0xFFFFFFFF and 4294967295 are the same");
            continue;
        }
        actions.extend(action.map(|action| (code, action)));
    }
    actions
}

/// The code as the system will report it: Windows' are unsigned numbers of 32 bits, Linux' of 8.
fn code(text: &str, system: System) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = hex.map_or((10, digits), |hex| (16, hex));
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    let number = if negative { -number } else { number };
    if !(i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&number) {
        return None;
    }
    Some(match system {
        System::Windows => number & 0xFFFF_FFFF,
        // What is too large for Linux cannot come; it stays, since the same file may serve on Windows.
        System::Linux if number < 0 => number & 0xFF,
        System::Linux => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_the_system_reports() {
        for (text, linux, windows) in [
            ("0", Some(0), Some(0)),
            ("78", Some(78), Some(78)),
            ("-1", Some(255), Some(0xFFFF_FFFF)),
            ("0xC0000005", Some(0xC000_0005), Some(0xC000_0005)),
            ("-1073741819", Some(5), Some(0xC000_0005)),
            ("4294967296", None, None),
            ("-2147483649", None, None),
            ("", None, None),
            ("-", None, None),
            ("0x", None, None),
            ("SIGTERM", None, None),
            ("1.5", None, None),
            ("+1", None, None),
        ] {
            assert_eq!(code(text, System::Linux), linux, "{text}");
            assert_eq!(code(text, System::Windows), windows, "{text}");
        }
    }
}
