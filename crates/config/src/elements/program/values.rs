//! What templates know as `values`.

use std::collections::BTreeMap;

use minijinja::value::Value as Rendered;

use crate::context::{Context, Field};
use crate::expand;
use crate::rendering::hidden;
use crate::value::{Node, Value};

/// Values in values in values.
const MAX_DEPTH: usize = 32;

/// Values for templates. None: it is told what is wrong.
pub(super) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<Rendered> {
    read_at(cx, field, 0)
}

fn read_at(cx: &mut Context<'_>, field: Field<'_>, depth: usize) -> Option<Rendered> {
    if depth > MAX_DEPTH {
        cx.error(field.span(), "values in values too deep")
            .hint(format!("{MAX_DEPTH} levels are understood"));
        return None;
    }
    Some(match &field.node.value {
        Value::Text(_) => {
            hidden::value(&expand::secret_text(&cx.string_with_secrets(field, "a value")?.value))
        }
        Value::Integer(_, Some(number)) => Rendered::from(*number),
        Value::Integer(..) | Value::Decimal => {
            let number = cx.source(field.span().source).text.get(field.span().start..field.span().end);
            let number = number.unwrap_or_default().replace('_', "").parse::<f64>();
            match number {
                Ok(number) => Rendered::from(number),
                Err(_) => {
                    cx.wrong_type(field, "a number that templates can have").hint("write it in quotes");
                    return None;
                }
            }
        }
        Value::Bool(truth) => Rendered::from(*truth),
        Value::Null => Rendered::from(()),
        Value::Date => {
            let span = field.span();
            Rendered::from(cx.source(span.source).text.get(span.start..span.end).unwrap_or_default())
        }
        Value::List(items) => {
            let items = items.iter().map(|item| read_at(cx, field.part(item), depth + 1));
            Rendered::from(items.collect::<Option<Vec<_>>>()?)
        }
        Value::Table(entries) => {
            let value =
                |node: &Node, key: &str, cx: &mut Context<'_>| read_at(cx, Field { key, node }, depth + 1);
            let mut table = BTreeMap::new();
            for entry in entries {
                table.insert(entry.key.clone(), value(&entry.value, &entry.key, cx)?);
            }
            Rendered::from(table)
        }
        Value::Broken => return None,
    })
}
