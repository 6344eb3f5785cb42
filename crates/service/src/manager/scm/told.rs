//! What the SCM's codes mean, in words.

use windows_service::Error as ScmError;

use super::holders;
use crate::manager::{Error, ErrorKind};

pub(super) const ACCESS_DENIED: i32 = 5;
pub(super) const INVALID_LEVEL: i32 = 124;
pub(super) const INSUFFICIENT_BUFFER: i32 = 122;
/// `RPC_S_INVALID_TAG`: the SCM's own interface has no such level.
pub(super) const INVALID_TAG: i32 = 1733;
pub(super) const ALREADY_RUNNING: i32 = 1056;
pub(super) const NO_SUCH_SERVICE: i32 = 1060;
pub(super) const NOT_ACTIVE: i32 = 1062;
pub(super) const MARKED_FOR_DELETE: i32 = 1072;

pub(super) fn code(error: &ScmError) -> i32 {
    match error {
        ScmError::Winapi(error) => error.raw_os_error().unwrap_or(0),
        _ => 0,
    }
}

/// A service that was deleted while somebody had it open.
pub(super) fn marked(name: &str) -> String {
    format!("the service {name} is marked for deletion, and goes when nobody has it open any more")
}

pub(super) fn told(what: &str) -> impl FnOnce(ScmError) -> Error {
    let what = what.to_owned();
    move |error| match code(&error) {
        ACCESS_DENIED => Error::new(
            ErrorKind::Denied,
            format!(
                "{what} takes an administrator: run it again from an elevated terminal (\"Run as administrator\")"
            ),
        ),
        NO_SUCH_SERVICE => Error::new(ErrorKind::NotInstalled, format!("{what}: there is no such service")),
        MARKED_FOR_DELETE => Error::new(
            ErrorKind::Failed,
            format!(
                "{what}: an earlier service of this name is marked for deletion, and goes when nobody has it open any \
                 more: {}",
                holders::suspects(None)
            ),
        ),
        _ => {
            let text = match &error {
                ScmError::Winapi(error) => error.to_string(),
                other => other.to_string(),
            };
            Error::new(ErrorKind::Failed, format!("{what} failed: {text}"))
        }
    }
}

pub(super) fn told_io(what: &str) -> impl FnOnce(std::io::Error) -> Error {
    let told = told(what);
    move |error| told(ScmError::Winapi(error))
}
