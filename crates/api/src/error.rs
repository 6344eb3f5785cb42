//! Why a request came to nothing.

use std::io;
use std::time::Duration;

use crate::types::Problem;

/// Why a request came to nothing. Each says whether it may have been done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers and no keeper is there: the stack isn't up. Nothing was done.
    #[error("the stack is not up")]
    NotUp,
    /// The endpoint is there, but not for this account. Nothing was done.
    #[error("no permission to talk to the stack: {0}")]
    Denied(#[source] io::Error),
    /// The keeper is there, but no daemon answered in the time that was allowed. Nothing was done.
    #[error("the stack's daemon did not answer in {} ms: {last}", waited.as_millis())]
    NoAnswer {
        /// How long it was tried.
        waited: Duration,
        /// What the last try came to.
        last: String,
    },
    /// The connection broke after the request was sent, and asking again is not harmless. It may have been done.
    #[error("the daemon went away before it answered, so it is not known whether this was done: {0}")]
    Lost(String),
    /// The daemon said no. Nothing was done.
    #[error("{problem}")]
    Refused {
        /// The HTTP status: 400 for a bad request, 403 for one that is not for this account, 404 for an unknown service, 409 for what can't be done now.
        status: u16,
        /// Why, and what to do next.
        problem: Problem,
    },
    /// The answer is not one that this version understands.
    #[error("an answer that is not understood: {0}")]
    Garbled(String),
}

impl ClientError {
    /// Whether there is no stack or no service of that name.
    pub fn is_not_found(&self) -> bool {
        matches!(self, ClientError::NotUp | ClientError::Refused { status: 404, .. })
    }

    /// What to do next, if the daemon had an advice.
    pub fn hint(&self) -> Option<&str> {
        match self {
            ClientError::Refused { problem, .. } => problem.hint.as_deref(),
            _ => None,
        }
    }
}
