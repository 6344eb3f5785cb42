//! JSON, of types whose writing cannot fail.

use serde::Serialize;

/// Writes `value`. Only for types without a failing `Serialize` and with text or number keys: for these writing to
/// memory cannot fail.
pub(crate) fn to_string<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value);
    debug_assert!(text.is_ok(), "cannot be written as JSON: {text:?}");
    text.unwrap_or_default()
}
