//! `limits`: what a service may use. Accepted and checked; not enforced in this version.

use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;

pub(crate) const FORM: Form = Form::Section(&LIMITS);

pub(crate) static LIMITS: Section =
    Section {
        id: "limits",
        title: "`limits`",
        about: "What a service may use.",
        one_of: &[],
        keys: &[Key::new("memory", Form::Size, "\"512MB\"", "Memory of the whole tree.")
            .no_effect()
            .also(&["mem", "memory_max", "max_memory"])],
    };

/// Checks the limits.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) {
    let Some(mut reader) = Reader::open(cx, field, &LIMITS) else { return };
    if let Some(memory) = reader.get("memory") {
        cx.size(memory, 1);
    }
    reader.finish();
}
