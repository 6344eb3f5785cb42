//! Variables of a program whose values are templates.

use mainstay_core::SecretText;

use super::Of;
use super::files::inline;
use crate::context::{Context, Field};
use crate::elements::env_file;
use crate::rendering::Known;
use crate::value::Value;

pub(super) fn read(cx: &mut Context<'_>, field: Field<'_>, known: &Known, of: &mut Of<'_>) {
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table").hint("write it like { LIMIT = \"{{ values.limit }}\" }");
        return;
    };
    for entry in entries {
        if let Some(bad) = env_file::bad_name(&entry.key) {
            cx.error(entry.key_span, bad).hint("write it like LIMIT = \"{{ values.limit }}\"");
            continue;
        }
        let value = match &entry.value.value {
            Value::Integer(written, _) => Some(SecretText::from(written.as_str())),
            Value::Bool(truth) => Some(SecretText::from(if *truth { "true" } else { "false" })),
            _ => inline(cx, Field { key: &entry.key, node: &entry.value }, known),
        };
        let Some(value) = value else { continue };
        // On Windows another spelling is the same variable.
        let folded = cx.fold(&entry.key).into_owned();
        of.environment.retain(|name, _| cx.fold(name) != folded);
        of.secret_environment.retain(|name, _| cx.fold(name) != folded);
        match value.plain() {
            Some(plain) if plain.contains('\0') => {
                cx.error(entry.value.span, "a NUL character cannot be passed to a program");
            }
            Some(plain) => drop(of.environment.insert(entry.key.clone(), plain)),
            None => drop(of.secret_environment.insert(entry.key.clone(), value)),
        }
    }
}
