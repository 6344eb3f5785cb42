//! Processes on the desktop of who is signed in: with their token and their variables.

use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CTX_WINSTATION_NOT_FOUND, ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER,
    ERROR_NO_TOKEN, ERROR_PRIVILEGE_NOT_HELD,
};

use super::account::{LoggedOn, TO_BE_SYSTEM, allowed};
use super::environment::Environment;
use crate::container::windows::Seat;
use crate::session::windows::user_token;
use crate::spawn::{SpawnError, SpawnErrorKind};
use crate::win::logon;
use crate::win::security::Account;

/// Who is signed in to this session. Their profile is loaded as long as they are.
pub(super) fn take(session: u32) -> Result<LoggedOn, SpawnError> {
    let own = Account::own()
        .map_err(|error| refused(session, &format!("our own account cannot be told: {error}")))?;
    allowed(&[TO_BE_SYSTEM], &own, &format!("cannot run in session {session}"))?;
    let token = user_token(session).map_err(|error| refused(session, &words(&error)))?;
    let variables = logon::variables(&token).map_err(|error| {
        refused(session, &format!("the variables of who is signed in cannot be read: {error}"))
    })?;
    Ok(LoggedOn { token, profile: None, variables })
}

/// What stays of it for what else is to happen on that desktop.
pub(super) fn of(session: u32, account: LoggedOn) -> Seat {
    let environment = Environment::only(&account.variables).block().to_vec();
    Seat { session, token: account.token, environment }
}

fn refused(session: u32, why: &str) -> SpawnError {
    SpawnError::new(SpawnErrorKind::User, format!("cannot run in session {session}: {why}"))
}

/// Why nobody's token was given, after Microsoft's documentation of `WTSQueryUserToken`.
fn words(error: &io::Error) -> String {
    match error.raw_os_error().map_or(0, i32::cast_unsigned) {
        ERROR_NO_TOKEN => "nobody is signed in there".to_owned(),
        ERROR_FILE_NOT_FOUND | ERROR_INVALID_PARAMETER | ERROR_CTX_WINSTATION_NOT_FOUND => {
            "it is not there any more".to_owned()
        }
        ERROR_ACCESS_DENIED | ERROR_PRIVILEGE_NOT_HELD => {
            "Windows gives the token of who is signed in to LocalSystem alone (`mainstay install --account LocalSystem`)"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_no_token_is_told() {
        let of = |code| words(&crate::win::code(code));
        assert_eq!(of(ERROR_NO_TOKEN), "nobody is signed in there");
        assert_eq!(of(ERROR_CTX_WINSTATION_NOT_FOUND), "it is not there any more");
        assert!(of(ERROR_PRIVILEGE_NOT_HELD).contains("--account LocalSystem"));
    }
}
