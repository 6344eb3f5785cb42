//! How a process is made.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Limits, SecretMarks, SecretText, Settings, names_in};

/// How a process is made. The core passes it on unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Launch {
    /// The program and its arguments, each passed exactly as written. Never empty in a valid plan.
    pub command: Vec<String>,
    /// The working directory, absolute.
    pub working_dir: Option<String>,
    /// Set over the environment that Mainstay itself was started with.
    pub environment: BTreeMap<String, String>,
    /// Variables in whose values secrets stand. The values are read before each start, and are in no plan.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_environment: BTreeMap<String, SecretText>,
    /// With which values of its secrets the process was made.
    #[serde(skip_serializing_if = "SecretMarks::is_empty")]
    pub secrets: SecretMarks,
    /// The account it runs under; Mainstay's own if absent.
    pub user: Option<String>,
    /// The password of that account, which is a secret. Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// What else it is given of the system.
    #[serde(skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
    /// What it may use.
    #[serde(skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

/// Under this name the password of an account is among [`Launch::secret_texts`]: no variable has such a name.
pub const PASSWORD: &str = "=password";

impl Launch {
    /// What has to be filled with the values of secrets before the process can be made: variables, and the
    /// [`PASSWORD`].
    pub fn secret_texts(&self) -> BTreeMap<String, SecretText> {
        let mut texts = self.secret_environment.clone();
        texts.extend(self.password.clone().map(|password| (PASSWORD.to_owned(), password)));
        texts
    }

    /// The secrets that the process is made with.
    pub fn secret_names(&self) -> BTreeSet<String> {
        names_in(self.secret_environment.values().chain(&self.password))
    }
}
