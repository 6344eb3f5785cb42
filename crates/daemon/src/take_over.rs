//! Services that are left running when the stack goes down, and the `up` that takes them over.
//!
//! The keeper stays for what is left, and this daemon with it: it answers, stops what somebody wants stopped, and looks
//! after old logs. `up` then gives it another plan. It hands that to its successor, which begins like a first daemon, but
//! with the runs that are there.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_api::types::About;
use mainstay_core::{Input, Request, ServiceName, ServicePlan};
use mainstay_link::Command;
use serde::{Deserialize, Serialize};

use crate::driver::Driver;
use crate::message::Refused;
use crate::outbox::TAKE_OVER_KEY;
use crate::plan_store::StoredPlan;

/// What a daemon that takes a stack over begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TakeOver {
    /// Who wants it.
    by: String,
    /// The plan from now on.
    stored: StoredPlan,
    /// Services that run and are in it.
    kept: BTreeSet<ServiceName>,
    /// Services that run and are not in it, with their plans of before. They are stopped.
    gone: BTreeMap<ServiceName, ServicePlan>,
    /// Services that run with settings which are not those of the plan.
    outdated: BTreeSet<ServiceName>,
}

impl Driver {
    /// The request that brings the stack down. An old keeper, or one under a service manager, stays for nobody.
    pub(crate) fn down(&self, all: bool) -> Request {
        if all || !self.knows.rest() { Request::DownAll } else { Request::Down }
    }

    /// The stack is down but for what was left running.
    pub(crate) fn rest(&mut self) {
        let left: Vec<String> = self.left().map(|name| name.to_string()).collect();
        let text = format!("the stack is down, left running: {}", left.join(", "));
        self.events.stage_about(About::Down, text);
        self.out.command(Command::Rest);
        self.changed = true;
    }

    fn left(&self) -> impl Iterator<Item = ServiceName> {
        self.core.status().into_iter().filter(|status| status.left).map(|status| status.name)
    }

    /// Hands the stack, with another plan, to a daemon made from `exe`. With `leash` it is up for as long as that process.
    pub(crate) fn come_up_again(
        &mut self,
        by: String,
        stored: StoredPlan,
        exe: String,
        leash: Option<u32>,
    ) -> Result<(), Refused> {
        if self.ended || !self.core.is_resting() {
            return Err(Refused::new(409, "the stack is up, or on its way up or down"));
        }
        let (kept, gone): (BTreeSet<_>, BTreeSet<_>) =
            self.left().partition(|name| stored.plan.services.contains_key(name));
        let plan = &self.core.plan().services;
        let differs = |name: &&ServiceName| {
            let now = plan.get(*name).map(|plan| &plan.launch);
            now != stored.plan.services.get(*name).map(|plan| &plan.launch)
        };
        let outdated = kept.iter().filter(differs).cloned().collect();
        let gone = gone.into_iter().filter_map(|name| {
            let mut plan = plan.get(&name)?.clone();
            // Nothing is there that it could depend on.
            plan.depends_on.clear();
            Some((name, plan))
        });
        let take_over = TakeOver { gone: gone.collect(), by, stored, kept, outdated };
        self.out.put_json(TAKE_OVER_KEY, &take_over);
        self.out.command(Command::WakeUp { leash });
        self.out.command(Command::Replace { exe });
        Ok(())
    }
}

impl TakeOver {
    /// What the daemon before has left, if that was it.
    pub(crate) fn read(state: &BTreeMap<String, String>) -> Option<TakeOver> {
        let text = state.get(TAKE_OVER_KEY)?;
        match serde_json::from_str(text) {
            Ok(take_over) => Some(take_over),
            Err(error) => {
                tracing::error!("the plan to take over with is damaged, and the one before is kept: {error}");
                None
            }
        }
    }

    /// The plan that was asked for.
    pub(crate) fn wanted(&self) -> &StoredPlan {
        &self.stored
    }

    /// The plan to begin with: the new one, and what is still to be stopped of the old one.
    pub(crate) fn plan(&self) -> StoredPlan {
        let mut stored = self.stored.clone();
        stored.plan.services.extend(self.gone.clone());
        for service in stored.plan.services.values_mut() {
            service.stop.fit(mainstay_sys::IS_WINDOWS);
        }
        stored
    }

    /// Whether what is known of a service still means something.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.kept.iter().chain(self.gone.keys()).any(|kept| kept.as_str() == name)
            || !self.stored.plan.services.keys().any(|planned| planned.as_str() == name)
    }

    /// Starts what is new, and stops what is gone.
    pub(crate) fn begin(self, driver: &mut Driver) {
        driver.out.put(TAKE_OVER_KEY, None);
        driver.input(Input::Request { by: self.by.clone(), request: Request::Up });
        for name in self.outdated {
            driver.events.stage_own(format!(
                "{name} runs on with its settings of before; `mainstay restart {name}` gives it the new ones"
            ));
        }
        for name in self.gone.into_keys() {
            driver.input(Input::Request { by: self.by.clone(), request: Request::Remove(name) });
        }
    }
}
