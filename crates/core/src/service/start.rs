//! From wanted to up.

use super::Machine;
use super::phase::{Aborting, End, Phase, Preparing, Spawning, Waiting, Wish};
use super::run::Run;
use crate::words::clip;
use crate::{Effect, EventKind, HookFacts, HookMoment, ProbeKind, RunId, StateName};

impl Machine<'_> {
    /// A start that somebody asked for: it does not count, and what was counted is forgotten.
    pub(super) fn start_by_hand(&mut self, why: String) -> Phase {
        self.service.tally.by_hand();
        self.start(why)
    }

    /// Starts as soon as all that it depends on is there.
    pub(super) fn start(&mut self, why: String) -> Phase {
        if self.closed {
            return self.stopped("the stack is going down".into());
        }
        self.run = None;
        self.enter(StateName::Starting, why.clone());
        if self.unblocked { self.spawn(why) } else { Phase::Waiting(Waiting { origin: why, on: None }) }
    }

    pub(super) fn wait_by_hand(&mut self, waiting: Waiting, why: String) -> Phase {
        self.service.tally.by_hand();
        Phase::Waiting(Waiting { origin: why, ..waiting })
    }

    /// All that it depends on was there; it may be gone again by now.
    pub(super) fn unblocked(&mut self, waiting: Waiting) -> Phase {
        if self.unblocked { self.spawn(waiting.origin) } else { Phase::Waiting(waiting) }
    }

    /// Starts, after what comes before a start.
    fn spawn(&mut self, why: String) -> Phase {
        if !self.plan.is_prepared() {
            return self.make(why);
        }
        let run = self.next_run();
        let first = if self.plan.hooks.precede_start() {
            "hooks"
        } else if self.plan.config.files.is_empty() {
            "secrets"
        } else {
            "files"
        };
        self.enter(StateName::Starting, format!("{why}; its {first} come first"));
        let facts = HookFacts { reason: why.clone(), ..self.hook_facts() };
        self.wants(Effect::Prepare { service: self.name.clone(), run, facts });
        Phase::Preparing(Preparing { run, origin: why })
    }

    pub(super) fn prepare_by_hand(&mut self, preparing: Preparing, why: String) -> Phase {
        self.service.tally.by_hand();
        Phase::Preparing(Preparing { origin: why, ..preparing })
    }

    /// The open question of a preparation, for a daemon that does not know whether it was asked.
    pub(crate) fn prepare_again(&mut self, preparing: &Preparing) {
        let facts = HookFacts { reason: preparing.origin.clone(), ..self.hook_facts() };
        self.wants(Effect::Prepare { service: self.name.clone(), run: preparing.run, facts });
    }

    /// What comes before a start is done. What it depends on may be gone by now.
    pub(super) fn prepared(&mut self, preparing: Preparing) -> Phase {
        if self.unblocked {
            self.make(preparing.origin)
        } else {
            Phase::Waiting(Waiting { origin: preparing.origin, on: None })
        }
    }

    pub(super) fn not_prepared(&mut self, preparing: &Preparing, error: String) -> Phase {
        let error = clip(error);
        self.tell(Some(preparing.run), EventKind::SpawnFailed { error: error.clone() });
        self.ended(End::NotMade(error))
    }

    pub(super) fn cancel_and_stop(&mut self, preparing: &Preparing, why: String) -> Phase {
        self.wants(Effect::CancelPrepare { run: preparing.run });
        self.stopped(why)
    }

    pub(super) fn cancel_and_start(&mut self, preparing: &Preparing, why: String) -> Phase {
        self.wants(Effect::CancelPrepare { run: preparing.run });
        self.start_by_hand(why)
    }

    fn next_run(&mut self) -> RunId {
        *self.last_run += 1;
        let run = RunId(*self.last_run);
        self.run = Some(run);
        run
    }

    fn make(&mut self, why: String) -> Phase {
        let run = self.next_run();
        self.enter(StateName::Starting, why);
        self.wants(Effect::Spawn { service: self.name.clone(), run });
        Phase::Spawning(Spawning { run })
    }

    /// A process that was not said to be there, but of which there is other news.
    pub(super) fn unseen(&self, run: RunId) -> Run {
        Run::new(run, None, self.now, self.plan)
    }

    fn seen(&mut self, run: RunId, pid: u32) -> Run {
        self.tell(Some(run), EventKind::Spawned { pid });
        Run::new(run, Some(pid), self.now, self.plan)
    }

    pub(super) fn spawned(&mut self, run: RunId, pid: u32) -> Phase {
        let mut run = Box::new(self.seen(run, pid));
        if self.plan.startup.is_none() {
            return self.up(run, format!("process {pid} runs"));
        }
        run.probes.begin(ProbeKind::Startup, self.now, self.plan);
        self.enter(StateName::Starting, format!("process {pid} has to pass its startup probe"));
        Phase::Startup(run)
    }

    /// The process is past its start: the other probes' turn comes.
    pub(super) fn up(&mut self, mut run: Box<Run>, reason: String) -> Phase {
        run.probes.rest();
        run.probes.begin(ProbeKind::Ready, self.now, self.plan);
        run.probes.begin(ProbeKind::Live, self.now, self.plan);
        self.running_or_ready(run, reason)
    }

    /// Up, in the state that the readiness probe says. Health counts from now on if nothing is wrong.
    pub(super) fn running_or_ready(&mut self, mut run: Box<Run>, reason: String) -> Phase {
        let ready = run.probes.verdict(ProbeKind::Ready);
        run.healthy_since = (self.plan.ready.is_none() || ready == Some(true)).then_some(self.now);
        if ready == Some(true) {
            self.enter(StateName::Ready, reason);
            self.greet(&mut run);
            Phase::Ready(run)
        } else {
            self.enter(StateName::Running, reason);
            if self.plan.ready.is_none() {
                self.greet(&mut run);
            }
            Phase::Running(run)
        }
    }

    /// The run is as far up as it gets; the first time its `after_ready` hook has its turn.
    pub(super) fn greet(&mut self, run: &mut Run) {
        if !std::mem::replace(&mut run.greeted, true) {
            let facts = HookFacts { reason: self.service.reason.clone(), pid: run.pid, ..self.hook_facts() };
            self.hook(run.id, HookMoment::AfterReady, facts);
        }
    }

    /// Lets a hook be run, if there is one.
    pub(super) fn hook(&mut self, run: RunId, moment: HookMoment, facts: HookFacts) {
        if self.plan.hooks.at(moment).is_some() {
            self.wants(Effect::Hook { service: self.name.clone(), run, moment, facts });
        }
    }

    /// What every hook is told.
    pub(super) fn hook_facts(&self) -> HookFacts {
        let tally = &self.service.tally;
        HookFacts { restarts: tally.restarts, in_a_row: tally.in_a_row, ..HookFacts::default() }
    }

    pub(super) fn not_made(&mut self, run: RunId, error: String) -> Phase {
        let error = self.tell_not_made(run, error);
        self.ended(End::NotMade(error))
    }

    pub(super) fn abort(&mut self, run: RunId, why: String) -> Phase {
        let wish = self.stay(why);
        self.aborting(run, wish)
    }

    pub(super) fn abort_to_restart(&mut self, run: RunId, why: String) -> Phase {
        let wish = self.again(why);
        self.aborting(run, wish)
    }

    pub(super) fn start_after_abort(&mut self, aborting: Aborting, why: String) -> Phase {
        let wish = self.then_start(aborting.wish, why);
        self.aborting(aborting.run, wish)
    }

    fn aborting(&mut self, run: RunId, wish: Wish) -> Phase {
        self.enter(StateName::Stopping, format!("{}; its process is still being made", wish.reason()));
        Phase::Aborting(Aborting { run, wish })
    }

    pub(super) fn spawned_to_stop(&mut self, aborting: Aborting, pid: u32) -> Phase {
        let run = self.seen(aborting.run, pid);
        self.hold(run, aborting.wish)
    }

    pub(super) fn not_made_to_stop(&mut self, aborting: Aborting, error: String) -> Phase {
        self.tell_not_made(aborting.run, error);
        self.follow(aborting.wish)
    }

    fn tell_not_made(&mut self, run: RunId, error: String) -> String {
        let error = clip(error);
        self.tell(Some(run), EventKind::SpawnFailed { error: error.clone() });
        self.wants(Effect::Forget { run });
        error
    }
}
