//! Applying a changed configuration: service by service, in the order of their dependencies, a few at a time, each
//! waited for. If one does not come up, everything goes back to what was before.
//!
//! The plan changes one service at a time, each after what it depends on in the goal. So at every moment the plan is
//! one without a circle and without a dependency that is not there, whatever the two plans are: what has changed
//! depends only on what has changed before it, and what has not changed does as before.
//!
//! What is not needed any more is stopped first, unless something that stays needed it until now: that goes last, when
//! all else is known to work.

mod change;
mod configure;
mod gate;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gate::{Gate, Passed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use crate::reload::{self, Action, ReloadPlan};
use crate::walks::in_order;
use crate::words::{clip, count};
use crate::{
    EventKind, Plan, ProgramConfig, Refusal, RefusalKind, ReloadStage, ServiceName, ServicePlan, Time,
};

/// A configuration on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Apply {
    revision: u64,
    by: String,
    /// Where to.
    goal: Goal,
    /// Where to instead, if that does not work.
    back: Goal,
    /// Which of the services that change were up before.
    was_up: BTreeSet<ServiceName>,
}

/// A plan, as far as it is another one than the present one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Goal {
    /// The plan without its services.
    top: Plan,
    /// The services that change; none: one that goes.
    services: BTreeMap<ServiceName, Option<ServicePlan>>,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// Why everything goes back.
    going_back: Option<String>,
    /// Services that had their turn, in this direction.
    done: BTreeSet<ServiceName>,
    /// Services that have their new plan, but to which nothing was done yet at the turn.
    untouched: BTreeSet<ServiceName>,
    /// Services that are waited for.
    gates: BTreeMap<ServiceName, Gate>,
}

/// What is known of the way, beside what is kept.
#[derive(Default)]
pub(super) struct Way {
    /// Services whose plan is still to be changed, in order.
    todo: VecDeque<ServiceName>,
    /// Services that go at the beginning, and those that go at the end.
    gone: BTreeSet<ServiceName>,
    gone_late: BTreeSet<ServiceName>,
    /// Whether it may be another one's turn.
    pub look: bool,
    /// When a gate wants to be looked at next.
    pub due: Option<Time>,
    /// Whether all that happened until now is known, so that what has not happened by now counts. Of several news of one
    /// moment the first ones say nothing of that: a daemon that was away hears all of its time at once.
    pub up_to_date: bool,
}

/// A configuration that is being applied, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applying {
    /// Its number.
    pub revision: u64,
    /// Who asked.
    pub by: String,
    /// Why everything goes back to what was before; none while it goes forward.
    pub going_back: Option<String>,
    /// The services that are waited for.
    pub waits_for: Vec<ServiceName>,
    /// How many services are still to be changed, beside these.
    pub left: usize,
}

/// Which parts of the plan have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChanges {
    /// What belongs to no service.
    pub stack: bool,
    /// Services that have changed, were added or are gone.
    pub services: BTreeSet<ServiceName>,
}

impl PlanChanges {
    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        !self.stack && self.services.is_empty()
    }
}

impl Goal {
    /// A plan with what changes changed.
    fn over(&self, plan: &Plan) -> Plan {
        let mut whole = plan.clone();
        for (name, plan) in &self.services {
            match plan {
                Some(plan) => whole.services.insert(name.clone(), plan.clone()),
                None => whole.services.remove(name),
            };
        }
        whole
    }
}

impl Supervisor {
    /// Which parts of the plan have changed since the last call.
    pub fn take_plan_changes(&mut self) -> PlanChanges {
        std::mem::take(&mut self.plan_changes)
    }

    /// The configuration that is being applied, if one is.
    pub fn applying(&self) -> Option<Applying> {
        let apply = self.apply.as_ref()?;
        Some(Applying {
            revision: apply.revision,
            by: apply.by.clone(),
            going_back: self.progress.going_back.clone(),
            waits_for: self.progress.gates.keys().cloned().collect(),
            left: self.way.todo.len() + self.way.gone.len() + self.way.gone_late.len(),
        })
    }

    /// Whether a plan can be applied as things are.
    ///
    /// # Errors
    /// Why not.
    pub fn check_apply(&self, plan: &Plan) -> Result<(), Refusal> {
        self.open()?;
        self.not_applying()?;
        let bad = |message: String| Err(Refusal::new(RefusalKind::BadPlan, message));
        if plan.stack != self.plan.stack {
            let (old, new) = (&self.plan.stack, &plan.stack);
            let hint = format!("`mainstay down --stack {old}` and `mainstay up` do that");
            return bad(format!("the stack is called {old} and cannot become {new}"))
                .map_err(|it| it.hint(hint));
        }
        for (name, service) in &plan.services {
            if service.launch.command.first().is_none_or(String::is_empty) {
                return bad(format!("{name} has no command"));
            }
            if let Some(unknown) = service.depends_on.keys().find(|on| !plan.services.contains_key(*on)) {
                return bad(format!("{name} depends on '{unknown}', which is not there"));
            }
        }
        let place: BTreeMap<ServiceName, usize> =
            in_order(plan).into_iter().enumerate().map(|(place, name)| (name, place)).collect();
        let behind = |(name, service): &(&ServiceName, &ServicePlan)| {
            service.depends_on.keys().any(|on| place.get(on) >= place.get(*name))
        };
        match plan.services.iter().find(behind) {
            Some((name, _)) => bad(format!("{name} depends on itself, directly or not")),
            None => Ok(()),
        }
    }

    pub(super) fn not_applying(&self) -> Result<(), Refusal> {
        let Some(apply) = &self.apply else { return Ok(()) };
        let refusal =
            Refusal::new(RefusalKind::WrongState, format!("revision {} is being applied", apply.revision));
        Err(refusal.hint("`mainstay status` shows how far it is; ask again when it is done"))
    }

    /// Begins to apply a plan, if it can.
    pub(super) fn apply(&mut self, by: String, revision: u64, mut plan: Plan) -> bool {
        let by = clip(by);
        // What is asked for is tried, though it did not work before.
        for service in plan.services.values_mut() {
            let ProgramConfig { secrets, notes, .. } = &mut service.config;
            notes.refused.retain(|secret, refused| secrets.get(secret) != Some(refused));
        }
        if let Err(refusal) = self.check_apply(&plan) {
            let detail = format!("{refusal}; asked by {by}");
            self.tell(None, EventKind::Reload { revision, stage: ReloadStage::Refused, detail });
            return false;
        }
        let steps = ReloadPlan::of(&self.plan, &plan);
        let names = || steps.steps.iter().map(|step| step.service.clone());
        let of = |plan: &Plan| Goal {
            top: Plan { services: BTreeMap::new(), ..plan.clone() },
            services: names().map(|name| (name.clone(), plan.services.get(&name).cloned())).collect(),
        };
        let is_up =
            |name: &ServiceName| self.nodes.get(name).is_some_and(|node| !node.service.phase.stays_down());
        let was_up = names().filter(is_up).collect();
        let what = steps.steps.iter().filter(|step| !matches!(step.action, Action::Nothing | Action::Live));
        let what: Vec<String> =
            what.map(|step| format!("{} {}", step.action, step.service)).take(5).collect();
        let detail = match (steps.is_empty(), what.is_empty()) {
            (true, _) => format!("nothing is different; asked by {by}"),
            (_, true) => format!("no service is restarted; asked by {by}"),
            _ => format!("{} of {}; asked by {by}", what.join(", "), count_of(&steps)),
        };
        self.tell(None, EventKind::Reload { revision, stage: ReloadStage::Begun, detail });
        self.apply = Some(Apply { revision, by, goal: of(&plan), back: of(&self.plan), was_up });
        self.progress = Progress::default();
        self.dirty_apply = true;
        self.set_out();
        true
    }

    /// Looks anew where to go from here: at the beginning, after a restore, and at the turn.
    pub(super) fn set_out(&mut self) {
        let Some(apply) = &self.apply else { return };
        let (goal, other) = match self.progress.going_back {
            None => (&apply.goal, &apply.back),
            Some(_) => (&apply.back, &apply.goal),
        };
        let (from, whole) = (other.over(&self.plan), goal.over(&self.plan));
        let progress = &mut self.progress;
        let todo = |name: &ServiceName| {
            goal.services.get(name).is_some_and(Option::is_some) && !progress.done.contains(name)
        };
        let todo: VecDeque<ServiceName> = in_order(&whole).into_iter().filter(todo).collect();
        progress.gates.retain(|name, _| !todo.contains(name));
        // What did not stop on the way back is not waited for any more.
        let gone = goal.services.iter().filter(|(name, plan)| {
            plan.is_none() && self.nodes.contains_key(*name) && !progress.done.contains(*name)
        });
        let late = reload::needed_by_survivors(&from, &whole);
        let (gone_late, gone) = gone.map(|(name, _)| name.clone()).partition(|name| late.contains(name));
        if (Plan { services: BTreeMap::new(), ..self.plan.clone() }) != goal.top {
            let services = std::mem::take(&mut self.plan.services);
            self.plan = Plan { services, ..goal.top.clone() };
            self.plan_changes.stack = true;
        }
        let up_to_date = self.way.up_to_date;
        self.way = Way { todo, gone, gone_late, look: true, due: None, up_to_date };
    }

    /// Looks when a gate wants to be looked at, and lets none through. After a restore, which changes nothing by itself.
    pub(super) fn look_at_gates(&mut self) {
        // At the beginning of time nothing is late: what comes of it is when it would be.
        let due = |(name, gate)| match self.passed(name, gate, Time::ZERO) {
            Passed::NotBefore(at) => at,
            Passed::Yes | Passed::Never(_) => self.now,
        };
        self.way.due = self.progress.gates.iter().map(due).min();
    }

    /// Goes on with what is being applied, as far as it can.
    pub(super) fn go_on(&mut self) {
        // Each turn changes a service, lets one through, turns back or ends it.
        let most = 4 * (self.way.todo.len() + self.progress.gates.len() + self.nodes.len()) + 16;
        for _ in 0..most {
            if self.apply.is_none() {
                return;
            }
            if self.going_down {
                return self.end(ReloadStage::Abandoned, "the stack goes down".to_owned());
            }
            if let Some(why) = self.pass_gates() {
                self.turn(why);
                continue;
            }
            let went = std::mem::take(&mut self.way.look) && self.next_ones();
            self.drain();
            if !went && !self.way.look {
                break;
            }
        }
        let way = &self.way;
        let left = !way.todo.is_empty() || !way.gone.is_empty() || !way.gone_late.is_empty();
        if left || !self.progress.gates.is_empty() {
            return;
        }
        match self.progress.going_back.take() {
            None => self.end(ReloadStage::Applied, String::new()),
            Some(why) => self.end(ReloadStage::TakenBack, why),
        }
    }

    fn end(&mut self, stage: ReloadStage, detail: String) {
        let Some(apply) = self.apply.take() else { return };
        (self.progress, self.way) = (Progress::default(), Way::default());
        self.dirty_apply = true;
        self.tell(None, EventKind::Reload { revision: apply.revision, stage, detail });
    }

    /// Everything goes back.
    fn turn(&mut self, why: String) {
        let Some(revision) = self.apply.as_ref().map(|apply| apply.revision) else { return };
        let why = clip(why);
        self.tell(None, EventKind::Reload { revision, stage: ReloadStage::Failed, detail: why.clone() });
        self.progress.going_back = Some(why);
        self.note_refused();
        // What was waited for on the way there is nothing to wait for on the way back.
        self.progress.untouched = self.untouched();
        self.progress.done.clear();
        self.progress.gates.clear();
        self.dirty_apply = true;
        self.set_out();
    }

    /// What is gone back to gets to know which values of secrets did not work. Those from before cannot be read any
    /// more, but they are in the files from before, which come back as they were.
    fn note_refused(&mut self) {
        let Some(apply) = &mut self.apply else { return };
        for (name, back) in &mut apply.back.services {
            let (Some(back), Some(tried)) = (back, self.plan.services.get(name)) else { continue };
            for secret in back.only_in_files().collect::<Vec<_>>() {
                let marks = (tried.config.secrets.get(&secret), back.config.secrets.get(&secret));
                if let (Some(tried), Some(before)) = marks
                    && tried != before
                {
                    back.config.notes.refused.insert(secret, tried.clone());
                }
            }
        }
    }

    /// Lets through what is up, or gone. Why everything has to go back, if it has.
    fn pass_gates(&mut self) -> Option<String> {
        let (mut due, mut through, mut late) = (None::<Time>, Vec::new(), Vec::new());
        for (name, gate) in &self.progress.gates {
            match self.passed(name, gate, self.now) {
                Passed::Yes => through.push(name.clone()),
                Passed::Never(why) => late.push((name.clone(), why)),
                Passed::NotBefore(at) => due = Some(due.map_or(at, |due| due.min(at))),
            }
        }
        self.way.due = due;
        let back = self.progress.going_back.is_some();
        if let Some((name, why)) = late.first().filter(|_| !back) {
            return Some(format!("{name} {why}"));
        }
        // There is nothing to go back to from the way back: what does not stop goes when it does.
        for (name, _) in late {
            if self.way.gone.remove(&name) || self.way.gone_late.remove(&name) {
                self.progress.done.insert(name.clone());
            }
            through.push(name);
        }
        for name in through {
            if let Some(gate) = self.progress.gates.remove(&name)
                && !back
            {
                self.tell_taken(&name, &gate);
            }
            (self.dirty_apply, self.way.look) = (true, true);
        }
        None
    }
}

fn count_of(steps: &ReloadPlan) -> String {
    count(u32::try_from(steps.steps.len()).unwrap_or(u32::MAX), "changed service")
}
