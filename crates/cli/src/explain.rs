//! The facts about a service, from everywhere that has some; the words come of them in `core`.

use std::time::Duration;

use mainstay_api::types::{EventRecord, Service, Stack};
use mainstay_core::explain::{Facts, Seen, Wait, short};
use mainstay_core::{Condition, Exit, Plan, ProbeKind, StateName};

use crate::event_text::growth_text;
use crate::excerpt;
use crate::failure::Failure;
use crate::history;
use crate::stack::Place;

/// A kernel's message is about this end if it came within this time of it.
const SAME: Duration = Duration::from_secs(60);
/// So far a chain of services that wait for each other is followed; a plan has no circles, but may be long.
const DEPTH: usize = 100;

/// What the daemon says about a service. Enough for a short reason.
pub fn of_service(service: &Service) -> Facts {
    let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
    let waits = service.waiting_for.iter().map(|what| Wait { what: what.clone(), root: None }).collect();
    let probes = service.probes.iter().map(|probe| Seen {
        probe: probe.probe,
        ok: probe.ok,
        detail: probe.detail.clone(),
        failures: probe.failures,
        ago: millis(probe.ago_ms),
    });
    Facts {
        windows: mainstay_sys::IS_WINDOWS,
        since: Some(Duration::from_millis(service.since_ms)),
        reason: service.reason.clone(),
        pid: service.pid,
        uptime: millis(service.uptime_ms),
        restarts: service.restarts,
        crash_loop: service.crash_loop,
        next_start: millis(service.next_start_ms),
        last_exit: service.last_exit,
        waits,
        probes: probes.collect(),
        log_lost: service.log_dropped_bytes,
        not_enforced: service.not_enforced.clone(),
        hits: service.limit_hits.clone(),
        left: service.left,
        ..Facts::new("", service.name.as_str(), service.state)
    }
}

/// What the files of a stack say: read once for all services that are to be explained.
pub struct Files<'a> {
    place: &'a Place,
    plan: Option<Plan>,
    events: Vec<EventRecord>,
}

impl<'a> Files<'a> {
    /// Reads what there is about these services.
    ///
    /// # Errors
    /// The events can't be read.
    pub fn read(place: &'a Place, services: &[&str]) -> Result<Files<'a>, Failure> {
        let own: Option<String> = match services {
            [one] => Some(format!("\"service\":\"{one}\"")),
            _ => None,
        };
        let contains = |line: &[u8], text: &str| line.windows(text.len()).any(|part| part == text.as_bytes());
        // To read an event costs more than to look for a name in it.
        let events = history::read(place, |line| {
            own.as_ref().is_none_or(|own| contains(line, own) || contains(line, "\"service\":null"))
        })?;
        // Without a plan the root of a wait is not told; the rest is.
        Ok(Files { place, plan: place.plan().ok().map(|stored| stored.plan), events })
    }

    /// All that is known about a service of a stack that is up.
    pub fn live(&self, stack: &Stack, service: &Service) -> Facts {
        let mut facts = of_service(service);
        facts.going_down = stack.going_down;
        facts.configuration = taken_back_for(stack, service);
        if let Some(plan) = &self.plan {
            roots(&mut facts, plan, stack);
        }
        complete(self, facts)
    }

    /// All that is known about a service of a stack that is down.
    pub fn down(&self, name: &str) -> Facts {
        let stopped = Facts::new("", name, StateName::Stopped);
        let facts = Facts { windows: mainstay_sys::IS_WINDOWS, up: false, ..stopped };
        let mut facts = complete(self, facts);
        facts.last_exit = facts.ends.first().and_then(|end| end.exit);
        facts
    }
}

/// What became of the newest configuration, if it was taken back because of this service.
fn taken_back_for(stack: &Stack, service: &Service) -> Option<String> {
    let trouble = stack.configuration.trouble.as_ref()?;
    let (_, why) = trouble.split_once(" taken back: ")?;
    why.strip_prefix(service.name.as_str())?.starts_with(' ').then(|| trouble.clone())
}

/// Adds what the files of the stack and the kernel know.
fn complete(files: &Files<'_>, mut facts: Facts) -> Facts {
    let place = files.place;
    facts.stack.clone_from(&place.name);
    let mut story = history::story(&files.events, &facts.service, jiff::Timestamp::now());
    if let (Some(end), Some(pid)) = (story.ends.first_mut(), story.last_pid)
        && end.step.is_none()
        && end.hits.memory.is_none()
        && matches!(end.exit, Some(Exit::Signal(9) | Exit::Code(137)))
    {
        end.out_of_memory = mainstay_sys::memory::killed(pid)
            .filter(|killed| end.ago.is_none_or(|ago| ago.abs_diff(killed.ago) < SAME))
            .map(|killed| killed.message);
    }
    facts.leaks = story.leaks.iter().map(growth_text).collect();
    (facts.ends, facts.stop_step, facts.asked) = (story.ends, story.stop_step, story.asked);
    facts.output = excerpt::plain(place, &facts.service);
    facts
}

/// Finds the service at the end of each chain of waits, and why that one is not there.
fn roots(facts: &mut Facts, plan: &Plan, stack: &Stack) {
    if facts.waits.is_empty() {
        return;
    }
    let mut name = facts.service.clone();
    for depth in 0..DEPTH {
        let Some((needed, _)) = plan
            .services
            .get(name.as_str())
            .into_iter()
            .flat_map(|plan| &plan.depends_on)
            .find(|(needed, condition)| !stands(stack, needed.as_str(), **condition))
        else {
            // The first service itself: nothing is in its way by now.
            if depth == 0 {
                return;
            }
            break;
        };
        name = needed.to_string();
    }
    let Some(root) = stack.services.iter().find(|service| service.name.as_str() == name) else { return };
    let why = short(&of_service(root));
    let why = if why.is_empty() { root.state.to_string() } else { format!("{}: {why}", root.state) };
    if let Some(wait) = facts.waits.first_mut() {
        wait.root = Some((name, why));
    }
}

fn stands(stack: &Stack, name: &str, condition: Condition) -> bool {
    let Some(service) = stack.services.iter().find(|service| service.name.as_str() == name) else {
        return false;
    };
    let has_ready = service.probes.iter().any(|probe| probe.probe == ProbeKind::Ready);
    match (condition, service.state) {
        (_, StateName::Completed) => true,
        (Condition::Started, state) => state.is_started(),
        (Condition::Ready, StateName::Ready) => true,
        (Condition::Ready, StateName::Running) => !has_ready,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{service, stack};
    use mainstay_core::{ServiceName, ServicePlan};

    #[test]
    fn the_root_of_a_chain_is_found() {
        let mut plan = Plan::default();
        for (name, needs) in [("db", None), ("api", Some("db")), ("web", Some("api"))] {
            let mut it = ServicePlan::default();
            it.depends_on
                .extend(needs.map(|needs| (ServiceName::new(needs).expect("a name"), Condition::Started)));
            plan.services.insert(ServiceName::new(name).expect("a name"), it);
        }
        let waits = |name: &str, on: &str| {
            let mut it = service(name, StateName::Starting);
            it.waiting_for = vec![format!("{on} is not started yet")];
            it
        };
        let mut db = service("db", StateName::Backoff);
        (db.reason, db.last_exit) = ("exit code 127".to_owned(), Some(Exit::Code(127)));
        let shop = stack("shop", vec![waits("api", "db"), db, waits("web", "api")]);
        let mut facts = of_service(&shop.services[2]);
        roots(&mut facts, &plan, &shop);
        let (root, why) = facts.waits[0].root.clone().expect("a root");
        assert_eq!(root, "db");
        assert!(why.starts_with("backoff: exit code 127"), "{why}");
    }
}
