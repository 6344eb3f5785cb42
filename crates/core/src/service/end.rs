//! What follows an end that nobody asked for.

use super::Machine;
use super::phase::{After, Backoff, End, Phase, Wish};
use super::run::Run;
use crate::backoff;
use crate::words::{count, span};
use crate::{
    Effect, EventKind, Exit, ExitAction, HookFacts, HookMoment, RestartPlan, RestartPolicy, StateName,
};

impl End {
    /// As a clause.
    pub(super) fn words(&self) -> String {
        match self {
            End::Exit(exit) => exit.to_string(),
            End::Unhealthy(why) => why.clone(),
            End::NotMade(error) => format!("could not be started: {error}"),
        }
    }
}

/// What the plan says to an end.
enum Verdict {
    Restart,
    RestartNow,
    Complete(String),
    Fail(String),
}

fn judge(plan: &RestartPlan, end: &End) -> Verdict {
    let words = end.words();
    if let End::Exit(Exit::Code(code)) = end
        && let Some(action) = plan.on_exit.get(code)
    {
        return match action {
            ExitAction::Restart => Verdict::Restart,
            ExitAction::RestartNow => Verdict::RestartNow,
            ExitAction::Stop => Verdict::Complete(format!("{words}, which on_exit takes as its end")),
            ExitAction::Fail => Verdict::Fail(format!("{words}, which on_exit takes as final")),
        };
    }
    let success = matches!(end, End::Exit(exit) if exit.is_success());
    match plan.policy {
        RestartPolicy::Always => Verdict::Restart,
        RestartPolicy::OnFailure | RestartPolicy::Never if success => Verdict::Complete(words),
        RestartPolicy::OnFailure => Verdict::Restart,
        RestartPolicy::Never => Verdict::Fail(format!("{words}; it is never restarted")),
    }
}

/// It is ended, and then its policy is asked.
const fn by_policy(why: String, end: End) -> Wish {
    Wish { why, after: After::Policy(end), dependents_first: false }
}

impl Machine<'_> {
    /// The main process ended, and nothing is left.
    pub(super) fn exited(&mut self, mut run: Run, exit: Exit) -> Phase {
        self.leave_up(&mut run);
        self.tell_exit(&run, exit);
        self.gone(&run, exit);
        self.ended(End::Exit(exit))
    }

    /// Nothing of a run is left.
    pub(super) fn gone(&mut self, run: &Run, exit: Exit) {
        self.wants(Effect::Forget { run: run.id });
        let exit = run.exit.unwrap_or(exit);
        let facts = HookFacts {
            reason: exit.to_string(),
            pid: run.pid,
            exit: Some(exit),
            ran: Some(self.now.since(run.started)),
            ..self.hook_facts()
        };
        self.hook(run.id, HookMoment::AfterExit, facts);
    }

    /// Nothing is left, and nobody saw how the main process ended.
    pub(super) fn vanished(&mut self, run: Run) -> Phase {
        self.exited(run, Exit::Unknown)
    }

    /// The main process ended; what it left is ended before the policy is asked.
    pub(super) fn left(&mut self, mut run: Run, exit: Exit) -> Phase {
        self.leave_up(&mut run);
        self.tell_exit(&run, exit);
        run.exit = Some(exit);
        let why = format!("{exit}; what it left behind is ended");
        self.ladder(run, by_policy(why, End::Exit(exit)))
    }

    pub(super) fn left_frozen(&mut self, run: Run, exit: Exit) -> Phase {
        self.wants(Effect::Thaw { run: run.id });
        self.left(run, exit)
    }

    /// A probe says that it does not work; it is ended before the policy is asked.
    pub(super) fn unhealthy(&mut self, mut run: Run, why: String) -> Phase {
        self.leave_up(&mut run);
        let wish = by_policy(why.clone(), End::Unhealthy(why));
        self.end(run, wish)
    }

    /// Asks the restart policy.
    pub(super) fn ended(&mut self, end: End) -> Phase {
        let verdict = judge(&self.plan.restart, &end);
        let success = matches!(&end, End::Exit(exit) if exit.is_success());
        if let Some(run) = self.run.filter(|_| !success && !matches!(verdict, Verdict::Complete(_))) {
            let exit = match &end {
                End::Exit(exit) => Some(*exit),
                End::Unhealthy(_) | End::NotMade(_) => None,
            };
            let facts = HookFacts { reason: end.words(), exit, ..self.hook_facts() };
            self.hook(run, HookMoment::OnFailure, facts);
        }
        match verdict {
            Verdict::Restart => self.restart_after(end.words(), false),
            Verdict::RestartNow => self.restart_after(end.words(), true),
            Verdict::Complete(why) => {
                self.enter(StateName::Completed, why);
                Phase::Completed
            }
            Verdict::Fail(why) => {
                self.enter(StateName::Failed, why);
                Phase::Failed
            }
        }
    }

    fn restart_after(&mut self, what: String, at_once: bool) -> Phase {
        if self.closed {
            return self.stopped("the stack is going down".into());
        }
        let plan = &self.plan.restart;
        let tally = &mut self.service.tally;
        let crash_loop = tally.again();
        let attempt = tally.in_a_row;
        let delay = match at_once && attempt <= backoff::AT_ONCE {
            true => std::time::Duration::ZERO,
            false => backoff::delay(plan, self.seed, self.name, attempt),
        };
        if !tally.allow(plan.limit, self.now) {
            let limit = plan.limit.unwrap_or(crate::StartLimit { starts: 0, window: delay });
            let many = format!("{} in {} are the limit", count(limit.starts, "restart"), span(limit.window));
            self.enter(StateName::Failed, format!("{what}; {many}"));
            return Phase::Failed;
        }
        if crash_loop {
            self.tell(None, EventKind::CrashLoop { attempt });
        }
        if delay.is_zero() {
            return self.restart_now(&what);
        }
        self.tell(None, EventKind::BackOff { delay, attempt });
        self.enter(StateName::Backoff, format!("{what}; restart {attempt} in a row in {}", span(delay)));
        Phase::Backoff(Backoff { until: self.now.after(delay), what })
    }

    pub(super) fn backoff_over(&mut self, backoff: Backoff) -> Phase {
        if self.now < backoff.until {
            return Phase::Backoff(backoff);
        }
        self.restart_now(&backoff.what)
    }

    fn restart_now(&mut self, what: &str) -> Phase {
        let tally = &mut self.service.tally;
        tally.restarts = tally.restarts.saturating_add(1);
        let reason = match tally.in_a_row {
            1 => format!("restart: {what}"),
            attempt => format!("restart {attempt} in a row: {what}"),
        };
        self.start(reason)
    }

    pub(super) fn tell_exit(&mut self, run: &Run, exit: Exit) {
        self.service.last_exit = Some(exit);
        let after = self.now.since(run.started);
        self.tell(Some(run.id), EventKind::Exited { exit, after });
    }

    /// The run is not up any more: its probes rest, and its health is settled.
    pub(super) fn leave_up(&mut self, run: &mut Run) {
        self.settle_health(run);
        run.healthy_since = None;
        run.probes.rest();
    }

    /// Forgets the restarts in a row if the run has been healthy for long enough, whether or not the time was told.
    pub(super) fn settle_health(&mut self, run: &Run) {
        if run.healthy_since.is_some_and(|since| self.now.since(since) >= self.plan.restart.reset_after) {
            self.service.tally.healthy();
        }
    }

    pub(super) fn ready(&mut self, mut run: Box<Run>, reason: String) -> Phase {
        run.healthy_since = Some(self.now);
        self.enter(StateName::Ready, reason);
        self.greet(&mut run);
        Phase::Ready(run)
    }

    /// Only a mark; but its health counts from zero again.
    pub(super) fn not_ready(&mut self, mut run: Box<Run>, reason: String) -> Phase {
        self.settle_health(&run);
        run.healthy_since = None;
        self.enter(StateName::Running, reason);
        Phase::Running(run)
    }

    pub(super) fn says_stopping(&mut self, up: Phase) -> Phase {
        self.enter(up.state(), "it says that it is stopping");
        up
    }

    pub(super) fn health_due(&mut self, up: Phase) -> Phase {
        if let Some(run) = up.run() {
            self.settle_health(run);
        }
        up
    }
}
