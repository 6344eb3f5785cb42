//! A few at a time: while a configuration is applied, never more than `reload.at_once` services are on their way.
//!
//! One is on its way from the moment at which something is done to it, for its changed plan, until it could count as
//! up for the first time. That is seen from outside, so at times a little earlier than the supervisor says it.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::reload::{Action, ReloadPlan};
use mainstay_core::{
    Effect, EventKind, FileNotes, FilesOutcome, Input, Plan, ReloadStage, RunId, ServiceName, ServicePlan,
    StateName, Time,
};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// See the module.
#[derive(Debug)]
pub(super) struct Few {
    /// The plan before the present step.
    plan: Plan,
    /// The one to which everything goes back.
    back: Plan,
    way: Way,
    on_the_way: BTreeMap<ServiceName, Turn>,
}

/// Whether a configuration is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    None,
    There,
    Back,
}

/// A service on its way.
#[derive(Debug)]
struct Turn {
    began: Time,
    what: What,
}

/// What is waited for.
#[derive(Debug)]
enum What {
    /// A run that was asked for then or later.
    Up(Time),
    /// The answer to this change of its files.
    Files { change: RunId, tells: bool },
    /// That it stays healthy: its program was told then.
    Told(Time),
}

impl Few {
    /// For a trace that begins with this plan.
    pub fn new(plan: Plan) -> Few {
        Few { plan, back: Plan::default(), way: Way::None, on_the_way: BTreeMap::new() }
    }

    /// What is done in this step to services whose plan it changes.
    fn taken(&self, step: &Step) -> Vec<(ServiceName, What)> {
        let mut taken = Vec::new();
        let new = step.plan.as_deref();
        for change in new.map(|new| ReloadPlan::of(&self.plan, new).steps).unwrap_or_default() {
            let name = change.service;
            let is_back =
                || new.is_some_and(|new| same(new.services.get(&name), self.back.services.get(&name)));
            if self.way == Way::Back && !is_back() {
                // It was done on the way there, before this step turned back.
                continue;
            }
            let files = step.effects.iter().find_map(|effect| match effect {
                Effect::Configure { service, run, tell } if *service == name => {
                    Some(What::Files { change: *run, tells: tell.is_some() })
                }
                _ => None,
            });
            let moved = moves(step, &name);
            // What comes up on the way back may do so for one that depends on it.
            let made = match change.action {
                Action::Restart => true,
                Action::Start => self.way == Way::There,
                _ => false,
            };
            let made = (made && moved).then_some(What::Up(step.at));
            taken.extend(files.or(made).map(|what| (name, what)));
        }
        taken
    }

    /// Follows the answers about files.
    fn answered(&mut self, step: &Step) {
        let Cause::Input(Input::Configured { run, outcome }) = &step.cause else { return };
        let asked = |turn: &Turn| matches!(turn.what, What::Files { change, .. } if change == *run);
        let Some((name, turn)) = self.on_the_way.iter_mut().find(|(_, turn)| asked(turn)) else { return };
        let moved = moves(step, name);
        match (outcome, &turn.what) {
            (FilesOutcome::Done(_), What::Files { tells: true, .. }) => turn.what = What::Told(step.at),
            (FilesOutcome::Done(_), _) if moved => turn.what = What::Up(step.at),
            _ => {
                let name = name.clone();
                self.on_the_way.remove(&name);
            }
        }
    }

    /// Whether one that is on its way may be through.
    fn may_be_through(&self, facts: &Facts, step: &Step, name: &ServiceName, turn: &Turn) -> bool {
        let Some(plan) = facts.service(name) else { return true };
        let (reload, state) = (&facts.plan.reload, facts.state(name));
        let over = |since: Time, wait: Duration| step.at >= since.after(wait);
        // On the way back nothing is waited for longer than this.
        if state.is_down() || self.way == Way::Back && over(turn.began, reload.timeout) {
            return true;
        }
        if self.way == Way::Back && state == StateName::Backoff {
            return true;
        }
        let run = facts.newest.get(name).and_then(|id| facts.runs.get(id));
        let settled = |since: Time| over(since, reload.settle);
        match turn.what {
            What::Files { .. } => false,
            What::Told(at) => {
                let asked =
                    matches!(&step.cause, Cause::Input(Input::ProbeResult { outcome, .. }) if outcome.ok);
                asked || settled(at) || !matches!(state, StateName::Running | StateName::Ready)
            }
            What::Up(from) => {
                let Some(run) = run.filter(|run| run.asked >= from) else { return false };
                match state {
                    StateName::Ready => true,
                    StateName::Running => plan.ready.is_none() && run.made.is_some_and(settled),
                    _ => false,
                }
            }
        }
    }

    fn let_through(&mut self, facts: &Facts, step: &Step) {
        let through = |(name, turn): (&ServiceName, &Turn)| {
            self.may_be_through(facts, step, name, turn).then(|| name.clone())
        };
        let through: Vec<ServiceName> = self.on_the_way.iter().filter_map(through).collect();
        for name in through {
            self.on_the_way.remove(&name);
        }
    }

    /// Follows what is told of the change itself.
    fn follow(&mut self, step: &Step) {
        for event in step.told() {
            let EventKind::Reload { stage, .. } = &event.kind else { continue };
            self.way = match stage {
                ReloadStage::Refused => continue,
                ReloadStage::Begun => {
                    self.back = self.plan.clone();
                    Way::There
                }
                ReloadStage::Failed => Way::Back,
                ReloadStage::Applied | ReloadStage::TakenBack | ReloadStage::Abandoned => Way::None,
            };
            self.on_the_way.clear();
        }
    }
}

/// Whether these are the same but for what is noted on the way.
fn same(one: Option<&ServicePlan>, other: Option<&ServicePlan>) -> bool {
    let bare = |plan: &ServicePlan| {
        let mut plan = plan.clone();
        plan.config.notes = FileNotes::default();
        plan
    };
    one.map(bare) == other.map(bare)
}

/// Whether a service is stopped or started in this step. One whose probe is another one is only not ready any more.
fn moves(step: &Step, name: &ServiceName) -> bool {
    step.told().any(|event| {
        let moves = |to| !matches!(to, StateName::Running | StateName::Ready);
        event.service.as_ref() == Some(name) && matches!(event.kind, EventKind::State { to, .. } if moves(to))
    })
}

impl Rule for Few {
    fn name(&self) -> &'static str {
        "a few at a time"
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        if let Cause::Input(Input::Request { .. }) = &step.cause {
            // What somebody asks for meanwhile is nothing that is waited for.
            self.on_the_way.clear();
        }
        self.answered(step);
        self.follow(step);
        self.let_through(facts, step);
        if self.way != Way::None {
            for (name, what) in self.taken(step) {
                self.on_the_way.insert(name, Turn { began: step.at, what });
            }
        }
        if let Some(plan) = &step.plan {
            self.plan = plan.as_ref().clone();
        }
        let (many, most) = (self.on_the_way.len(), facts.plan.reload.at_once.max(1));
        if many > usize::try_from(most).unwrap_or(usize::MAX) {
            let names: Vec<String> = self.on_the_way.keys().map(ToString::to_string).collect();
            return Err(format!("{} are on their way, more than {most} at a time", names.join(", ")));
        }
        Ok(())
    }
}
