//! `user`: the account of a service.

use crate::System;
use crate::context::{Context, Field};

/// Reads the account's name. Whether there is such an account only the machine it runs on knows.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "the name of an account")?;
    if text.value.trim().is_empty() {
        cx.error(field.span(), "`user` is empty").hint("leave the key out to use Mainstay's own account");
        return None;
    }
    if cx.around.system == System::Windows {
        cx.warning(field.span(), "`user` has no effect on Windows in this version")
            .hint("the service runs under the account that Mainstay runs under");
        return None;
    }
    Some(text.value)
}
