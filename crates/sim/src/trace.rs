//! What is checked: every input of a supervisor with what it did about it.

use std::fmt;

use mainstay_core::{Effect, EventKind, Input, Plan, ReloadStage, ServiceStatus, Time};

/// One input and what came of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Time,
    /// What happened.
    pub cause: Cause,
    /// What the supervisor wants done about it, in order.
    pub effects: Vec<Effect>,
    /// How things stand afterwards; empty if nobody looked.
    pub status: Vec<ServiceStatus>,
    /// The next deadline afterwards, with its reason.
    pub deadline: Option<(Time, &'static str)>,
    /// The plan afterwards, when it is another one than before.
    pub plan: Option<Box<Plan>>,
}

/// What a supervisor was called for.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// It was made anew.
    New,
    /// It was made from the snapshots of its predecessor.
    Restored {
        /// The highest run number that the keeper has seen.
        last_run: u64,
    },
    /// Something happened.
    Input(Input),
}

impl Step {
    /// What is told in this step, in order.
    pub fn told(&self) -> impl Iterator<Item = &mainstay_core::Event> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Tell(event) => Some(event),
            _ => None,
        })
    }

    /// Whether this step is the refusal of a request. One that is taken may still tell of services left out.
    pub fn is_refusal(&self) -> bool {
        let mut told = self.told();
        told.any(|event| {
            matches!(
                event.kind,
                EventKind::Refused { .. } | EventKind::Reload { stage: ReloadStage::Refused, .. }
            )
        }) && !self.told().any(|event| matches!(event.kind, EventKind::Requested { .. }))
    }

    /// Whether this step is the handling of a deadline.
    pub fn is_tick(&self) -> bool {
        self.cause == Cause::Input(Input::Tick)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.at)?;
        match &self.cause {
            Cause::New => f.write_str("a new supervisor")?,
            Cause::Restored { .. } => f.write_str("another daemon takes over")?,
            Cause::Input(input) => write!(f, "{input:?}")?,
        }
        for effect in &self.effects {
            write!(f, "\n      → {effect:?}")?;
        }
        let states: Vec<String> = self.status.iter().map(|s| format!("{}={}", s.name, s.state)).collect();
        write!(f, "\n        {}", states.join(" "))?;
        if let Some((at, why)) = &self.deadline {
            write!(f, "  (next: {why} at {at})")?;
        }
        Ok(())
    }
}
