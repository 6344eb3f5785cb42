//! The thread that looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_api::types::{ServiceUsage, StackUsage, Usage};
use mainstay_core::{LeakAction, RunId, ServiceName};
use mainstay_link::Tally;
use mainstay_metrics::{Store, Values};
use mainstay_sys::mux::Sender;
use mainstay_sys::usage::{Sampler, Tree, Usage as Found};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::events::Tail;
use super::leaks::{Leaks, Looked};
use super::machine::Machine;
use super::saved::Saved;
use super::watched::Watched;
use super::{INTERVAL, ProbeTally, Seen, Stack, stack_id, unix_seconds};
use crate::message::{Ask, Running, ToDriver};

/// Mainstay's own processes among the services, whose names have no such character.
pub(super) const OWN: [&str; 2] = ["/keeper", "/daemon"];
/// The file of what rises.
const TOTALS: &str = "totals.jsonl";
/// How often files of services that are gone are looked for.
const TIDY: Duration = Duration::from_secs(86_400);
/// So many events of services that are not there are counted for them, as for those that are being removed.
const MAX_GONE: usize = 1_000;

pub(super) struct Collector {
    driver: Sender<ToDriver>,
    tell: watch::Sender<Seen>,
    sampler: Sampler,
    keeper: u32,
    keeper_started: u64,
    leaks: Leaks,
    probes: ProbeTally,
    events: Tail,
    saved: Saved,
    machine: Machine,
    /// The services of the last look.
    names: Vec<ServiceName>,
    /// By name, with Mainstay's own processes.
    watched: BTreeMap<String, Watched>,
    dir: PathBuf,
    store: Arc<Mutex<Option<Store>>>,
    tidied: Option<Instant>,
    /// What could not be written is told once, until it could be.
    failed: bool,
}

impl Collector {
    pub(super) fn new(
        stack: Stack,
        driver: Sender<ToDriver>,
        tell: watch::Sender<Seen>,
        store: Arc<Mutex<Option<Store>>>,
    ) -> Collector {
        let id = stack_id(&stack.state_dir);
        let dir = stack.state_dir.join("metrics");
        // If it can't be made now, it is tried again with each look.
        *store.lock().unwrap_or_else(PoisonError::into_inner) = Store::open(dir.clone()).ok();
        let (saved, note) = Saved::read(&dir.join(TOTALS));
        if let Some(note) = note {
            driver.send(ToDriver::Note(note));
        }
        Collector {
            driver,
            tell,
            sampler: Sampler::new(&id, stack.keeper, &stack.containment),
            keeper: stack.keeper,
            keeper_started: stack.keeper_started.as_nanos(),
            leaks: Leaks::default(),
            probes: stack.probes,
            events: Tail::new(stack.state_dir, stack.live.subscribe(), saved.seq),
            saved,
            machine: Machine::new(stack.log_dir),
            names: Vec::new(),
            watched: BTreeMap::new(),
            dir,
            store,
            tidied: None,
            failed: false,
        }
    }

    /// Looks each time that the clock shows a multiple of the interval, and when it is asked to.
    pub(super) fn run(mut self, mut asked: mpsc::Receiver<()>) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        loop {
            let due = runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(until_next(SystemTime::now())) => true,
                    _ = asked.recv() => false,
                }
            });
            // A driver that does not answer has more important things to do.
            let Some(running) = self.ask() else { continue };
            let begin = Instant::now();
            let usage = self.look(&running, due.then(SystemTime::now));
            let written = self.write();
            self.say(written, "the counters of what services use");
            let totals = self.saved.all();
            self.tell.send_replace(Seen { at: Some(begin), usage, totals, took: begin.elapsed() });
        }
    }

    fn ask(&self) -> Option<Vec<Running>> {
        let (reply, answer) = oneshot::channel();
        if !self.driver.send(ToDriver::Ask(Ask::Running(reply))) {
            return None;
        }
        answer.blocking_recv().ok()?.ok()
    }

    /// Looks at everything; what it finds at a time of the clock goes into the history.
    fn look(&mut self, services: &[Running], clock: Option<SystemTime>) -> StackUsage {
        let trees: Vec<Tree<'_>> = services
            .iter()
            .filter_map(|service| Some(Tree { name: service.name.as_str(), main: service.run?.1 }))
            .collect();
        let own = [self.keeper, std::process::id()];
        let sample = self.sampler.sample(&trees, &own);
        let now = Instant::now();
        self.forget(services);
        self.count(services);
        let mut found = sample.trees.into_iter();
        let mut seen = Vec::with_capacity(services.len());
        let mut history = Vec::with_capacity(services.len());
        for service in services {
            let usage = service.run.and_then(|run| Some((run, found.next().flatten()?)));
            let used = self.see(service.name.as_str(), usage, now);
            if let (Some(used), Some((run, _))) = (&used, usage) {
                self.watch_for_leaks(service, RunId(run.0), used);
                if clock.is_some() {
                    history.push((service.name.as_str(), self.values(service.name.as_str(), now)));
                }
            }
            seen.push(ServiceUsage { name: service.name.clone(), usage: used });
        }
        let mut used = [None, None];
        for (nth, name) in OWN.into_iter().enumerate() {
            used[nth] = self.see(name, sample.processes[nth].map(|usage| ((0, own[nth]), usage)), now);
            if clock.is_some() && used[nth].is_some() {
                history.push((name, self.values(name, now)));
            }
        }
        if clock.is_some() {
            history.extend(self.machine.look(now));
        }
        if let Some(clock) = clock {
            let kept = self.keep(services, unix_seconds(clock), &history);
            self.say(kept, "the history of what services use");
        }
        let [keeper, daemon] = used;
        StackUsage { age_ms: 0, keeper, daemon, services: seen }
    }

    fn watch_for_leaks(&mut self, service: &Running, run: RunId, usage: &Usage) {
        if let (LeakAction::RestartIn(window), Some(growth)) = (service.leak, service.grows)
            && window.contains(minute_of_day())
        {
            self.driver.send(ToDriver::LeakWindow(run, growth));
        }
        let at = unix_seconds(SystemTime::now());
        let Running { name, uptime, limits, .. } = service;
        let it = Looked { name: name.as_str(), run, uptime: *uptime, limits, usage, at };
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        for change in self.leaks.see(&it, store.as_mut()) {
            self.driver.send(ToDriver::Leak(run, change));
        }
    }

    /// Takes in what was found of a service; what it uses, if it runs.
    fn see(&mut self, name: &str, found: Option<((u64, u32), Found)>, now: Instant) -> Option<Usage> {
        let watched = match self.watched.get_mut(name) {
            Some(watched) => watched,
            None => self.watched.entry(name.to_owned()).or_default(),
        };
        let is_new = watched.is_new(found);
        let (run, usage) = found?;
        if is_new {
            self.saved.change(name).see(&usage, run);
        }
        Some(watched.usage(self.saved.get(name)?, now))
    }

    fn values(&mut self, name: &str, now: Instant) -> Values {
        match (self.watched.get_mut(name), self.saved.get(name)) {
            (Some(watched), Some(totals)) => watched.values(totals, now),
            _ => Values::default(),
        }
    }

    /// What is there no more.
    fn forget(&mut self, services: &[Running]) {
        if self.names.iter().eq(services.iter().map(|service| &service.name)) {
            return;
        }
        self.names = services.iter().map(|service| service.name.clone()).collect();
        let is_there = |name: &str| {
            OWN.contains(&name)
                || services.binary_search_by(|service| service.name.as_str().cmp(name)).is_ok()
        };
        self.leaks.retain(is_there);
        self.saved.retain(is_there);
        self.watched.retain(|name, _| is_there(name));
    }

    /// Counts events, answers of probes, and output.
    fn count(&mut self, services: &[Running]) {
        let most = services.len() + MAX_GONE;
        let saved = &mut self.saved;
        self.events.take(|_, event| {
            if let Some(name) = &event.service
                && (saved.get(name.as_str()).is_some() || saved.len() < most)
            {
                saved.change(name.as_str()).counters.event(&event.kind);
            }
        });
        saved.seq = self.events.last();
        for (name, counted) in self.probes.take() {
            saved.change(name.as_str()).counters.add_probes(counted);
        }
        let keeper = self.keeper_started;
        for service in services.iter().filter(|service| service.log != Tally::default()) {
            let name = service.name.as_str();
            if saved.get(name).is_none_or(|totals| !totals.output.is_at(&service.log, keeper)) {
                saved.change(name).output.see(&service.log, keeper);
            }
        }
    }

    fn keep(&mut self, services: &[Running], time: u64, history: &[(&str, Values)]) -> std::io::Result<()> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match store.as_mut() {
            Some(store) => store,
            None => store.insert(Store::open(self.dir.clone())?),
        };
        let notes = store.put(time, history);
        if self.tidied.is_none_or(|at| at.elapsed() > TIDY) {
            self.tidied = Some(Instant::now());
            let names: BTreeSet<&str> = services.iter().map(|service| service.name.as_str()).collect();
            store.clean_up(|name| names.contains(name))?;
        }
        for note in notes? {
            warn!("{note}");
            self.driver.send(ToDriver::Note(note));
        }
        Ok(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        self.saved.write(&self.dir.join(TOTALS))
    }

    fn say(&mut self, outcome: std::io::Result<()>, what: &str) {
        if let Err(error) = &outcome
            && !self.failed
        {
            warn!("{what} can't be written: {error}; it is tried again");
        }
        self.failed = outcome.is_err();
    }
}

/// Minutes since midnight, as the clocks of this machine show them.
fn minute_of_day() -> u16 {
    let time = jiff::Zoned::now();
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

/// From now to the next multiple of the interval.
fn until_next(now: SystemTime) -> Duration {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let interval = INTERVAL.as_nanos();
    let left = interval - since.as_nanos() % interval;
    Duration::from_nanos(u64::try_from(left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_on_the_clocks_tens() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(until_next(at(1_700_000_003_000)), Duration::from_secs(7));
        assert_eq!(until_next(at(1_700_000_000_000)), INTERVAL);
        assert_eq!(until_next(at(1_700_000_009_999)), Duration::from_millis(1));
    }
}
