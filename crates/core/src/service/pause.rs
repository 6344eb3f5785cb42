//! Freezing and thawing. Exactly one of the two is open at a time, so that an answer is never ambiguous.

use std::time::Duration;

use super::Machine;
use super::phase::{Freezing, Phase};
use super::run::Run;
use crate::words::{clip, span};
use crate::{Effect, StateName};

/// How long an answer is waited for. Whoever freezes gives up much earlier, so this means that the answer is lost.
const ANSWER: Duration = Duration::from_secs(10);

impl Freezing {
    /// What follows the answer: the opposite, for this reason, or nothing.
    pub(super) fn then(self, reverse: Option<String>) -> Freezing {
        Freezing { reverse, ..self }
    }
}

impl Machine<'_> {
    pub(super) fn pause(&mut self, mut run: Box<Run>, why: String) -> Phase {
        self.leave_up(&mut run);
        self.wants(Effect::Freeze { run: run.id });
        self.enter(StateName::Pausing, why);
        Phase::Pausing(Freezing { run, until: self.now.after(ANSWER), reverse: None })
    }

    pub(super) fn frozen(&mut self, freezing: Freezing) -> Phase {
        match freezing.reverse {
            Some(why) => self.thaw(freezing.run, why),
            None => self.paused(freezing.run, self.service.reason.clone()),
        }
    }

    fn paused(&mut self, run: Box<Run>, reason: String) -> Phase {
        self.enter(StateName::Paused, reason);
        Phase::Paused(run)
    }

    /// Freezing failed: the tree runs as before.
    pub(super) fn not_frozen(&mut self, freezing: Freezing, error: &str) -> Phase {
        self.resume(freezing.run, clip(format!("could not be paused: {error}")))
    }

    /// Nobody knows whether the tree is frozen, so it is thawed.
    pub(super) fn freeze_unanswered(&mut self, freezing: Freezing) -> Phase {
        if self.now < freezing.until {
            return Phase::Pausing(freezing);
        }
        self.thaw(freezing.run, format!("could not be paused: no answer in {}", span(ANSWER)))
    }

    pub(super) fn thaw(&mut self, run: Box<Run>, why: String) -> Phase {
        self.wants(Effect::Thaw { run: run.id });
        self.enter(StateName::Continuing, why);
        Phase::Continuing(Freezing { run, until: self.now.after(ANSWER), reverse: None })
    }

    pub(super) fn thawed(&mut self, freezing: Freezing) -> Phase {
        match freezing.reverse {
            Some(why) => self.pause(freezing.run, why),
            None => self.resume(freezing.run, self.service.reason.clone()),
        }
    }

    /// Thawing failed: the tree is frozen as before.
    pub(super) fn not_thawed(&mut self, freezing: Freezing, error: &str) -> Phase {
        match freezing.reverse {
            Some(why) => self.paused(freezing.run, why),
            None => self.paused(freezing.run, clip(format!("could not go on: {error}"))),
        }
    }

    /// Thawing what runs does nothing, so it is asked for until there is an answer.
    pub(super) fn thaw_unanswered(&mut self, mut freezing: Freezing) -> Phase {
        if self.now >= freezing.until {
            self.wants(Effect::Thaw { run: freezing.run.id });
            freezing.until = self.now.after(ANSWER);
            let waited = span(self.now.since(self.service.since));
            self.service.reason = format!("asked to go on; no answer for {waited}");
        }
        Phase::Continuing(freezing)
    }

    /// Back to the state before the pause. The probes' next questions come after their intervals.
    pub(super) fn resume(&mut self, mut run: Box<Run>, reason: String) -> Phase {
        run.probes.resume(self.now, self.plan);
        self.running_or_ready(run, reason)
    }
}
