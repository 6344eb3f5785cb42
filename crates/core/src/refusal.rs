//! Why a request is refused, in words for the person who asked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A request that cannot be done as things are. Nothing changed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of obstacle it is, for programs.
    pub kind: RefusalKind,
    /// What is wrong, as a clause: "there is no service 'ap'".
    pub message: String,
    /// What to do next, if something can be said.
    pub hint: Option<String>,
}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No service has this name.
    UnknownService,
    /// The service, or one that it depends on, is disabled.
    Disabled,
    /// The stack is going down; nothing starts any more.
    GoingDown,
    /// The service is being taken out of the stack.
    BeingRemoved,
    /// The name of a new service is taken.
    NameTaken,
    /// Other services depend on it.
    HasDependents,
    /// The service is in a state in which this cannot be done.
    WrongState,
    /// The new service's plan cannot work.
    BadPlan,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Refusal { kind, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hint {
            Some(hint) => write!(f, "{}; {hint}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Refusal {}
