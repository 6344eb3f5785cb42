//! Probes, with Kubernetes' semantics: thresholds in a row, one question at a time, a verdict that lasts until the
//! opposite threshold is reached.
//!
//! A [`Check::Notify`] is never asked; the service says the answer itself. Where silence means something is wrong
//! (startup, live), each interval without a word counts as a failure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use super::phase::{On, Phase};
use crate::words::{clip, span};
use crate::{
    Check, Effect, EventKind, ProbeKind, ProbeOutcome, ProbePlan, ProbeStatus, ServicePlan, StateName, Time,
};

/// How much longer than its timeout an answer may take before it counts as lost.
const GRACE: Duration = Duration::from_secs(2);

/// The shortest interval, whatever the plan says, so that a probe of interval 0 does not ask without a pause.
const SHORTEST: Duration = Duration::from_millis(10);

/// The most lines of one notification that are read.
const NOTIFY_LINES: usize = 64;

/// The longest time that a service can ask for with `EXTEND_TIMEOUT_USEC`.
const LONGEST_EXTENSION: Duration = Duration::from_secs(24 * 3600);

/// What a run's probes saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probes {
    /// The number of the last question.
    seq: u64,
    /// Those that the plan has.
    list: Vec<Probe>,
    /// What the service says it is doing (`STATUS=`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    says: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Probe {
    kind: ProbeKind,
    /// When the next question is due, or when silence counts as a failure; none if it is not its turn.
    next: Option<Time>,
    /// Nothing is asked before, also after a pause: the end of the initial delay of its turn, or when the answer to
    /// a question from before the pause counts as lost, so that no two are open at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Time>,
    /// The question in flight: its number, and when its answer counts as lost.
    asked: Option<(u64, Time)>,
    /// When the question in flight was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_at: Option<Time>,
    verdict: Option<bool>,
    /// Successes in a row.
    successes: u32,
    /// Failures in a row.
    failures: u32,
    detail: String,
    at: Option<Time>,
    /// What the last answer was, whatever the thresholds made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<bool>,
    /// The number of the question that it was the answer to.
    #[serde(default, skip_serializing_if = "is_zero")]
    answered: u64,
    /// How long that answer took; none for what the service said itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took: Option<Duration>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A probe whose verdict changed.
struct Change {
    kind: ProbeKind,
    ok: bool,
    detail: String,
}

/// Something to do at a probe's deadline.
enum Due {
    Ask(ProbeKind, u64),
    Changed(Change),
}

impl Probe {
    fn new(kind: ProbeKind) -> Self {
        let detail = String::new();
        let (next, first, asked) = (None, None, None);
        let (asked_at, verdict, at, last, took) = (None, None, None, None, None);
        let (successes, failures) = (0, 0);
        let answered = 0;
        Probe {
            kind,
            next,
            first,
            asked,
            asked_at,
            verdict,
            successes,
            failures,
            detail,
            at,
            last,
            answered,
            took,
        }
    }

    /// Takes in one answer. The change, if it makes one.
    fn answer(&mut self, plan: &ProbePlan, outcome: ProbeOutcome, now: Time) -> Option<Change> {
        let (run, threshold) = if outcome.ok {
            self.failures = 0;
            (&mut self.successes, plan.successes)
        } else {
            self.successes = 0;
            (&mut self.failures, plan.failures)
        };
        *run = run.saturating_add(1);
        let reached = *run >= threshold.max(1);
        self.detail = clip(outcome.detail);
        self.seen(outcome.ok, now);
        if reached { self.decide(outcome.ok) } else { None }
    }

    /// Takes in a word that decides at once, whatever the thresholds say.
    fn word(&mut self, ok: bool, detail: &str, now: Time) -> Option<Change> {
        (self.successes, self.failures) = (u32::from(ok), u32::from(!ok));
        self.detail = detail.to_owned();
        self.seen(ok, now);
        self.decide(ok)
    }

    fn seen(&mut self, ok: bool, now: Time) {
        (self.at, self.last) = (Some(now), Some(ok));
        self.took = self.asked_at.take().map(|asked| now.since(asked));
    }

    fn decide(&mut self, ok: bool) -> Option<Change> {
        let changed = self.verdict != Some(ok);
        self.verdict = Some(ok);
        changed.then(|| Change { kind: self.kind, ok, detail: self.detail.clone() })
    }

    /// What is to be done by now.
    fn due(&mut self, plan: &ProbePlan, seq: &mut u64, now: Time) -> Option<Due> {
        if self.asked.is_some_and(|(_, lost)| lost <= now) {
            self.asked = None;
            let detail = format!("no answer in {}", span(plan.timeout));
            return self.answer(plan, ProbeOutcome { ok: false, detail }, now).map(Due::Changed);
        }
        if self.asked.is_some() || self.next.is_none_or(|next| next > now) {
            return None;
        }
        self.next = Some(now.after(plan.interval.max(SHORTEST)));
        if plan.check == Check::Notify {
            let detail = format!("it said nothing for {}", span(plan.interval));
            return self.answer(plan, ProbeOutcome { ok: false, detail }, now).map(Due::Changed);
        }
        *seq += 1;
        self.asked = Some((*seq, now.after(plan.timeout).after(GRACE)));
        self.asked_at = Some(now);
        Some(Due::Ask(self.kind, *seq))
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        match self.asked {
            Some((_, lost)) => Some((lost, "a probe is not answered")),
            None => self.next.map(|next| (next, "a probe")),
        }
    }
}

impl Probes {
    pub(super) fn of(plan: &ServicePlan) -> Self {
        let planned = |kind: &ProbeKind| plan.probe(*kind).is_some();
        let kinds = [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live];
        let list = kinds.into_iter().filter(planned).map(Probe::new).collect();
        Probes { seq: 0, list, says: None }
    }

    fn get(&mut self, kind: ProbeKind) -> Option<&mut Probe> {
        self.list.iter_mut().find(|probe| probe.kind == kind)
    }

    /// A probe's verdict, if it has one.
    pub(crate) fn verdict(&self, kind: ProbeKind) -> Option<bool> {
        self.list.iter().find(|probe| probe.kind == kind).and_then(|probe| probe.verdict)
    }

    /// A probe's turn comes.
    pub(super) fn begin(&mut self, kind: ProbeKind, now: Time, plan: &ServicePlan) {
        if let Some(plan) = plan.probe(kind)
            && let Some(probe) = self.get(kind)
        {
            let first = now.after(plan.initial_delay);
            // Without a delay there is nothing to remember.
            probe.first = Some(first).filter(|first| *first > now);
            probe.next = match (&plan.check, kind) {
                (Check::Notify, ProbeKind::Ready) => None,
                (Check::Notify, _) => Some(first.after(plan.interval.max(SHORTEST))),
                _ => Some(first),
            };
        }
    }

    /// Nothing is asked any more, and an answer on its way counts as late.
    pub(super) fn rest(&mut self) {
        for probe in &mut self.list {
            let lost = probe.asked.take().map(|(_, lost)| lost);
            probe.asked_at = None;
            (probe.next, probe.first) = (None, probe.first.max(lost));
        }
    }

    /// Goes on after a rest, with its counts from zero: what was before the rest says nothing of now. What is left
    /// of the initial delay still holds, and a question from before has its time.
    pub(super) fn resume(&mut self, now: Time, plan: &ServicePlan) {
        for kind in [ProbeKind::Ready, ProbeKind::Live] {
            // The plan may be another one than that which the run was made by.
            if plan.probe(kind).is_some() && self.get(kind).is_none() {
                self.list.push(Probe::new(kind));
            }
            if let (Some(plan), Some(probe)) = (plan.probe(kind), self.get(kind)) {
                (probe.successes, probe.failures) = (0, 0);
                let (first, interval) = (probe.first.unwrap_or(now), plan.interval.max(SHORTEST));
                probe.next = match (&plan.check, kind) {
                    (Check::Notify, ProbeKind::Ready) => None,
                    (Check::Notify, _) => Some(now.max(first).after(interval)),
                    _ => Some(now.after(interval).max(first)),
                };
            }
        }
    }

    /// Takes in what it says it is doing, if this line says that.
    fn take_status(&mut self, line: &str) -> bool {
        let Some(says) = line.trim().strip_prefix("STATUS=") else { return false };
        self.says = Some(clip(says.to_owned())).filter(|says| !says.is_empty());
        true
    }

    /// Makes it fit a changed plan. A probe that asks something else begins anew if it is its turn; one that only
    /// asks in another rhythm keeps what it knows.
    fn refit(&mut self, now: Time, old: &ServicePlan, plan: &ServicePlan, turn: &[ProbeKind]) {
        for kind in [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live] {
            let (before, after) = (old.probe(kind), plan.probe(kind));
            if before == after {
                continue;
            }
            let Some(after) = after else {
                self.list.retain(|probe| probe.kind != kind);
                continue;
            };
            let same = before.is_some_and(|before| before.check == after.check);
            if let Some(probe) = self.get(kind).filter(|_| same) {
                probe.next = probe.next.map(|next| next.min(now.after(after.interval.max(SHORTEST))));
                continue;
            }
            // The answer to the old question may still come: no two are open at a time.
            let lost = self.get(kind).and_then(|probe| Some(probe.asked?.1));
            self.list.retain(|probe| probe.kind != kind);
            self.list.push(Probe::new(kind));
            self.list.sort_by_key(|probe| probe.kind);
            if turn.contains(&kind) {
                self.begin(kind, now, plan);
            }
            if let (Some(lost), Some(probe)) = (lost, self.get(kind)) {
                probe.first = probe.first.max(Some(lost));
                probe.next = probe.next.map(|next| next.max(lost));
            }
        }
    }

    /// Silence does not count before this time.
    fn extend(&mut self, until: Time, plan: &ServicePlan) {
        for probe in &mut self.list {
            if plan.probe(probe.kind).is_some_and(|plan| plan.check == Check::Notify) {
                probe.next = probe.next.map(|next| next.max(until));
            }
        }
    }

    /// When something is to be done next, and what.
    pub(super) fn deadline(&self) -> Option<(Time, &'static str)> {
        self.list.iter().filter_map(Probe::deadline).min()
    }

    /// Makes it fit a plan that may not be the one it was written under, and gives the questions in flight that
    /// have to be asked again. Their time starts anew.
    pub(crate) fn ask_again(&mut self, now: Time, plan: &ServicePlan) -> Vec<(ProbeKind, u64)> {
        self.list.retain(|probe| plan.probe(probe.kind).is_some());
        let mut again = Vec::new();
        for probe in &mut self.list {
            if let (Some((seq, lost)), Some(plan)) = (probe.asked, plan.probe(probe.kind)) {
                probe.asked = Some((seq, lost.max(now.after(plan.timeout).after(GRACE))));
                again.push((probe.kind, seq));
            }
        }
        again
    }

    /// Whether a probe succeeds, by its last answer too, to a later question than this one.
    pub(crate) fn succeeds_after(&self, kind: ProbeKind, seq: u64) -> bool {
        let last = |probe: &Probe| probe.last == Some(true) && probe.answered > seq;
        self.list.iter().any(|probe| probe.kind == kind && probe.verdict == Some(true) && last(probe))
    }

    /// What the service says it is doing.
    pub(crate) fn says(&self) -> Option<&str> {
        self.says.as_deref()
    }

    /// As people see it.
    pub(crate) fn status(&self, plan: Option<&ServicePlan>) -> Vec<ProbeStatus> {
        let check = |kind| plan.and_then(|plan| plan.probe(kind)).map(|probe| clip(probe.check.to_string()));
        let status = |probe: &Probe| ProbeStatus {
            probe: probe.kind,
            check: check(probe.kind).unwrap_or_default(),
            ok: probe.verdict,
            last: probe.last,
            took: probe.took,
            successes: probe.successes,
            detail: probe.detail.clone(),
            at: probe.at,
            failures: probe.failures,
        };
        self.list.iter().map(status).collect()
    }
}

/// The time that a line asks for.
fn extension(line: &str) -> Option<Duration> {
    let micros = line.trim().strip_prefix("EXTEND_TIMEOUT_USEC=")?;
    Some(micros.parse().map_or(Duration::ZERO, Duration::from_micros).min(LONGEST_EXTENSION))
}

/// On its way down it has nothing to say of its health, but of what it does, and how long that takes.
fn said_while_it_stops(probes: &mut Probes, text: &str) -> Option<Duration> {
    let lines = text.lines().take(NOTIFY_LINES);
    lines.filter(|line| !probes.take_status(line)).filter_map(extension).max().filter(|time| !time.is_zero())
}

impl Machine<'_> {
    /// Asks the questions that are due and counts the answers that are lost. What follows is to be stepped through.
    pub(crate) fn probes_due(&mut self) -> Vec<On> {
        let (Phase::Startup(run) | Phase::Running(run) | Phase::Ready(run)) = &mut self.service.phase else {
            return Vec::new();
        };
        let Probes { seq, list, .. } = &mut run.probes;
        let id = run.id;
        let due: Vec<Due> = list
            .iter_mut()
            .filter_map(|probe| probe.due(self.plan.probe(probe.kind)?, seq, self.now))
            .collect();
        let mut follows = Vec::new();
        for due in due {
            match due {
                Due::Ask(probe, seq) => {
                    self.wants(Effect::Probe { service: self.name.clone(), run: id, probe, seq });
                }
                Due::Changed(change) => follows.extend(self.changed(change)),
            }
        }
        follows
    }

    /// Takes in the answer to a question. An answer to any other than the one in flight is late.
    pub(crate) fn answered(&mut self, kind: ProbeKind, seq: u64, outcome: ProbeOutcome) -> Option<On> {
        let plan = self.plan.probe(kind)?;
        let probe = self.service.phase.run_up_mut()?.probes.get(kind)?;
        probe.asked.take_if(|(asked, _)| *asked == seq)?;
        probe.answered = seq;
        let change = probe.answer(plan, outcome, self.now)?;
        self.changed(change)
    }

    /// The plan was changed; `old` is the one before. What follows.
    pub(crate) fn replan(&mut self, old: &ServicePlan) -> Option<On> {
        let probes = |plan: &ServicePlan| (plan.startup.clone(), plan.ready.clone(), plan.live.clone());
        if probes(old) == probes(self.plan) {
            return None;
        }
        let turn: &[ProbeKind] = match self.service.phase {
            Phase::Startup(_) => &[ProbeKind::Startup],
            Phase::Running(_) | Phase::Ready(_) => &[ProbeKind::Ready, ProbeKind::Live],
            _ => &[],
        };
        let (now, plan) = (self.now, self.plan);
        self.service.phase.run_up_mut()?.probes.refit(now, old, plan, turn);
        match std::mem::take(&mut self.service.phase) {
            Phase::Startup(run) => {
                self.service.phase = Phase::Startup(run);
                plan.startup.is_none().then(|| On::StartupOk("it has no startup probe any more".into()))
            }
            Phase::Running(run) | Phase::Ready(run) if old.ready != plan.ready => {
                self.settle_health(&run);
                let reason = match self.shown {
                    StateName::Running if plan.ready.is_some() => self.service.reason.clone(),
                    _ => "its readiness probe was changed".to_owned(),
                };
                self.service.phase = self.running_or_ready(run, reason);
                None
            }
            phase => {
                self.service.phase = phase;
                None
            }
        }
    }

    /// Its program was told something: what is asked of it is asked now. The number of the last question before that.
    pub(crate) fn look_again(&mut self) -> u64 {
        let (now, plan) = (self.now, self.plan);
        let Some(run) = self.service.phase.run_up_mut() else { return 0 };
        for probe in run.probes.list.iter_mut().filter(|probe| probe.kind != ProbeKind::Startup) {
            if plan.probe(probe.kind).is_some_and(|plan| plan.check != Check::Notify) {
                probe.next = probe.next.map(|_| probe.first.map_or(now, |first| first.max(now)));
            }
        }
        run.probes.seq
    }

    /// Takes in what the service says about itself.
    pub(crate) fn notified(&mut self, text: &str) -> Vec<On> {
        let now = self.now;
        if let Phase::Stopping(stopping) = &mut self.service.phase {
            let extension = said_while_it_stops(&mut stopping.run.probes, text);
            if let Some(time) = extension {
                self.extend_stop(time);
            }
            return Vec::new();
        }
        let Some(run) = self.service.phase.run_up_mut() else { return Vec::new() };
        let (mut changes, mut stopping) = (Vec::new(), false);
        for line in text.lines().take(NOTIFY_LINES) {
            if run.probes.take_status(line) {
                continue;
            }
            if let Some(time) = extension(line) {
                run.probes.extend(now.after(time), self.plan);
                continue;
            }
            let (ok, kinds): (bool, &[ProbeKind]) = match line.trim() {
                "READY=1" => (true, &[ProbeKind::Ready, ProbeKind::Startup]),
                "READY=0" => (false, &[ProbeKind::Ready]),
                "WATCHDOG=1" => (true, &[ProbeKind::Live]),
                "WATCHDOG=trigger" => (false, &[ProbeKind::Live]),
                "STOPPING=1" => {
                    stopping = true;
                    (false, &[ProbeKind::Ready])
                }
                _ => continue,
            };
            for kind in kinds {
                // What is left alone is not ended, whatever it says.
                let heard = !(self.service.left && *kind == ProbeKind::Live);
                if let Some(plan) = self.plan.probe(*kind).filter(|plan| heard && plan.check == Check::Notify)
                    && let Some(probe) = run.probes.get(*kind)
                {
                    // The next silence is counted from here.
                    probe.next = probe.next.map(|_| now.after(plan.interval.max(SHORTEST)));
                    changes.extend(probe.word(ok, line.trim(), now));
                }
            }
        }
        let mut follows: Vec<On> = changes.into_iter().filter_map(|change| self.changed(change)).collect();
        follows.extend(stopping.then_some(On::SaysStopping));
        follows
    }

    /// Tells a new verdict. What follows from it.
    fn changed(&mut self, change: Change) -> Option<On> {
        let Change { kind, ok, detail } = change;
        let run = self.service.phase.run_id();
        self.tell(run, EventKind::Probe { probe: kind, ok, detail: detail.clone() });
        let says = |verb: &str| format!("{kind} probe {verb}: {detail}");
        match (kind, ok) {
            (ProbeKind::Startup, true) => Some(On::StartupOk(says("succeeded"))),
            (ProbeKind::Startup, false) => Some(On::StartupFailed(says("failed"))),
            (ProbeKind::Ready, true) => Some(On::ReadyOk(says("succeeds"))),
            (ProbeKind::Ready, false) => Some(On::ReadyLost(says("fails"))),
            (ProbeKind::Live, true) => None,
            (ProbeKind::Live, false) => Some(On::LiveFailed(says("failed"))),
        }
    }
}
