//! The table: what each thing that can happen does in each phase.
//!
//! The match is total without a wildcard arm, so that a new phase or a new input does not compile until each of
//! its cells was thought of. The cells themselves are in the files beside this one. `docs/lifecycle.md` shows the
//! table as it comes out when every phase is driven through every input.

use On::{
    BeforeStopDone, Continue, DependentsDown, Due, Exited, ExitedLeaving, FreezeFailed, Frozen, LiveFailed,
    Pause, PrepareFailed, Prepared, ReadyLost, ReadyOk, Restart, SaysStopping, SpawnFailed, Spawned, Start,
    StartupFailed, StartupOk, StepAnswered, Stop, Thawed, TreeEmpty, Unblocked,
};

use super::Machine;
use super::Phase as P;
use super::phase::{On, Phase};

impl Machine<'_> {
    /// Lets the service go through one thing that happened.
    pub(crate) fn step(&mut self, on: On) {
        let phase = std::mem::take(&mut self.service.phase);
        self.shown = phase.state();
        self.run = phase.run_id();
        let phase = self.next(phase, on);
        debug_assert_eq!(phase.state(), self.shown, "a change of state was not told");
        self.service.phase = phase;
    }

    #[expect(clippy::too_many_lines, reason = "one table, read as one")]
    fn next(&mut self, phase: Phase, on: On) -> Phase {
        match (phase, on) {
            // Down, until somebody wants it up. A stop of what is down leaves the reason why it is down.
            (P::Stopped | P::Failed | P::Completed, Start(why) | Restart(why)) => self.start_by_hand(why),
            (
                down @ (P::Stopped | P::Failed | P::Completed),
                Stop(_) | Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_)
                | Exited(_) | ExitedLeaving(_) | TreeEmpty | Frozen | Thawed | FreezeFailed(_) | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping | Due
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => down,

            // Waits for what it depends on; no process is there.
            (P::Waiting(waiting), Start(why) | Restart(why)) => self.wait_by_hand(waiting, why),
            (P::Waiting(_), Stop(why)) => self.stopped(why),
            (P::Waiting(waiting), Unblocked) => self.unblocked(waiting),
            (
                waiting @ P::Waiting(_),
                Pause(_) | Continue(_) | DependentsDown | Spawned(_) | SpawnFailed(_) | Exited(_)
                | ExitedLeaving(_) | TreeEmpty | Frozen | Thawed | FreezeFailed(_) | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping | Due
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => waiting,

            // What comes before its start is being done; no process is there.
            (P::Preparing(preparing), Start(why)) => self.prepare_by_hand(preparing, why),
            (P::Preparing(preparing), Stop(why)) => self.cancel_and_stop(&preparing, why),
            (P::Preparing(preparing), Restart(why)) => self.cancel_and_start(&preparing, why),
            (P::Preparing(preparing), Prepared) => self.prepared(preparing),
            (P::Preparing(preparing), PrepareFailed(error)) => self.not_prepared(&preparing, error),
            (
                preparing @ P::Preparing(_),
                Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Exited(_)
                | ExitedLeaving(_) | TreeEmpty | Frozen | Thawed | FreezeFailed(_) | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping | Due
                | StepAnswered(..) | BeforeStopDone,
            ) => preparing,

            // Its process is being made. One that ended before it was said to be there was there.
            (P::Spawning(spawning), Stop(why)) => self.abort(spawning.run, why),
            (P::Spawning(spawning), Restart(why)) => self.abort_to_restart(spawning.run, why),
            (P::Spawning(spawning), Spawned(pid)) => self.spawned(spawning.run, pid),
            (P::Spawning(spawning), SpawnFailed(error)) => self.not_made(spawning.run, error),
            (P::Spawning(spawning), Exited(exit)) => self.exited(self.unseen(spawning.run), exit),
            (P::Spawning(spawning), ExitedLeaving(exit)) => self.left(self.unseen(spawning.run), exit),
            (P::Spawning(spawning), TreeEmpty) => self.vanished(self.unseen(spawning.run)),
            (
                spawning @ P::Spawning(_),
                Start(_) | Pause(_) | Continue(_) | Unblocked | DependentsDown | Frozen | Thawed
                | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_)
                | LiveFailed(_) | SaysStopping | Due | StepAnswered(..) | BeforeStopDone | Prepared
                | PrepareFailed(_),
            ) => spawning,

            // The same, but it is to end as soon as it is there.
            (P::Aborting(aborting), Stop(why)) => self.abort(aborting.run, why),
            (P::Aborting(aborting), Start(why) | Restart(why)) => self.start_after_abort(aborting, why),
            (P::Aborting(aborting), Spawned(pid)) => self.spawned_to_stop(aborting, pid),
            (P::Aborting(aborting), SpawnFailed(error)) => self.not_made_to_stop(aborting, error),
            (P::Aborting(aborting), Exited(exit)) => {
                self.ended_in_stop(self.unseen(aborting.run), aborting.wish, exit)
            }
            (P::Aborting(aborting), ExitedLeaving(exit)) => {
                self.left_in_hold(self.unseen(aborting.run), aborting.wish, exit)
            }
            (P::Aborting(aborting), TreeEmpty) => {
                self.vanished_in_stop(self.unseen(aborting.run), aborting.wish)
            }
            (
                aborting @ P::Aborting(_),
                Pause(_) | Continue(_) | Unblocked | DependentsDown | Frozen | Thawed | FreezeFailed(_)
                | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping
                | Due | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => aborting,

            // Its process runs.
            (P::Startup(run) | P::Running(run) | P::Ready(run), Stop(why)) => self.stop(*run, why),
            (P::Startup(run) | P::Running(run) | P::Ready(run), Restart(why)) => self.restart(*run, why),
            (P::Startup(run) | P::Running(run) | P::Ready(run), Exited(exit)) => self.exited(*run, exit),
            (P::Startup(run) | P::Running(run) | P::Ready(run), ExitedLeaving(exit)) => self.left(*run, exit),
            (P::Startup(run) | P::Running(run) | P::Ready(run), TreeEmpty) => self.vanished(*run),
            (P::Startup(run), StartupOk(detail)) => self.up(run, detail),
            (P::Startup(run), StartupFailed(detail)) => self.unhealthy(*run, detail),
            (P::Running(run), ReadyOk(detail)) => self.ready(run, detail),
            (P::Ready(run), ReadyLost(detail)) => self.not_ready(run, detail),
            (P::Running(run) | P::Ready(run), LiveFailed(detail)) => self.unhealthy(*run, detail),
            (P::Running(run) | P::Ready(run), Pause(why)) => self.pause(run, why),
            (up @ (P::Startup(_) | P::Running(_) | P::Ready(_)), SaysStopping) => self.says_stopping(up),
            (up @ (P::Startup(_) | P::Running(_) | P::Ready(_)), Due) => self.health_due(up),
            (
                startup @ P::Startup(_),
                Start(_) | Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_)
                | Frozen | Thawed | FreezeFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_)
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => startup,
            (
                running @ P::Running(_),
                Start(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen
                | Thawed | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyLost(_)
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => running,
            (
                ready @ P::Ready(_),
                Start(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen
                | Thawed | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | StepAnswered(..)
                | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => ready,

            // Frozen, or on the way there or back. One question is open at a time; the opposite follows its answer.
            (P::Paused(run), Stop(why)) => self.thaw_to_stop(*run, why),
            (P::Paused(run), Restart(why)) => self.thaw_to_restart(*run, why),
            (P::Paused(run), Continue(why)) => self.thaw(run, why),
            (P::Paused(run), Exited(exit)) => self.exited(*run, exit),
            (P::Paused(run), ExitedLeaving(exit)) => self.left_frozen(*run, exit),
            (P::Paused(run), TreeEmpty) => self.vanished(*run),
            (P::Pausing(freezing) | P::Continuing(freezing), Stop(why)) => {
                self.thaw_to_stop(*freezing.run, why)
            }
            (P::Pausing(freezing) | P::Continuing(freezing), Restart(why)) => {
                self.thaw_to_restart(*freezing.run, why)
            }
            (P::Pausing(freezing) | P::Continuing(freezing), Exited(exit)) => {
                self.exited(*freezing.run, exit)
            }
            (P::Pausing(freezing) | P::Continuing(freezing), ExitedLeaving(exit)) => {
                self.left_frozen(*freezing.run, exit)
            }
            (P::Pausing(freezing) | P::Continuing(freezing), TreeEmpty) => self.vanished(*freezing.run),
            (P::Pausing(freezing), Continue(why)) => P::Pausing(freezing.then(Some(why))),
            (P::Pausing(freezing), Pause(_)) => P::Pausing(freezing.then(None)),
            (P::Pausing(freezing), Frozen) => self.frozen(freezing),
            (P::Pausing(freezing), FreezeFailed(error)) => self.not_frozen(freezing, &error),
            (P::Pausing(freezing), Due) => self.freeze_unanswered(freezing),
            (P::Continuing(freezing), Pause(why)) => P::Continuing(freezing.then(Some(why))),
            (P::Continuing(freezing), Continue(_)) => P::Continuing(freezing.then(None)),
            (P::Continuing(freezing), Thawed) => self.thawed(freezing),
            (P::Continuing(freezing), FreezeFailed(error)) => self.not_thawed(freezing, &error),
            (P::Continuing(freezing), Due) => self.thaw_unanswered(freezing),
            (
                paused @ P::Paused(_),
                Start(_) | Pause(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen
                | Thawed | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_)
                | LiveFailed(_) | SaysStopping | Due | StepAnswered(..) | BeforeStopDone | Prepared
                | PrepareFailed(_),
            ) => paused,
            (
                pausing @ P::Pausing(_),
                Start(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Thawed | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => pausing,
            (
                continuing @ P::Continuing(_),
                Start(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => continuing,

            // Is to stop once its dependents have. Nothing was done to it yet.
            (P::Holding(holding), Stop(why)) => self.hold(holding.run, self.stay(why)),
            (P::Holding(holding), Start(why) | Restart(why)) => {
                let wish = self.then_start(holding.wish, why);
                self.hold(holding.run, wish)
            }
            (P::Holding(holding), DependentsDown) => self.hold(holding.run, holding.wish),
            (P::Holding(holding), Exited(exit)) => self.ended_in_stop(holding.run, holding.wish, exit),
            (P::Holding(holding), ExitedLeaving(exit)) => self.left_in_hold(holding.run, holding.wish, exit),
            (P::Holding(holding), TreeEmpty) => self.vanished_in_stop(holding.run, holding.wish),
            (
                holding @ P::Holding(_),
                Pause(_) | Continue(_) | Unblocked | Spawned(_) | SpawnFailed(_) | Frozen | Thawed
                | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_)
                | LiveFailed(_) | SaysStopping | Due | StepAnswered(..) | BeforeStopDone | Prepared
                | PrepareFailed(_),
            ) => holding,

            // Is about to be stopped. Nothing was done to it yet; a stop that is wanted already does not begin anew.
            (P::BeforeStop(before), Stop(why)) => self.stop_before_stop(*before, why),
            (P::BeforeStop(before), Start(why) | Restart(why)) => self.start_before_stop(*before, why),
            (P::BeforeStop(before), BeforeStopDone) => self.ladder(before.run, before.wish),
            (P::BeforeStop(before), Due) => self.before_stop_due(*before),
            (P::BeforeStop(before), Exited(exit)) => self.ended_in_stop(before.run, before.wish, exit),
            (P::BeforeStop(before), ExitedLeaving(exit)) => self.left_in_hold(before.run, before.wish, exit),
            (P::BeforeStop(before), TreeEmpty) => self.vanished_in_stop(before.run, before.wish),
            (
                before @ P::BeforeStop(_),
                Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen
                | Thawed | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_)
                | LiveFailed(_) | SaysStopping | StepAnswered(..) | Prepared | PrepareFailed(_),
            ) => before,

            // Is being ended. Over only when nothing of its tree is left.
            (P::Stopping(stopping), Stop(why)) => self.stop_again(*stopping, why),
            (P::Stopping(stopping), Start(why) | Restart(why)) => self.start_after_stop(*stopping, why),
            (P::Stopping(stopping), Exited(exit)) => self.ended_in_stop(stopping.run, stopping.wish, exit),
            (P::Stopping(stopping), ExitedLeaving(exit)) => self.left_in_stop(*stopping, exit),
            (P::Stopping(stopping), TreeEmpty) => self.vanished_in_stop(stopping.run, stopping.wish),
            (P::Stopping(stopping), Due) => self.advance(*stopping),
            (P::Stopping(stopping), StepAnswered(step, error)) => self.step_answered(*stopping, step, error),
            (
                stopping @ P::Stopping(_),
                Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Frozen
                | Thawed | FreezeFailed(_) | StartupOk(_) | StartupFailed(_) | ReadyOk(_) | ReadyLost(_)
                | LiveFailed(_) | SaysStopping | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => stopping,

            // Ended by itself; no process is there.
            (P::Backoff(_), Start(why) | Restart(why)) => self.start_by_hand(why),
            (P::Backoff(_), Stop(why)) => self.stopped(why),
            (P::Backoff(backoff), Due) => self.backoff_over(backoff),
            (
                backoff @ P::Backoff(_),
                Pause(_) | Continue(_) | Unblocked | DependentsDown | Spawned(_) | SpawnFailed(_) | Exited(_)
                | ExitedLeaving(_) | TreeEmpty | Frozen | Thawed | FreezeFailed(_) | StartupOk(_)
                | StartupFailed(_) | ReadyOk(_) | ReadyLost(_) | LiveFailed(_) | SaysStopping
                | StepAnswered(..) | BeforeStopDone | Prepared | PrepareFailed(_),
            ) => backoff,
        }
    }
}
