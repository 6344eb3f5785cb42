//! Commands at the moments of a service's life.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exit, PowerChange, Rotation, SessionChange};

/// A moment in a service's life at which a command can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookMoment {
    /// Before each start. The process is made only after it; its failure is a failed start.
    BeforeStart,
    /// When a run is up for the first time: ready, or running if there is no readiness probe.
    AfterReady,
    /// Before a run is ended whose program is there, and before the first step of that. The stop waits for it.
    BeforeStop,
    /// When nothing of a run is left. The next start waits for it.
    AfterExit,
    /// After an end that was no success and that nobody asked for: a crash, a failed probe, a start that did not come
    /// about.
    OnFailure,
    /// When a file of its log is full, or otherwise closed, and a new one is begun.
    OnRotation,
    /// When the machine's power changes, while the service runs.
    OnPower,
    /// When somebody's session changes, while the service runs.
    OnSession,
    /// When a service manager sends a code that means a command; which is in the service's `controls`, not in [`Hooks`].
    OnControl,
}

impl HookMoment {
    /// Those of [`Hooks`], in the order of a life.
    pub const ALL: [HookMoment; 8] = [
        HookMoment::BeforeStart,
        HookMoment::AfterReady,
        HookMoment::BeforeStop,
        HookMoment::AfterExit,
        HookMoment::OnFailure,
        HookMoment::OnRotation,
        HookMoment::OnPower,
        HookMoment::OnSession,
    ];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            HookMoment::BeforeStart => "before_start",
            HookMoment::AfterReady => "after_ready",
            HookMoment::BeforeStop => "before_stop",
            HookMoment::AfterExit => "after_exit",
            HookMoment::OnFailure => "on_failure",
            HookMoment::OnRotation => "on_rotation",
            HookMoment::OnPower => "on_power",
            HookMoment::OnSession => "on_session",
            HookMoment::OnControl => "on_control",
        }
    }
}

impl fmt::Display for HookMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The commands of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hooks {
    /// See [`HookMoment::BeforeStart`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_start: Option<Hook>,
    /// See [`HookMoment::AfterReady`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ready: Option<Hook>,
    /// See [`HookMoment::BeforeStop`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_stop: Option<Hook>,
    /// See [`HookMoment::AfterExit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_exit: Option<Hook>,
    /// See [`HookMoment::OnFailure`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Hook>,
    /// See [`HookMoment::OnRotation`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_rotation: Option<Hook>,
    /// See [`HookMoment::OnPower`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_power: Option<Hook>,
    /// See [`HookMoment::OnSession`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_session: Option<Hook>,
}

impl Hooks {
    /// The command of a moment.
    pub const fn at(&self, moment: HookMoment) -> Option<&Hook> {
        match moment {
            HookMoment::BeforeStart => self.before_start.as_ref(),
            HookMoment::AfterReady => self.after_ready.as_ref(),
            HookMoment::BeforeStop => self.before_stop.as_ref(),
            HookMoment::AfterExit => self.after_exit.as_ref(),
            HookMoment::OnFailure => self.on_failure.as_ref(),
            HookMoment::OnRotation => self.on_rotation.as_ref(),
            HookMoment::OnPower => self.on_power.as_ref(),
            HookMoment::OnSession => self.on_session.as_ref(),
            HookMoment::OnControl => None,
        }
    }

    /// Sets the command of a moment; [`HookMoment::OnControl`] has no place here.
    pub fn set(&mut self, moment: HookMoment, hook: Option<Hook>) {
        match moment {
            HookMoment::BeforeStart => self.before_start = hook,
            HookMoment::AfterReady => self.after_ready = hook,
            HookMoment::BeforeStop => self.before_stop = hook,
            HookMoment::AfterExit => self.after_exit = hook,
            HookMoment::OnFailure => self.on_failure = hook,
            HookMoment::OnRotation => self.on_rotation = hook,
            HookMoment::OnPower => self.on_power = hook,
            HookMoment::OnSession => self.on_session = hook,
            HookMoment::OnControl => {}
        }
    }

    /// Whether a start has to wait for one of them: before it, or after the run before.
    pub const fn precede_start(&self) -> bool {
        self.before_start.is_some() || self.after_exit.is_some()
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Hooks::default()
    }
}

/// One command, run beside the service with its environment, directory and account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// It is killed after this time, which counts as its failure.
    pub timeout: Duration,
    /// Whether the failure of `before_start` is a failed start; else it is only told. Without meaning for the others.
    #[serde(default = "yes")]
    pub required: bool,
}

const fn yes() -> bool {
    true
}

/// What a hook is told about its moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HookFacts {
    /// Why, as a clause: "asked by root", "exit code 3".
    pub reason: String,
    /// The process id of the run, where one was made.
    pub pid: Option<u32>,
    /// How the main process ended, where one did.
    pub exit: Option<Exit>,
    /// How long it ran.
    pub ran: Option<Duration>,
    /// Automatic restarts so far.
    pub restarts: u32,
    /// Of these, in a row without a healthy run between them.
    pub in_a_row: u32,
    /// The code of a control, where one was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<u8>,
    /// What became of the machine's power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerChange>,
    /// The number of a session, and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<(u32, SessionChange)>,
    /// What was closed of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}
