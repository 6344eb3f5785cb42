//! The thread that looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_api::types::{ServiceUsage, StackUsage, Usage};
use mainstay_core::RunId;
use mainstay_metrics::{Counts, Rising};
use mainstay_sys::mux::Sender;
use mainstay_sys::usage::{Sampler, Tree, Usage as Found};
use tokio::sync::{mpsc, oneshot, watch};

use super::leaks::Leaks;
use super::{INTERVAL, Seen, Stack, stack_id};
use crate::message::{Ask, StackView, ToDriver};

pub(super) struct Collector {
    driver: Sender<ToDriver>,
    tell: watch::Sender<Seen>,
    sampler: Sampler,
    keeper: u32,
    /// Of each service, and of the two processes of Mainstay's own.
    totals: BTreeMap<String, Totals>,
    leaks: Leaks,
}

/// What rises.
#[derive(Default)]
struct Totals {
    run: Option<RunId>,
    cpu: Rising,
    read: Rising,
    written: Rising,
    /// Processor seconds at the last look, and when that was.
    before: Option<(f64, Instant)>,
}

impl Collector {
    pub(super) fn new(stack: &Stack, driver: Sender<ToDriver>, tell: watch::Sender<Seen>) -> Collector {
        let id = stack_id(&stack.state_dir);
        Collector {
            driver,
            tell,
            sampler: Sampler::new(&id, stack.keeper, &stack.containment),
            keeper: stack.keeper,
            totals: BTreeMap::new(),
            leaks: Leaks::default(),
        }
    }

    /// Looks each time that the clock shows a multiple of the interval, and when it is asked to.
    pub(super) fn run(mut self, mut asked: mpsc::Receiver<()>) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        loop {
            runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(until_next(SystemTime::now())) => {}
                    _ = asked.recv() => {}
                }
            });
            // A driver that does not answer has more important things to do.
            if let Some(view) = self.ask() {
                let usage = self.look(&view);
                self.tell.send_replace(Seen { at: Some(Instant::now()), usage });
            }
        }
    }

    fn ask(&self) -> Option<StackView> {
        let (reply, answer) = oneshot::channel();
        if !self.driver.send(ToDriver::Ask(Ask::Stack(reply))) {
            return None;
        }
        answer.blocking_recv().ok()?.ok()
    }

    fn look(&mut self, view: &StackView) -> StackUsage {
        let running: Vec<_> = view
            .services
            .iter()
            .filter_map(|service| Some((&service.status.name, service.status.pid?, service.status.run)))
            .collect();
        let trees: Vec<Tree<'_>> =
            running.iter().map(|(name, main, _)| Tree { name: name.as_str(), main: *main }).collect();
        let own = [self.keeper, std::process::id()];
        let sample = self.sampler.sample(&trees, &own);
        let now = Instant::now();
        let mut found: BTreeMap<&str, Usage> = BTreeMap::new();
        for ((name, _, run), usage) in running.iter().zip(&sample.trees) {
            if let Some(usage) = usage {
                let totals = self.totals.entry(name.to_string()).or_default();
                let usage = totals.see(usage, *run, now);
                if let Some(run) = run {
                    for change in self.leaks.see(name.as_str(), *run, &usage, SystemTime::now()) {
                        // It is told again in the next life of the driver, if it goes on.
                        let _ = self.driver.send(ToDriver::Leak(*run, change));
                    }
                }
                found.insert(name.as_str(), usage);
            }
        }
        let names: BTreeSet<&str> =
            view.services.iter().map(|service| service.status.name.as_str()).collect();
        self.totals.retain(|name, _| name.starts_with('/') || names.contains(name.as_str()));
        self.leaks.retain(|name| names.contains(name));
        let mut own = ["/keeper", "/daemon"].into_iter().zip(&sample.processes).map(|(name, usage)| {
            let usage = usage.as_ref()?;
            Some(self.totals.entry(name.to_owned()).or_default().see(usage, None, now))
        });
        let (keeper, daemon) = (own.next().flatten(), own.next().flatten());
        let services = view.services.iter().map(|service| ServiceUsage {
            name: service.status.name.clone(),
            usage: found.remove(service.status.name.as_str()),
        });
        StackUsage { age_ms: 0, keeper, daemon, services: services.collect() }
    }
}

impl Totals {
    fn see(&mut self, found: &Found, run: Option<RunId>, now: Instant) -> Usage {
        let new = std::mem::replace(&mut self.run, run) != run;
        let counts = |all: bool| match (all, new) {
            (true, _) => Counts::All,
            (false, true) => Counts::New,
            (false, false) => Counts::Same,
        };
        self.cpu.see(found.cpu.as_secs_f64(), counts(found.cpu_of_all));
        let bytes = |rising: &mut Rising, seen: Option<u64>| {
            seen.map(|seen| {
                rising.see(seen as f64, counts(found.io_of_all));
                rising.total as u64
            })
        };
        let (read_bytes, written_bytes) =
            (bytes(&mut self.read, found.read), bytes(&mut self.written, found.written));
        let seconds = self.cpu.total;
        let cpu = self.before.replace((seconds, now)).and_then(|(before, at)| {
            let time = now.duration_since(at).as_secs_f64();
            (time > 0.0).then(|| (seconds - before) / time)
        });
        Usage {
            cpu_seconds: seconds,
            cpu,
            memory_bytes: found.resident,
            private_bytes: found.private,
            processes: found.processes,
            threads: found.threads,
            handles: found.handles,
            read_bytes,
            written_bytes,
        }
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
