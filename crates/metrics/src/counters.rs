//! What happened to a service, counted: from the events of the core, which are told once each, over all daemons.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{EventKind, Exit, ProbeKind, StateName, signal_name};
use serde::{Deserialize, Serialize};

/// So many different ends are told apart for each service; those that come later are `other`.
pub const MAX_EXITS: usize = 16;

/// Upper bounds of the classes that the times of probes' answers are counted in, in seconds.
pub const BUCKETS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 2.0, 10.0];

/// Why a service was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it, or it is the first start.
    Requested,
    /// It ended with exit code 0.
    Success,
    /// It ended with another exit code.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// Its liveness probe failed.
    LiveProbe,
    /// Its startup probe failed.
    StartupProbe,
    /// Its process could not be made.
    StartFailed,
    /// Nobody saw how it ended.
    Unknown,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 8] = [
        Cause::Requested,
        Cause::Success,
        Cause::ExitCode,
        Cause::Signal,
        Cause::LiveProbe,
        Cause::StartupProbe,
        Cause::StartFailed,
        Cause::Unknown,
    ];

    /// Its word, as a label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Requested => "requested",
            Cause::Success => "success",
            Cause::ExitCode => "exit_code",
            Cause::Signal => "signal",
            Cause::LiveProbe => "live_probe",
            Cause::StartupProbe => "startup_probe",
            Cause::StartFailed => "start_failed",
            Cause::Unknown => "unknown",
        }
    }
}

/// What was counted of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Processes made.
    pub starts: u64,
    /// Processes that could not be made.
    pub start_failures: u64,
    /// Automatic starts after an end, by its cause.
    pub restarts: BTreeMap<Cause, u64>,
    /// Ends, by exit code or signal.
    pub exits: BTreeMap<String, u64>,
    /// Answers to its probes.
    pub probes: BTreeMap<ProbeKind, Answers>,
    /// What the next restart is for.
    cause: Option<Cause>,
}

/// Answers to one probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// Good ones.
    pub successes: u64,
    /// Bad ones, and those that did not come in time.
    pub failures: u64,
    /// How many took at most so long as [`BUCKETS`] says, each in its own class only.
    pub classes: [u64; BUCKETS.len()],
    /// How many were timed.
    pub timed: u64,
    /// How long these took together, in seconds.
    pub seconds: f64,
}

impl Counters {
    /// Something happened to the service.
    pub fn event(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Spawned { .. } => {
                self.starts += 1;
                self.cause = None;
            }
            EventKind::SpawnFailed { .. } => {
                self.start_failures += 1;
                self.cause = Some(Cause::StartFailed);
            }
            EventKind::Exited { exit, .. } => {
                self.exit(*exit);
                // What made Mainstay end it says more than how it ended.
                self.cause.get_or_insert(match exit {
                    Exit::Code(0) => Cause::Success,
                    Exit::Code(_) => Cause::ExitCode,
                    Exit::Signal(_) => Cause::Signal,
                    Exit::Unknown => Cause::Unknown,
                });
            }
            EventKind::Probe { probe: ProbeKind::Live, ok, .. } => {
                self.cause = (!ok).then_some(Cause::LiveProbe);
            }
            EventKind::Probe { probe: ProbeKind::Startup, ok, .. } => {
                self.cause = (!ok).then_some(Cause::StartupProbe);
            }
            EventKind::State { to: StateName::Starting, reason, .. } if reason.starts_with("restart") => {
                *self.restarts.entry(self.cause.take().unwrap_or(Cause::Unknown)).or_default() += 1;
            }
            EventKind::Requested { what, .. } if what == "restart" => {
                *self.restarts.entry(Cause::Requested).or_default() += 1;
                self.cause = None;
            }
            _ => {}
        }
    }

    fn exit(&mut self, exit: Exit) {
        let label = label(exit);
        let known = self.exits.contains_key(&label) || self.exits.len() < MAX_EXITS;
        *self.exits.entry(if known { label } else { "other".to_owned() }).or_default() += 1;
    }

    /// Adds answers of probes that were counted elsewhere.
    pub fn add_probes(&mut self, other: Counters) {
        for (probe, more) in other.probes {
            let answers = self.probes.entry(probe).or_default();
            answers.successes += more.successes;
            answers.failures += more.failures;
            answers.timed += more.timed;
            answers.seconds += more.seconds;
            for (class, more) in answers.classes.iter_mut().zip(more.classes) {
                *class += more;
            }
        }
    }

    /// A probe was answered.
    pub fn probed(&mut self, probe: ProbeKind, ok: bool, took: Option<Duration>) {
        let answers = self.probes.entry(probe).or_default();
        *(if ok { &mut answers.successes } else { &mut answers.failures }) += 1;
        if let Some(took) = took {
            let seconds = took.as_secs_f64();
            if let Some(class) = BUCKETS.iter().position(|most| seconds <= *most) {
                answers.classes[class] += 1;
            }
            answers.timed += 1;
            answers.seconds += seconds;
        }
    }
}

/// `0`, `137`, `0xC0000005`, `SIGKILL`.
fn label(exit: Exit) -> String {
    match exit {
        Exit::Code(code) if (0..=0xFFFF).contains(&code) => code.to_string(),
        Exit::Code(code) => format!("0x{:08X}", code & 0xFFFF_FFFF),
        Exit::Signal(number) => signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned),
        Exit::Unknown => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(to: StateName, reason: &str) -> EventKind {
        EventKind::State { from: StateName::Running, to, reason: reason.to_owned() }
    }

    fn exited(exit: Exit) -> EventKind {
        EventKind::Exited { exit, after: Duration::from_secs(1) }
    }

    #[test]
    fn a_restart_has_its_cause() {
        let mut counters = Counters::default();
        let restart = || state(StateName::Starting, "restart 2 in a row: exit code 3");
        let probe = |ok| EventKind::Probe { probe: ProbeKind::Live, ok, detail: String::new() };
        for event in [
            state(StateName::Starting, "asked by root"),
            EventKind::Spawned { pid: 1 },
            exited(Exit::Code(3)),
            state(StateName::Backoff, "exit code 3"),
            restart(),
            EventKind::SpawnFailed { error: String::new() },
            restart(),
            EventKind::Spawned { pid: 2 },
            probe(false),
            exited(Exit::Signal(15)),
            restart(),
            EventKind::Spawned { pid: 3 },
            // It recovered, and was killed by somebody later.
            probe(false),
            probe(true),
            exited(Exit::Signal(9)),
            restart(),
        ] {
            counters.event(&event);
        }
        let causes = [Cause::ExitCode, Cause::StartFailed, Cause::LiveProbe, Cause::Signal];
        assert_eq!(counters.restarts, causes.map(|cause| (cause, 1)).into());
        assert_eq!((counters.starts, counters.start_failures), (3, 1));
        let exits: Vec<&str> = counters.exits.keys().map(String::as_str).collect();
        assert_eq!(exits, ["3", "SIGKILL", "SIGTERM"]);
    }

    #[test]
    fn ends_are_bounded() {
        let mut counters = Counters::default();
        for code in 0..1000 {
            counters.event(&exited(Exit::Code(code)));
        }
        assert_eq!(counters.exits.len(), MAX_EXITS + 1);
        assert_eq!(counters.exits.values().sum::<u64>(), 1000);
        counters.event(&exited(Exit::Code(5)));
        assert_eq!(counters.exits["5"], 2, "one that was there before is still told apart");
        assert_eq!(label(Exit::Code(0xC000_0005)), "0xC0000005");
    }

    #[test]
    fn answers_are_in_classes() {
        let mut counters = Counters::default();
        counters.probed(ProbeKind::Ready, true, Some(Duration::from_millis(5)));
        counters.probed(ProbeKind::Ready, false, Some(Duration::from_secs(11)));
        counters.probed(ProbeKind::Ready, true, None);
        let answers = &counters.probes[&ProbeKind::Ready];
        assert_eq!((answers.successes, answers.failures, answers.timed), (2, 1, 2));
        assert_eq!(answers.classes, [1, 0, 0, 0, 0, 0]);
    }
}
