//! Configurations: which is applied, was, or was refused.

use mainstay_core::reload::ReloadPlan;
use mainstay_core::{Applying, Plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which configuration runs, and what became of the newest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Configuration {
    /// The revision that runs; 0 if that is not known.
    pub revision: u64,
    /// The one that is being applied.
    pub applying: Option<Applying>,
    /// A later one that does not run, and why: "revision 8 refused: mainstay.toml:14:9: …".
    pub trouble: Option<String>,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being applied.
    Applying,
    /// It was applied, or the stack was started with it.
    Applied,
    /// It did not work, and the one before runs again.
    TakenBack,
    /// The stack went down in the middle.
    Abandoned,
}

/// A configuration that was applied, or tried. `GET /v1/revisions`: the last ten, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// When it was asked for: wall-clock time, RFC 3339, UTC.
    pub at: String,
    /// Who asked, and in which way.
    pub by: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, if it did not work.
    #[serde(default)]
    pub detail: String,
    /// It is the configuration of this revision, with other values of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u64>,
}

/// Applies a configuration. `POST /v1/apply`; answered by a [`Reloading`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Apply {
    /// What everything is to be like.
    pub plan: Plan,
    /// In which way it is asked for, for the history: `apply`, `a file changed`.
    #[serde(default)]
    pub how: String,
    /// Only tell what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Goes back to an earlier configuration, under a new number. `POST /v1/rollback`; answered by a [`Reloading`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// To this revision; to the last one that was applied before the present one, if absent.
    #[serde(default)]
    pub to: Option<u64>,
}

/// Values of secrets have changed: the services are restarted whose processes were made with others. `POST /v1/secrets`;
/// answered by a [`Reloading`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SecretsChanged {
    /// Of these; of all if it is empty.
    pub names: Vec<String>,
    /// How it was asked for, for people: "secret rotate".
    pub how: String,
    /// Only tell what it would do.
    pub dry_run: bool,
}

/// What is done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloading {
    /// Its number; the present one if nothing is different, or nothing is done.
    pub revision: u64,
    /// Whether it is being applied now. What comes of it is seen in status and events.
    pub applying: bool,
    /// What that means for each service.
    pub reload: ReloadPlan,
}

/// Somebody read a configuration that cannot be applied. `POST /v1/refused`; answered by an [`Accepted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedConfiguration {
    /// Where and why: `mainstay.toml:14:9: unknown key`.
    pub reason: String,
    /// In which way it was asked for.
    #[serde(default)]
    pub how: String,
}
