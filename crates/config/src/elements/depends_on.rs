//! `depends_on`: what has to be there before a service starts.

use std::collections::BTreeMap;

use mainstay_core::{Condition, ServiceName};

use crate::context::{Context, Field};
use crate::keys::{Form, MapKey};
use crate::source::Span;
use crate::value::Value;

const CONDITIONS: &[(&str, Condition)] =
    &[("started", Condition::Started), ("ready", Condition::Ready), ("completed", Condition::Completed)];

pub(crate) const FORM: Form = Form::Any(&[
    Form::Map(MapKey::Name, &Form::Choice(&["started", "ready", "completed"])),
    Form::List(&Form::Name),
]);

/// One dependency, as far as it can be known without the other services.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub on: ServiceName,
    pub condition: Condition,
    /// Where the name is written.
    pub span: Span,
}

/// Reads the dependencies that are well-formed.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut places: BTreeMap<ServiceName, Span> = BTreeMap::new();
    match &field.node.value {
        Value::Table(entries) => {
            for entry in entries {
                let condition = cx.choice(Field { key: &entry.key, node: &entry.value }, CONDITIONS);
                let on = name(cx, &entry.key, entry.key_span);
                if let (Some(condition), Some(on)) = (condition, on) {
                    found.push(Dependency { on, condition, span: entry.key_span });
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let Some(text) = cx.string(field.part(item), "the name of a service") else { continue };
                let Some(on) = name(cx, &text.value, item.span) else { continue };
                if let Some(first) = places.insert(on.clone(), item.span) {
                    cx.error(item.span, format!("`{on}` is named twice"))
                        .related(first, "named here too")
                        .hint("keep one of them");
                    continue;
                }
                found.push(Dependency { on, condition: Condition::Started, span: item.span });
            }
        }
        other => {
            let hint = match other {
                Value::Text(text) => format!("write [\"{0}\"] or {{ {0} = \"ready\" }}", text.raw),
                _ => "write it like { db = \"ready\" } or [\"db\"]".to_owned(),
            };
            cx.wrong_type(field, "a list or a table").hint(hint);
        }
    }
    found
}

fn name(cx: &mut Context<'_>, text: &str, span: Span) -> Option<ServiceName> {
    match ServiceName::new(text) {
        Ok(name) => Some(name),
        Err(why) => {
            cx.error(span, format!("the name `{text}` {why}"))
                .hint("it is the name of a service of this file");
            None
        }
    }
}

/// The name of a group, which follows the rules of services' names.
pub(crate) fn name_of(cx: &mut Context<'_>, field: Field<'_>) -> Option<ServiceName> {
    let text = cx.string(field, "a name")?;
    match ServiceName::new(&text.value) {
        Ok(name) => Some(name),
        Err(why) => {
            cx.error(field.span(), format!("the name `{}` {why}", text.value))
                .hint("write a name like workers");
            None
        }
    }
}
