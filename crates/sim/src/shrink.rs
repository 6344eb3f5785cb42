//! Makes a failing history as small as it gets: steps and services are left out as long as it fails in the same way.

use std::time::Duration;

use mainstay_core::ServiceName;

use crate::check::{self, Failure};
use crate::history::History;
use crate::invariants::subject;
use crate::transition::Transition;

/// So many attempts are made at the most.
const ATTEMPTS: u32 = 3_000;

/// The smallest history found that breaks the same rule, and how.
pub fn shrink(history: &History, failure: Failure) -> (History, Failure) {
    let mut shrinker = Shrinker { best: history.clone(), failure, attempts: ATTEMPTS };
    loop {
        let before = shrinker.size();
        shrinker.drop_steps();
        shrinker.drop_services();
        shrinker.simplify_services();
        shrinker.shorten_waits();
        if shrinker.size() == before || shrinker.attempts == 0 {
            return (shrinker.best, shrinker.failure);
        }
    }
}

struct Shrinker {
    best: History,
    failure: Failure,
    attempts: u32,
}

impl Shrinker {
    fn size(&self) -> (usize, usize) {
        (self.best.steps.len(), self.best.plan.services.len())
    }

    /// Takes a smaller history if it fails in the same way.
    fn offer(&mut self, smaller: History) -> bool {
        if self.attempts == 0 {
            return false;
        }
        self.attempts -= 1;
        match check::play(&smaller) {
            Err(failure) if failure.rule == self.failure.rule => {
                self.best = smaller;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }

    fn drop_steps(&mut self) {
        let mut chunk = self.best.steps.len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < self.best.steps.len() {
                let mut smaller = self.best.clone();
                smaller.steps.drain(at..(at + chunk).min(smaller.steps.len()));
                if !self.offer(smaller) {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
    }

    fn drop_services(&mut self) {
        for name in self.best.plan.services.keys().cloned().collect::<Vec<ServiceName>>() {
            let mut smaller = self.best.clone();
            smaller.plan.services.remove(&name);
            smaller.jobs.remove(&name);
            for plan in smaller.plan.services.values_mut() {
                plan.depends_on.remove(&name);
            }
            smaller.steps.retain(|step| about(step) != Some(&name));
            self.offer(smaller);
        }
    }

    /// Leaves out what makes a service special.
    fn simplify_services(&mut self) {
        for name in self.best.plan.services.keys().cloned().collect::<Vec<ServiceName>>() {
            // A job that were always restarted would never complete: another failure.
            let job = self.best.jobs.contains(&name);
            for part in (0..8).filter(|part| !job || *part != 6) {
                let mut smaller = self.best.clone();
                let Some(plan) = smaller.plan.services.get_mut(&name) else { continue };
                let before = plan.clone();
                match part {
                    0 => plan.startup = None,
                    1 => plan.ready = None,
                    2 => plan.live = None,
                    3 => plan.restart.limit = None,
                    4 => plan.restart.on_exit.clear(),
                    5 => plan.stop = mainstay_core::StopPlan::default(),
                    6 => plan.restart = mainstay_core::RestartPlan::default(),
                    _ => plan.depends_on.clear(),
                }
                if *plan != before {
                    self.offer(smaller);
                }
            }
        }
    }

    fn shorten_waits(&mut self) {
        for at in 0..self.best.steps.len() {
            let Transition::Wait(time) = self.best.steps[at] else { continue };
            let round = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(0) / 2);
            if round > Duration::from_millis(1) {
                let mut smaller = self.best.clone();
                smaller.steps[at] = Transition::Wait(round);
                self.offer(smaller);
            }
        }
    }
}

/// The service that a step is about, if it is about one.
const fn about(step: &Transition) -> Option<&ServiceName> {
    match step {
        Transition::Request(request) => subject(request),
        Transition::Conduct(name, _)
        | Transition::Answers(name, _, _)
        | Transition::Ends(name, _)
        | Transition::LeftoversEnd(name)
        | Transition::Notify(name, _)
        | Transition::Rotated(name)
        | Transition::Stale(name, _) => Some(name),
        Transition::Wait(_)
        | Transition::Echo(_)
        | Transition::Stutter
        | Transition::SpuriousTick
        | Transition::Session(_)
        | Transition::Lateness(_)
        | Transition::DaemonDies(_) => None,
    }
}
