//! Going on where the daemon before was.
//!
//! The first daemon of a keeper makes a core from the plan and asks it for everything up. Any later one finds the
//! core's snapshots with the keeper, which are those of the last transaction that the keeper has seen whole:
//! commands and state agree, and events that came later are repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mainstay_api::types::About;
use mainstay_core::record::Takeover;
use mainstay_core::{Exit, Input, Plan, Request, RunId, ServiceName, ServicePlan, Supervisor, Time};
use mainstay_link::{Command, Welcome};
use tracing::{info, warn};

use crate::driver::Driver;
use crate::events_log::EventsLog;
use crate::observers::Observed;
use crate::outbox::{
    DROPPED_KEY, EVENTS_KEY, LIMITS_KEY, OWN_KEYS, PLAN_KEY, RECORD_KEY, REVISIONS_KEY, SEED_KEY, SEEN_KEY,
    TOP_KEY,
};
use crate::outputs::Outputs;
use crate::plan_store::{Source, StoredPlan};
use crate::revisions::Revisions;
use crate::sending::Knows;
use crate::take_over::TakeOver;

/// What a welcome and the plan's file make, before there are threads.
pub(crate) struct Restored {
    pub core: Supervisor,
    pub events: EventsLog,
    pub config: Option<String>,
    pub source: Option<Source>,
    pub revisions: Revisions,
    pub beginning: Beginning,
}

/// What is left to be done once the driver is there.
pub(crate) struct Beginning {
    /// Services whose change may be missing in the plan's file.
    changed: Vec<ServiceName>,
    /// Whether what belongs to no service may be missing in it.
    changed_top: bool,
    /// Whether this is a keeper's first daemon.
    first: bool,
    /// What the core was restored with.
    takeover: Takeover,
    /// The plan that a stack comes up with again, if that is so.
    take_over: Option<TakeOver>,
}

/// Makes the core as the one before left it, or a new one.
pub(crate) fn restore(
    welcome: &Welcome,
    stored: StoredPlan,
    state_dir: &Path,
    observers: Vec<Observed>,
    now: Time,
) -> Restored {
    let state = &welcome.state;
    let take_over = TakeOver::read(state);
    let kept = state.get(REVISIONS_KEY).and_then(|text| serde_json::from_str(text).ok());
    let (stored, revisions) = match (&take_over, kept) {
        (Some(take_over), _) => (take_over.plan(), Revisions::begin(state_dir, take_over.wanted())),
        (None, Some(revisions)) => (stored, revisions),
        (None, None) => {
            let revisions = Revisions::begin(state_dir, &stored);
            (stored, revisions)
        }
    };
    let StoredPlan { mut plan, config, source } = stored;
    let top = state.get(TOP_KEY).and_then(|text| serde_json::from_str::<Plan>(text).ok());
    let changed_top = top.is_some() || take_over.is_some();
    let changed = match &take_over {
        Some(_) => all_changed(&plan, state),
        None => {
            let changed = overlay(&mut plan, state);
            if let Some(top) = top {
                plan = Plan { services: plan.services, ..top };
            }
            changed
        }
    };
    let snapshots: BTreeMap<String, String> = state
        .iter()
        .filter(|(key, _)| !key.starts_with(OWN_KEYS))
        .filter(|(key, _)| {
            let service = key.strip_prefix("svc/");
            take_over.as_ref().zip(service).is_none_or(|(take_over, name)| take_over.keeps(name))
        })
        .map(|(key, text)| (key.clone(), text.clone()))
        .collect();
    let seed = state.get(SEED_KEY).and_then(|text| text.parse().ok()).unwrap_or_else(new_seed);
    let first = snapshots.is_empty();
    let mut core = if first {
        Supervisor::new(plan, seed, now)
    } else {
        Supervisor::restore(plan, seed, &snapshots, now)
    };
    core.reserve_runs(welcome.last_run);
    let events = EventsLog::open(state_dir, state.get(EVENTS_KEY).map(String::as_str), observers);
    let takeover = Takeover { before: 0, at: now, last_run: welcome.last_run };
    let beginning = Beginning { changed, changed_top, first, takeover, take_over };
    Restored { core, events, config, source, revisions, beginning }
}

/// Puts the changes that the keeper holds over the plan of the file; says which services they are about.
fn overlay(plan: &mut Plan, state: &BTreeMap<String, String>) -> Vec<ServiceName> {
    let mut changed = Vec::new();
    for (key, text) in state.range(PLAN_KEY.to_owned()..) {
        let Some(name) = key.strip_prefix(PLAN_KEY) else { break };
        let Ok(name) = ServiceName::new(name) else { continue };
        match serde_json::from_str::<Option<ServicePlan>>(text) {
            Ok(Some(service)) => {
                plan.services.insert(name.clone(), service);
            }
            Ok(None) => {
                plan.services.remove(&name);
            }
            Err(error) => {
                warn!("the plan of {name} that the daemon before left is damaged: {error}");
                continue;
            }
        }
        changed.push(name);
    }
    changed
}

/// All services of another plan, and those of which the keeper holds something else.
fn all_changed(plan: &Plan, state: &BTreeMap<String, String>) -> Vec<ServiceName> {
    let held = state.keys().filter_map(|key| ServiceName::new(key.strip_prefix(PLAN_KEY)?).ok());
    let names: BTreeSet<ServiceName> = plan.services.keys().cloned().chain(held).collect();
    names.into_iter().collect()
}

/// A number that nobody foresees. It spreads the waits of stacks that fail together.
fn new_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// What has to be said and done first.
pub(crate) fn begin(driver: &mut Driver, welcome: &Welcome, beginning: Beginning) {
    let state = &welcome.state;
    driver.out.put(SEED_KEY, Some(driver.core.seed().to_string()));
    driver.outputs = Outputs::resume(read(state, DROPPED_KEY));
    driver.limits = read(state, LIMITS_KEY);
    driver.knows = Knows::new(&welcome.knows);
    driver.probes.restore_seen(read(state, SEEN_KEY));
    // A recording is of one plan.
    let recorded = state.get(RECORD_KEY).filter(|_| beginning.take_over.is_none());
    if let Some(saved) = recorded {
        driver.recorder.resume(saved, beginning.takeover);
    }
    if welcome.predecessors > 0 {
        let reason = if welcome.reason.is_empty() { "it is not known why" } else { welcome.reason.as_str() };
        info!("in the place of a daemon that is gone: {reason}");
        driver.events.stage_about(About::DaemonReplaced, format!("daemon replaced: {reason}"));
    }
    driver.out.put_json(REVISIONS_KEY, &driver.revisions);
    if beginning.changed_top {
        driver.note_top();
    }
    let stay = driver.core.plan().services.iter().filter(|(name, _)| !beginning.changed.contains(name));
    let passed_over: Vec<_> = stay.filter_map(|(name, plan)| driver.knows.passes_over(name, plan)).collect();
    passed_over.into_iter().for_each(|text| driver.events.stage_own(text));
    for name in beginning.changed {
        let plan = driver.core.plan().services.get(&name).cloned();
        driver.note_plan(&name, plan.as_ref());
    }
    for run in &welcome.runs {
        let id = RunId(run.run);
        if driver.core.service_of(id).is_some() {
            driver.log_starts.insert(id, run.log_start);
            continue;
        }
        // Mostly a probe's command.
        info!("run {id} in {} is of no use any more; it is ended", run.container);
        if run.exit.is_none() || !run.tree_empty {
            driver.out.command(Command::Kill { run: id });
        }
        driver.out.command(Command::Forget { run: id });
    }
    // Before anything starts.
    driver.look_at_sessions();
    if beginning.first {
        driver.input(Input::Request { by: "mainstay up".to_owned(), request: Request::Up });
    } else {
        lost_runs(driver, welcome);
    }
    if let Some(take_over) = beginning.take_over {
        take_over.begin(driver);
    }
}

/// A run that the core knows by its process, but the keeper does not know, is nothing to wait for. It can't come
/// about unless the keeper errs; then the service goes on all the same.
fn lost_runs(driver: &mut Driver, welcome: &Welcome) {
    let known: BTreeSet<u64> = welcome.runs.iter().map(|run| run.run).collect();
    for status in driver.core.status() {
        if let (Some(run), Some(_)) = (status.run, status.pid)
            && !known.contains(&run.0)
        {
            warn!("the keeper has no run {run} of {}", status.name);
            driver.input(Input::Exited { run, exit: Exit::Unknown, tree_empty: true });
        }
    }
}

fn read<T: serde::de::DeserializeOwned + Default>(state: &BTreeMap<String, String>, key: &str) -> T {
    state.get(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
