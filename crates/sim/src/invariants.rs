//! What must hold in every trace, whatever the outside does.
//!
//! Each rule is a small machine that follows the trace. It knows the plan and what the trace shows, never the
//! supervisor's inside; and it says nothing where the documentation leaves a choice.

use std::fmt;

use mainstay_core::{Effect, Plan, Time};

use crate::trace::Step;

mod backoff;
mod facts;
mod few;
mod handover;
mod order;
mod probes;
mod pulse;
mod runs;
mod sessions;
mod states;
mod stops;
mod wishes;

pub use facts::{Facts, Run, subject};
pub use probes::plan_of;

/// Whether a rule holds; if not, why, in words.
pub type Verdict = Result<(), String>;

/// One rule.
pub trait Rule: fmt::Debug {
    /// Its name, for whoever reads a failure.
    fn name(&self) -> &'static str;

    /// Something happened; `facts` know it already. Called before any effect of the step.
    ///
    /// # Errors
    /// How the rule is broken.
    fn input(&mut self, _facts: &Facts, _step: &Step) -> Verdict {
        Ok(())
    }

    /// The supervisor wants something done; `facts` do not know it yet.
    ///
    /// # Errors
    /// How the rule is broken.
    fn effect(&mut self, _facts: &Facts, _at: Time, _effect: &Effect) -> Verdict {
        Ok(())
    }

    /// The step is complete; `facts` know all of it.
    ///
    /// # Errors
    /// How the rule is broken.
    fn after(&mut self, _facts: &Facts, _step: &Step) -> Verdict {
        Ok(())
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// When.
    pub at: Time,
    /// How, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.rule, self.at, self.what)
    }
}

/// All rules at work on one trace.
#[derive(Debug)]
pub struct Checker {
    facts: Facts,
    rules: Vec<Box<dyn Rule>>,
}

impl Checker {
    /// All rules, for a trace that begins with this plan.
    pub fn new(plan: Plan) -> Checker {
        let rules: Vec<Box<dyn Rule>> = vec![
            Box::new(pulse::Pulse::default()),
            Box::<runs::OneInstance>::default(),
            Box::new(states::States),
            Box::new(wishes::Wishes::default()),
            Box::new(order::Order::default()),
            Box::new(stops::Stops),
            Box::<sessions::Sessions>::default(),
            Box::new(backoff::BackOff::default()),
            Box::new(probes::Probes::default()),
            Box::new(handover::HandOver::default()),
            Box::new(crate::model::Model::default()),
        ];
        Checker { facts: Facts::new(plan), rules }
    }

    /// Those rules that hold for a stack whose plan changes on the way.
    pub fn changing(plan: Plan) -> Checker {
        let rules: Vec<Box<dyn Rule>> = vec![Box::new(few::Few::new(plan.clone()))];
        Checker { facts: Facts::new(plan), rules }
    }

    /// What the trace has shown so far.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Follows the trace by one step.
    ///
    /// # Errors
    /// The first rule that the step breaks.
    pub fn step(&mut self, step: &Step) -> Result<(), Violation> {
        // What is added is there from the beginning of its step on, what is removed is there until its end.
        let added = |plan: &Plan| plan.services.len() > self.facts.plan.services.len();
        let (added, removed) = match &step.plan {
            Some(plan) if added(plan) => (Some(plan), None),
            other => (None, other.as_ref()),
        };
        if let Some(plan) = added {
            self.facts.set_plan(plan.as_ref().clone());
        }
        self.facts.input(step.at, &step.cause);
        self.ask(step.at, |rule, facts| rule.input(facts, step))?;
        for effect in &step.effects {
            self.ask(step.at, |rule, facts| rule.effect(facts, step.at, effect))?;
            self.facts.effect(step.at, effect);
        }
        if let Some(plan) = removed {
            self.facts.set_plan(plan.as_ref().clone());
        }
        self.ask(step.at, |rule, facts| rule.after(facts, step))?;
        self.facts.deadline = step.deadline.map(|(at, _)| at);
        Ok(())
    }

    fn ask(
        &mut self,
        at: Time,
        mut question: impl FnMut(&mut dyn Rule, &Facts) -> Verdict,
    ) -> Result<(), Violation> {
        for rule in &mut self.rules {
            question(rule.as_mut(), &self.facts).map_err(|what| Violation { rule: rule.name(), at, what })?;
        }
        Ok(())
    }
}
