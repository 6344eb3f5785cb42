//! The thread that looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_api::types::{ServiceUsage, StackUsage, Usage};
use mainstay_metrics::{Counts, Store};
use mainstay_sys::mux::Sender;
use mainstay_sys::usage::{Sampler, Tree};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::events::Tail;
use super::leaks::Leaks;
use super::logs::Logs;
use super::saved::Saved;
use super::{INTERVAL, ProbeTally, Seen, Stack, stack_id, unix_seconds};
use crate::message::{Ask, StackView, ToDriver};

/// Mainstay's own processes among the services, whose names have no such character.
pub(super) const OWN: [&str; 2] = ["/keeper", "/daemon"];
/// How often files of services that are gone are looked for.
const TIDY: Duration = Duration::from_secs(86_400);
/// So many events of services that are not there are counted for them, as for those that are being removed.
const MAX_GONE: usize = 1_000;

pub(super) struct Collector {
    driver: Sender<ToDriver>,
    tell: watch::Sender<Seen>,
    sampler: Sampler,
    keeper: u32,
    leaks: Leaks,
    probes: ProbeTally,
    events: Tail,
    logs: Logs,
    saved: Saved,
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
        let (saved, note) = Saved::read(&dir.join("totals.json"));
        if let Some(note) = note {
            driver.send(ToDriver::Note(note));
        }
        Collector {
            driver,
            tell,
            sampler: Sampler::new(&id, stack.keeper, &stack.containment),
            keeper: stack.keeper,
            leaks: Leaks::default(),
            probes: stack.probes,
            events: Tail::new(stack.state_dir, stack.live.subscribe(), saved.seq),
            logs: Logs::new(stack.log_dir),
            saved,
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
            let Some(view) = self.ask() else { continue };
            let begin = Instant::now();
            let usage = self.look(&view, due.then(SystemTime::now));
            let written = self.write();
            self.say(written, "the counters of what services use");
            let totals = Arc::new(self.saved.totals.clone());
            self.tell.send_replace(Seen { at: Some(begin), usage, totals, took: begin.elapsed() });
        }
    }

    fn ask(&self) -> Option<StackView> {
        let (reply, answer) = oneshot::channel();
        if !self.driver.send(ToDriver::Ask(Ask::Stack(reply))) {
            return None;
        }
        answer.blocking_recv().ok()?.ok()
    }

    /// Looks at everything; what it finds at a time of the clock goes into the history.
    fn look(&mut self, view: &StackView, clock: Option<SystemTime>) -> StackUsage {
        let running: Vec<_> = view
            .services
            .iter()
            .filter_map(|service| Some((&service.status.name, service.status.pid?, service.status.run?.0)))
            .collect();
        let trees: Vec<Tree<'_>> =
            running.iter().map(|(name, main, _)| Tree { name: name.as_str(), main: *main }).collect();
        let sample = self.sampler.sample(&trees, &[self.keeper, std::process::id()]);
        let now = Instant::now();
        self.count(view);
        let mut found: BTreeMap<&str, Usage> = BTreeMap::new();
        let mut history = Vec::new();
        for ((name, main, run), usage) in running.iter().zip(&sample.trees) {
            if let Some(usage) = usage {
                let totals = self.saved.totals.entry(name.to_string()).or_default();
                let used = totals.see(usage, (*run, *main), now);
                if clock.is_some() {
                    history.push((name.as_str(), totals.values(usage, now)));
                }
                let run = mainstay_core::RunId(*run);
                for change in self.leaks.see(name.as_str(), run, &used, SystemTime::now()) {
                    // It is told again in the next life of the driver, if it goes on.
                    let _ = self.driver.send(ToDriver::Leak(run, change));
                }
                found.insert(name.as_str(), used);
            }
        }
        let names: BTreeSet<&str> =
            view.services.iter().map(|service| service.status.name.as_str()).collect();
        self.leaks.retain(|name| names.contains(name));
        if let Some(clock) = clock {
            let kept = self.keep(view, unix_seconds(clock), &history);
            self.say(kept, "the history of what services use");
        }
        let pids = [self.keeper, std::process::id()];
        let mut own = OWN.into_iter().zip(pids).zip(&sample.processes).map(|((name, pid), usage)| {
            let totals = self.saved.totals.entry(name.to_owned()).or_default();
            Some(totals.see(usage.as_ref()?, (0, pid), now))
        });
        let (keeper, daemon) = (own.next().flatten(), own.next().flatten());
        let services = view.services.iter().map(|service| ServiceUsage {
            name: service.status.name.clone(),
            usage: found.remove(service.status.name.as_str()),
        });
        StackUsage { age_ms: 0, keeper, daemon, services: services.collect() }
    }

    /// Counts events, answers of probes, and bytes of logs.
    fn count(&mut self, view: &StackView) {
        let names: BTreeSet<&str> =
            view.services.iter().map(|service| service.status.name.as_str()).collect();
        let totals = &mut self.saved.totals;
        totals.retain(|name, _| name.starts_with('/') || names.contains(name.as_str()));
        let most = names.len() + MAX_GONE;
        self.events.take(|event| {
            if let Some(name) = &event.service
                && (totals.contains_key(name.as_str()) || totals.len() < most)
            {
                totals.entry(name.to_string()).or_default().counters.event(&event.kind);
            }
        });
        self.saved.seq = self.events.last();
        for (name, counted) in self.probes.take() {
            totals.entry(name.to_string()).or_default().counters.add_probes(counted);
        }
        self.logs.look();
        for service in &view.services {
            let name = service.status.name.as_str();
            if !totals.contains_key(name) {
                totals.insert(name.to_owned(), Default::default());
            }
            if let Some(totals) = totals.get_mut(name) {
                self.logs.see(name, &mut totals.log);
                totals.dropped.see(service.log_dropped as f64, Counts::All);
            }
        }
    }

    fn keep(
        &mut self,
        view: &StackView,
        time: u64,
        history: &[(&str, mainstay_metrics::Values)],
    ) -> std::io::Result<()> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match store.as_mut() {
            Some(store) => store,
            None => store.insert(Store::open(self.dir.clone())?),
        };
        let mut outcome = Ok(());
        for (name, values) in history {
            match store.put(name, time, values) {
                Ok(None) => {}
                Ok(Some(note)) => {
                    warn!("{note}");
                    self.driver.send(ToDriver::Note(note));
                }
                Err(error) => outcome = Err(error),
            }
        }
        if self.tidied.is_none_or(|at| at.elapsed() > TIDY) {
            self.tidied = Some(Instant::now());
            let names: BTreeSet<&str> =
                view.services.iter().map(|service| service.status.name.as_str()).collect();
            store.clean_up(|name| names.contains(name))?;
        }
        outcome
    }

    fn write(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        self.saved.write(&self.dir.join("totals.json"))
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
