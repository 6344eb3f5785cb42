//! From up to down: the dependents first, then the steps of the stop, then the kill, until nothing is left.

use std::time::Duration;

use super::Machine;
use super::phase::{After, BeforeStop, Holding, Phase, Stopping, Wish};
use super::run::Run;
use crate::words::span;
use crate::{Effect, EventKind, Exit, HookFacts, HookMoment, RunId, StateName, StopAction, StopStep};

/// The wait before the whole tree is killed a second time; doubled each time, up to [`KILL_AGAIN_AT_MOST`].
const KILL_AGAIN: Duration = Duration::from_secs(1);
const KILL_AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// A service that asks for more and more time to end in gets it until so long after the first step.
const LONGEST_STOP: Duration = Duration::from_secs(3600);

impl Wish {
    /// Why it is stopping, with what follows.
    pub(super) fn reason(&self) -> String {
        match self.after {
            After::Start(_) => format!("{}; starts again afterwards", self.why),
            After::Stay | After::Policy(_) => self.why.clone(),
        }
    }
}

impl Stopping {
    /// What its deadline is for.
    pub(super) fn due_for(&self) -> &'static str {
        if self.killed.is_some() { "killed, but not gone yet" } else { "the next step of the stop" }
    }
}

/// Why it is not being ended yet.
fn before(wish: &Wish) -> String {
    format!("{}; its before_stop hook comes first", wish.reason())
}

impl Machine<'_> {
    /// Somebody wants it down.
    pub(super) fn stay(&self, why: String) -> Wish {
        Wish { why, after: After::Stay, dependents_first: true }
    }

    /// Somebody wants a new run. Dependents stay up.
    pub(super) fn again(&mut self, why: String) -> Wish {
        self.service.tally.by_hand();
        Wish { why: why.clone(), after: After::Start(why), dependents_first: false }
    }

    /// Somebody wants it up while it is stopping already for another reason.
    pub(super) fn then_start(&mut self, wish: Wish, why: String) -> Wish {
        self.service.tally.by_hand();
        Wish { after: After::Start(why), ..wish }
    }

    pub(super) fn stop(&mut self, mut run: Run, why: String) -> Phase {
        self.leave_up(&mut run);
        let wish = self.stay(why);
        self.hold(run, wish)
    }

    pub(super) fn restart(&mut self, mut run: Run, why: String) -> Phase {
        self.leave_up(&mut run);
        let wish = self.again(why);
        self.end(run, wish)
    }

    /// A frozen tree is thawed first: it could not answer a step of the stop. (The kill works on frozen trees too.)
    pub(super) fn thaw_to_stop(&mut self, run: Run, why: String) -> Phase {
        self.wants(Effect::Thaw { run: run.id });
        self.stop(run, why)
    }

    pub(super) fn thaw_to_restart(&mut self, run: Run, why: String) -> Phase {
        self.wants(Effect::Thaw { run: run.id });
        self.restart(run, why)
    }

    /// Stops, once no dependent is on its way down any more.
    pub(super) fn hold(&mut self, run: Run, wish: Wish) -> Phase {
        if !(wish.dependents_first && self.has_dependents) {
            return self.end(run, wish);
        }
        self.enter(StateName::Stopping, format!("{}; its dependents stop first", wish.reason()));
        Phase::Holding(Box::new(Holding { run, wish }))
    }

    /// Ends a run: its `before_stop` hook first, if its program is there to be stopped.
    pub(super) fn end(&mut self, run: Run, wish: Wish) -> Phase {
        let hook = self.plan.hooks.before_stop.as_ref().filter(|_| run.exit.is_none());
        let Some(time) = hook.map(|hook| hook.timeout) else { return self.ladder(run, wish) };
        self.enter(StateName::Stopping, before(&wish));
        let before = BeforeStop { run, wish, began: self.now, until: self.now.after(time) };
        self.ask_before_stop(&before);
        Phase::BeforeStop(Box::new(before))
    }

    /// Lets the `before_stop` hook be run; also by a daemon that does not know whether it was.
    pub(crate) fn ask_before_stop(&mut self, before: &BeforeStop) {
        let facts = HookFacts {
            reason: before.wish.why.clone(),
            pid: before.run.pid,
            ran: Some(self.now.since(before.run.started)),
            ..self.hook_facts()
        };
        self.hook(before.run.id, HookMoment::BeforeStop, facts);
    }

    /// It is not waited for any longer, whether it runs or has not had its turn.
    pub(super) fn before_stop_due(&mut self, before: BeforeStop) -> Phase {
        if self.now < before.until {
            return Phase::BeforeStop(Box::new(before));
        }
        let run = before.run.id;
        let detail = format!("was not over in {}", span(before.until.since(before.began)));
        self.tell(Some(run), EventKind::Hook { hook: HookMoment::BeforeStop, ok: false, detail });
        self.wants(Effect::CancelHook { run, moment: HookMoment::BeforeStop });
        self.ladder(before.run, before.wish)
    }

    pub(super) fn stop_before_stop(&mut self, mut before: BeforeStop, why: String) -> Phase {
        if before.wish.after != After::Stay {
            before.wish = self.stay(why);
            self.enter(StateName::Stopping, self::before(&before.wish));
        }
        Phase::BeforeStop(Box::new(before))
    }

    pub(super) fn start_before_stop(&mut self, mut before: BeforeStop, why: String) -> Phase {
        before.wish = self.then_start(before.wish, why);
        self.enter(StateName::Stopping, self::before(&before.wish));
        Phase::BeforeStop(Box::new(before))
    }

    /// Begins with the steps of the stop.
    pub(super) fn ladder(&mut self, run: Run, wish: Wish) -> Phase {
        self.enter(StateName::Stopping, wish.reason());
        let stopping = Stopping {
            run,
            wish,
            began: self.now,
            step: 0,
            due: self.now,
            asked: None,
            extended: None,
            killed: None,
        };
        self.advance(stopping)
    }

    /// Takes the steps that are due. Each step is taken once, and a kill is never due at once again, so this ends.
    pub(super) fn advance(&mut self, mut stopping: Stopping) -> Phase {
        let plan = &self.plan.stop;
        let end = stopping.began.after(plan.timeout);
        let end = stopping.extended.map_or(end, |until| until.max(end));
        while self.now >= stopping.due {
            self.unanswered(&mut stopping);
            match plan.steps.get(stopping.step) {
                Some(step)
                    if stopping.killed.is_none() && self.now < end && step.action != StopAction::Kill =>
                {
                    let due = self.now.after(step.wait).min(end);
                    self.take(stopping.run.id, stopping.step, step, due.since(self.now));
                    stopping.asked = step.action.is_answered().then_some(self.now);
                    stopping.step += 1;
                    stopping.due = due;
                }
                _ => self.kill(&mut stopping),
            }
        }
        Phase::Stopping(Box::new(stopping))
    }

    /// Takes a step, for which there is so much time.
    fn take(&mut self, run: RunId, place: usize, step: &StopStep, timeout: Duration) {
        let action = step.action.clone();
        let words = if action.is_answered() { "within" } else { "then waits" };
        self.tell(Some(run), EventKind::StopStep { step: format!("{action}, {words} {}", span(step.wait)) });
        self.wants(if action.is_answered() {
            let service = self.name.clone();
            let step = u32::try_from(place).unwrap_or(u32::MAX);
            Effect::StopStep { service, run, step, action, timeout }
        } else {
            Effect::Signal { run, action }
        });
    }

    /// A command or request came out. What succeeded is given the rest of its time to have an effect, what failed is
    /// not waited for. An answer about an earlier step is late.
    pub(super) fn step_answered(
        &mut self,
        mut stopping: Stopping,
        step: u32,
        error: Option<String>,
    ) -> Phase {
        let place = stopping.step.checked_sub(1);
        let present = place.and_then(|place| u32::try_from(place).ok()) == Some(step);
        let taken = place.and_then(|place| self.plan.stop.steps.get(place));
        let Some(taken) = taken.filter(|_| present && stopping.asked.take().is_some()) else {
            return Phase::Stopping(Box::new(stopping));
        };
        let action = &taken.action;
        let words = match &error {
            None => format!("{action} succeeded"),
            Some(error) => format!("{action} failed: {error}"),
        };
        self.tell(Some(stopping.run.id), EventKind::StopStep { step: words });
        if error.is_none() {
            return Phase::Stopping(Box::new(stopping));
        }
        stopping.due = self.now;
        self.advance(stopping)
    }

    /// It asks for time to end in: the present step lasts until then, and so does the whole stop. It can do so again, but
    /// not for ever.
    pub(super) fn extend_stop(&mut self, time: Duration) {
        let (now, timeout) = (self.now, self.plan.stop.timeout);
        let Phase::Stopping(stopping) = &mut self.service.phase else { return };
        if stopping.killed.is_some() {
            return;
        }
        let latest = stopping.began.after(timeout.max(LONGEST_STOP));
        let until = now.after(time).min(latest);
        stopping.extended = stopping.extended.max(Some(until));
        // A command has the time that it was given.
        if stopping.asked.is_none() {
            stopping.due = stopping.due.max(until);
        }
        let reason = format!("{}; it asked for {} to end in", stopping.wish.reason(), span(until.since(now)));
        self.service.reason = reason;
    }

    /// The time of the present step is over. Whoever took it breaks it off without an answer.
    fn unanswered(&mut self, stopping: &mut Stopping) {
        let Some(asked) = stopping.asked.take() else { return };
        let taken = stopping.step.checked_sub(1).and_then(|place| self.plan.stop.steps.get(place));
        let Some(taken) = taken else { return };
        let step = format!("{} failed: did not end in {}", taken.action, span(stopping.due.since(asked)));
        self.tell(Some(stopping.run.id), EventKind::StopStep { step });
    }

    fn kill(&mut self, stopping: &mut Stopping) {
        let run = stopping.run.id;
        let (first, times) = stopping.killed.unwrap_or((self.now, 0));
        let step = if times == 0 {
            "kill of the whole tree".to_owned()
        } else {
            let late =
                format!("{} after the kill something of it is still there", span(self.now.since(first)));
            self.service.reason = format!("{}; {late}", stopping.wish.reason());
            format!("kill again: {late}")
        };
        self.tell(Some(run), EventKind::StopStep { step });
        self.wants(Effect::Kill { run });
        stopping.killed = Some((first, times.saturating_add(1)));
        stopping.due = self.now.after(KILL_AGAIN.saturating_mul(1 << times.min(8)).min(KILL_AGAIN_AT_MOST));
    }

    pub(super) fn stop_again(&mut self, mut stopping: Stopping, why: String) -> Phase {
        if stopping.wish.after != After::Stay {
            stopping.wish = self.stay(why);
            self.enter(StateName::Stopping, stopping.wish.reason());
        }
        Phase::Stopping(Box::new(stopping))
    }

    pub(super) fn start_after_stop(&mut self, mut stopping: Stopping, why: String) -> Phase {
        stopping.wish = self.then_start(stopping.wish, why);
        self.enter(StateName::Stopping, stopping.wish.reason());
        Phase::Stopping(Box::new(stopping))
    }

    /// The main process ended, and nothing is left.
    pub(super) fn ended_in_stop(&mut self, run: Run, wish: Wish, exit: Exit) -> Phase {
        if run.exit.is_none() {
            self.tell_exit(&run, exit);
        }
        self.gone(&run, exit);
        self.follow(wish)
    }

    /// Nothing is left; how the main process ended was told before, or never.
    pub(super) fn vanished_in_stop(&mut self, run: Run, wish: Wish) -> Phase {
        self.ended_in_stop(run, wish, Exit::Unknown)
    }

    /// The main process ended, others are left: nobody needs to be waited for any more.
    pub(super) fn left_in_hold(&mut self, mut run: Run, wish: Wish, exit: Exit) -> Phase {
        self.tell_exit(&run, exit);
        run.exit = Some(exit);
        self.ladder(run, wish)
    }

    /// The main process ended, others are left: they get the remaining steps.
    pub(super) fn left_in_stop(&mut self, mut stopping: Stopping, exit: Exit) -> Phase {
        if stopping.run.exit.is_none() {
            self.tell_exit(&stopping.run, exit);
            stopping.run.exit = Some(exit);
            self.service.reason = format!("{}; {exit}, others of its tree are left", stopping.wish.reason());
        }
        Phase::Stopping(Box::new(stopping))
    }

    /// What follows a stop.
    pub(super) fn follow(&mut self, wish: Wish) -> Phase {
        match wish.after {
            After::Stay => self.stopped(wish.why),
            After::Start(why) => self.start(why),
            After::Policy(end) => self.ended(end),
        }
    }
}
