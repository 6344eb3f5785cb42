//! `user` and `password`: the account of a service.

use mainstay_core::{Launch, SecretText, dynamic_user, windows_account};

use super::rights::refuse_on_linux;
use super::{check::truth, sandbox};
use crate::System;
use crate::context::{Context, Field};
use crate::expand;

/// Reads the account's name. Whether there is such an account only the machine it runs on knows.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "the name of an account")?;
    if text.value.trim().is_empty() {
        cx.error(field.span(), "`user` is empty").hint("leave the key out to use Mainstay's own account");
        return None;
    }
    if cx.around.system == System::Windows && text.value.contains([':', '/']) {
        cx.error(field.span(), format!("`{}` is no account of Windows", text.value)).hint(
            "write LocalService, NetworkService, NT SERVICE\\name, DOMAIN\\user or .\\user; groups belong to the account",
        );
        return None;
    }
    Some(text.value)
}

/// Reads the password of `user`: a reference to a secret and nothing else.
pub(crate) fn password(cx: &mut Context<'_>, field: Field<'_>, user: Option<&str>) -> Option<SecretText> {
    let text = cx.string_with_secrets(field, "a reference to a secret")?;
    if refuse_on_linux(cx, field, "on Linux root starts programs as any account, without its password") {
        return None;
    }
    let secret = expand::secret_text(&text.value);
    if secret.pieces().len() != 1 || secret.plain().is_some() {
        // It may be one: the line is shown without it.
        cx.hide(field.span());
        cx.error(field.span(), "a password stands in no configuration")
            .hint("write password = \"${secret:NAME}\" and give the value with `mainstay secret set NAME`");
        return None;
    }
    let wrong = match user {
        None => Some("`password` without `user`".to_owned()),
        Some(user) if !windows_account::has_password(user) => {
            Some(format!("the account {user} has no password of its own"))
        }
        Some(_) => None,
    };
    if let Some(wrong) = wrong {
        cx.error(field.span(), wrong).hint("a password belongs to an account like .\\bob or DOMAIN\\bob");
        return None;
    }
    Some(secret)
}

/// Reads `dynamic_user`, which goes beside none of the other keys that name an account.
pub(crate) fn dynamic<'n>(
    cx: &mut Context<'_>,
    wanted: Field<'_>,
    beside: impl Iterator<Item = Field<'n>>,
    launch: &mut Launch,
) {
    if truth(cx, wanted) != Some(true) {
        return;
    }
    for other in beside {
        cx.error(other.span(), format!("`{}` and `dynamic_user` exclude each other", other.key))
            .related(wanted.span(), "an account that nobody made")
            .hint("keep one of them");
    }
    if cx.around.system == System::Windows {
        cx.error(wanted.span(), "`dynamic_user` is for Linux alone")
            .hint("on Windows a virtual account comes near it: user = 'NT SERVICE\\<name>'");
        return;
    }
    launch.user = Some(dynamic_user::of(cx.service_name()));
    sandbox::for_nobody(launch.settings.sandbox.get_or_insert_default());
}
