//! Measuring: what the services use is looked at every 10 s, by a thread of its own with the lowest priority.
//!
//! It reads only: from the system, from the driver, which it asks like a client does, and from the events, out of
//! which restarts and exits are counted. What rises is written down before it is shown: a daemon that takes over goes
//! on from there, so that no counter falls.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_api::types::{Forecasts, History, HistoryQuery, HistoryRecord, Span, StackUsage};
use mainstay_core::{Limits, ProbeKind, ServiceName, Time};
use mainstay_metrics::{Counters, Figure, Store};
use mainstay_sys::mux::Sender;
use tokio::sync::{mpsc, watch};

use crate::events_log::Line;
use crate::message::ToDriver;

mod collector;
mod events;
mod forecast;
mod leaks;
mod machine;
mod page;
mod saved;
pub(crate) mod serve;
mod watched;

use collector::Collector;
pub(crate) use events::Tail;
pub(crate) use page::page_now;
pub(crate) use saved::{All, Totals};

/// How often it is looked. On the wall clock: at second 0, 10, 20 and so on.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// Nobody makes it look more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// An answer has so many records at the most.
const MAX_RECORDS: usize = 20_000;

/// What the thread has to know.
pub(crate) struct Stack {
    pub state_dir: PathBuf,
    pub log_dir: PathBuf,
    pub keeper: u32,
    /// When that began: tells it from others.
    pub keeper_started: Time,
    /// How trees are contained: `cgroup`, `session`, `job`.
    pub containment: String,
    pub live: tokio::sync::broadcast::Sender<Line>,
    pub probes: ProbeTally,
}

/// Answers to probes that were not counted yet. Between the driver, which hears them, and the thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeTally(Arc<Mutex<BTreeMap<ServiceName, Counters>>>);

impl ProbeTally {
    /// A probe was answered.
    pub fn answered(&self, service: &ServiceName, probe: ProbeKind, ok: bool, took: Option<Duration>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(service) {
            all.insert(service.clone(), Counters::default());
        }
        if let Some(counters) = all.get_mut(service) {
            counters.probed(probe, ok, took);
        }
    }

    fn take(&self) -> BTreeMap<ServiceName, Counters> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was seen last, for the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Asks for another look.
    look: mpsc::Sender<()>,
    seen: watch::Receiver<Seen>,
    store: Arc<Mutex<Option<Store>>>,
    log_dir: PathBuf,
}

/// What was seen, and when, on the machine's monotonic clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub at: Option<Instant>,
    pub usage: StackUsage,
    /// What rises, by service, as it is on disk.
    pub totals: Arc<All>,
    /// How long the look took.
    pub took: Duration,
}

impl Metrics {
    /// What the services use, looked at not longer ago than this.
    pub async fn usage(&self, max_age: Duration) -> StackUsage {
        let fresh = |seen: &Seen| seen.at.is_some_and(|at| at.elapsed() <= max_age.max(SHORTEST));
        let mut seen = self.seen.clone();
        if !fresh(&seen.borrow_and_update()) {
            // One that waits already serves all who ask.
            let _ = self.look.try_send(());
            // The thread lives as long as the process.
            let _ = seen.changed().await;
        }
        let seen = seen.borrow();
        let age = seen.at.map_or(0, |at| at.elapsed().as_millis());
        StackUsage { age_ms: u64::try_from(age).unwrap_or(u64::MAX), ..seen.usage.clone() }
    }

    /// What was seen at the last look.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// When something will be short. It reads files.
    pub fn forecast(&self, limits: &[(ServiceName, Limits)]) -> Forecasts {
        let now = unix_seconds(SystemTime::now());
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let found = store.as_mut().map(|store| forecast::of_all(store, &self.log_dir, limits, now));
        found.unwrap_or_default()
    }

    /// What a service used in the past. It reads files.
    pub fn history(&self, service: &ServiceName, query: HistoryQuery) -> io::Result<History> {
        let to = unix_seconds(SystemTime::now());
        let from = to.saturating_sub(query.since_ms / 1_000);
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing was kept yet, or its directory can't be made; then the daemon's log says so.
        let Some(store) = store.as_mut() else { return Ok(History::default()) };
        let series = store.read(service.as_str(), from, to)?;
        let records = series.records.iter().rev().take(MAX_RECORDS).rev().map(|(at, summary)| {
            let figures = Figure::ALL.iter().zip(summary).filter_map(|(figure, stretch)| {
                let stretch = stretch.as_ref()?;
                let span = Span { mean: stretch.mean, min: stretch.min, max: stretch.max };
                Some((figure.as_str().to_owned(), span))
            });
            HistoryRecord { at: *at, figures: figures.collect() }
        });
        Ok(History { interval_s: series.interval, records: records.collect(), note: series.note })
    }
}

/// Starts the thread. It ends with the process.
pub(crate) fn start(stack: Stack, driver: Sender<ToDriver>) -> io::Result<Metrics> {
    let (look, asked) = mpsc::channel(1);
    let (tell, seen) = watch::channel(Seen::default());
    let store = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&store);
    let log_dir = stack.log_dir.clone();
    let work = move || {
        mainstay_sys::own::step_back();
        Collector::new(stack, driver, tell, shared).run(asked);
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(work)?;
    Ok(Metrics { look, seen, store, log_dir })
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
impl Metrics {
    /// One that never sees anything.
    pub fn none() -> Metrics {
        let seen = watch::channel(Seen::default()).1;
        Metrics { look: mpsc::channel(1).0, seen, store: Arc::default(), log_dir: PathBuf::new() }
    }
}

/// The stack's id, by which its containers are known.
pub(crate) fn stack_id(state_dir: &Path) -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(state_dir.join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    read("id").or_else(|| read("id.copy")).unwrap_or_default()
}
