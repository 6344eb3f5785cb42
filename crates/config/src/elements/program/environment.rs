//! Variables of a program whose values are templates.

use std::collections::BTreeMap;

use super::files::inline;
use crate::context::{Context, Field};
use crate::elements::env_file;
use crate::rendering::Known;
use crate::value::Value;

pub(super) fn read(
    cx: &mut Context<'_>,
    field: Field<'_>,
    known: &Known,
    environment: &mut BTreeMap<String, String>,
) {
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
            Value::Integer(written, _) => Some(written.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => inline(cx, Field { key: &entry.key, node: &entry.value }, known),
        };
        let Some(value) = value else { continue };
        if value.contains('\0') {
            cx.error(entry.value.span, "a NUL character cannot be passed to a program");
            continue;
        }
        // On Windows another spelling is the same variable.
        let folded = cx.fold(&entry.key).into_owned();
        environment.retain(|name, _| cx.fold(name) != folded);
        environment.insert(entry.key.clone(), value);
    }
}
