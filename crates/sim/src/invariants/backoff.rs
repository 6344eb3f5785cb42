//! Back-off: the first restart in a row at once, later ones after a wait that doubles, within its bounds; counted
//! without those by hand; the crash loop told; the limit of starts kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_core::{
    Effect, EventKind, Exit, ExitAction, Input, Request, ServiceName, ServicePlan, ServiceStatus, StateName,
    Time,
};

use super::{Facts, Rule, Verdict};
use crate::trace::{Cause, Step};

/// From this many restarts in a row on a service is crash-looping.
const CRASH_LOOP: u32 = 3;

/// So many restarts in a row may be made at once for an exit code of which the plan says so.
const AT_ONCE: u32 = 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    services: BTreeMap<ServiceName, Count>,
}

/// What is known of a service's restarts in a row.
#[derive(Debug)]
struct Count {
    /// How many there may have been. More than one number where the documentation leaves a choice.
    in_a_row: BTreeSet<u32>,
    /// Whether the next start may be one by hand.
    by_hand: bool,
    /// Whether the next start can be nothing else.
    surely_by_hand: bool,
    /// When the next start comes, as told.
    due: Option<Time>,
    /// Whether the restart that is to come was counted when its back-off was told.
    counted: bool,
    /// Whether its start is under way and was counted: its hooks come first, or it waits for others again.
    starting: bool,
    /// When what comes before its start failed last, without a start since.
    unprepared: Option<Time>,
    /// When automatic restarts were decided.
    decided: Vec<Time>,
    /// When the service was last seen well, without a break since.
    well_since: Option<Time>,
    /// When the present run was first up.
    up_since: Option<Time>,
}

impl Default for Count {
    fn default() -> Self {
        Count {
            in_a_row: BTreeSet::from([0]),
            by_hand: false,
            surely_by_hand: true,
            due: None,
            counted: false,
            starting: false,
            unprepared: None,
            decided: Vec::new(),
            well_since: None,
            up_since: None,
        }
    }
}

impl Rule for BackOff {
    fn name(&self) -> &'static str {
        "back-off within its bounds"
    }

    fn input(&mut self, facts: &Facts, step: &Step) -> Verdict {
        match &step.cause {
            Cause::Input(Input::Request { request, .. }) if !step.is_refusal() => {
                self.request(facts, request)
            }
            Cause::Input(Input::Exited { run, .. }) if !facts.idle_input => {
                if let Some(run) = facts.runs.get(run)
                    && let Some(plan) = facts.service(&run.service)
                {
                    self.services.entry(run.service.clone()).or_default().ended(plan, step.at);
                }
            }
            // Another session means another start, which is nobody's failure.
            Cause::Input(Input::Session { .. }) if facts.session_change.is_some() => {
                let concerned = facts.plan.services.iter().filter(|(_, plan)| !plan.session.is_services());
                concerned
                    .for_each(|(name, _)| self.services.entry(name.clone()).or_default().may_be_by_hand());
            }
            Cause::Input(Input::Prepared { .. }) => {
                if let Some(name) = &facts.not_prepared {
                    let count = self.services.entry(name.clone()).or_default();
                    count.not_prepared(step.at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn effect(&mut self, facts: &Facts, at: Time, effect: &Effect) -> Verdict {
        match effect {
            Effect::Prepare { service, .. } | Effect::Spawn { service, .. } => {
                let Some(plan) = facts.service(service) else { return Ok(()) };
                let count = self.services.entry(service.clone()).or_default();
                let made = matches!(effect, Effect::Spawn { .. });
                count.starts(facts, service, plan, at, made)
            }
            Effect::Tell(event) => {
                let Some(name) = &event.service else { return Ok(()) };
                let Some(plan) = facts.service(name) else { return Ok(()) };
                let count = self.services.entry(name.clone()).or_default();
                match &event.kind {
                    EventKind::BackOff { delay, attempt } => {
                        let at_once = *attempt <= AT_ONCE
                            && count.unprepared.is_none()
                            && ended_by_itself(facts, name)
                            && facts.last_exit(name).is_some_and(|exit| restarts_now(plan, exit));
                        count
                            .told(plan, at, *delay, *attempt, at_once)
                            .map_err(|what| format!("{name}: {what}"))
                    }
                    EventKind::CrashLoop { attempt } if *attempt < CRASH_LOOP => {
                        Err(format!("{name} is said to loop after {attempt} restarts in a row"))
                    }
                    EventKind::State { to, .. } => {
                        count.goes(plan, *to, at);
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn after(&mut self, facts: &Facts, step: &Step) -> Verdict {
        self.services.retain(|name, _| facts.plan.services.contains_key(name));
        for (name, count) in &self.services {
            if facts.state(name) != StateName::Backoff {
                continue;
            }
            let Some(due) = count.due else {
                return Err(format!("{name} is in back-off, and nobody said for how long"));
            };
            let Some((deadline, _)) = step.deadline else {
                return Err(format!("{name} is in back-off for ever"));
            };
            if deadline > due {
                return Err(format!("{name} is to start at {due}, but nobody looks before {deadline}"));
            }
            if step.is_tick() && step.at >= due {
                return Err(format!("{name} was to start at {due} and is in back-off still"));
            }
        }
        for status in &step.status {
            self.shows(facts, status, step.at)?;
        }
        Ok(())
    }
}

impl BackOff {
    fn request(&mut self, facts: &Facts, request: &Request) {
        let wanted: BTreeSet<ServiceName> = match request {
            Request::Start(name) | Request::Restart(name) | Request::Add(name, _) => {
                facts.with_dependencies([name])
            }
            Request::Up => facts.plan.services.keys().cloned().collect(),
            _ => return,
        };
        for name in &wanted {
            self.services.entry(name.clone()).or_default().may_be_by_hand();
        }
        // There is no doubt about the one that was named, unless it was up already.
        let (Request::Start(name) | Request::Restart(name)) = request else { return };
        let waits = matches!(facts.state(name), StateName::Backoff | StateName::Starting)
            && facts.run_of(name).is_none();
        if waits || matches!(request, Request::Restart(_)) {
            self.services.entry(name.clone()).or_default().is_by_hand();
        }
    }

    fn shows(&self, facts: &Facts, status: &ServiceStatus, at: Time) -> Verdict {
        let Some(count) = self.services.get(&status.name) else { return Ok(()) };
        // A restart without a back-off is counted here when it comes, by the supervisor when it is decided on.
        let most = count.in_a_row.last().copied().unwrap_or(0) + u32::from(!count.counted);
        if status.crash_loop && status.state == StateName::Stopped {
            return Err(format!("{} is stopped and shown as looping", status.name));
        }
        // What is down for good may go on showing what it was.
        if status.crash_loop && most < CRASH_LOOP && !status.state.is_down() {
            return Err(format!("{} is shown as looping after {most} restarts in a row", status.name));
        }
        // A loop is told of once the third restart has come; that one may be waiting still.
        let least = count.in_a_row.first().copied().unwrap_or(0);
        let enough = facts.service(&status.name).map_or(Duration::MAX, |plan| plan.restart.reset_after);
        let healed = count.up_since.is_some_and(|since| at.since(since) >= enough);
        if !status.crash_loop && least > CRASH_LOOP && !healed && !status.state.is_down() {
            return Err(format!("{} is not shown as looping after {least} restarts in a row", status.name));
        }
        if status.state == StateName::Backoff && status.next_start != count.due {
            return Err(format!(
                "{} shows {:?}, not {:?}, as its start",
                status.name, status.next_start, count.due
            ));
        }
        Ok(())
    }
}

impl Count {
    /// The next start may be one by hand.
    fn may_be_by_hand(&mut self) {
        self.by_hand = true;
        self.in_a_row.insert(0);
    }

    /// The next start can only be one by hand.
    fn is_by_hand(&mut self) {
        self.surely_by_hand = true;
        self.by_hand = true;
        self.in_a_row = BTreeSet::from([0]);
        self.due = None;
        self.counted = false;
        self.decided.clear();
    }

    fn goes(&mut self, plan: &ServicePlan, to: StateName, at: Time) {
        let well = to == StateName::Ready || (to == StateName::Running && plan.ready.is_none());
        if !well {
            self.well_since = None;
        } else if self.well_since.is_none() {
            self.well_since = Some(at);
        }
        if to.is_down() {
            self.starting = false;
            self.is_by_hand();
        }
        if to.is_started() {
            self.up_since.get_or_insert(at);
        }
    }

    /// The main process ended: was it well for long enough to be forgiven?
    fn ended(&mut self, plan: &ServicePlan, at: Time) {
        let enough = plan.restart.reset_after;
        let up = self.up_since.take().map(|since| at.since(since));
        let well = self.well_since.take().map(|since| at.since(since));
        if well.is_some_and(|well| well > enough) && plan.live.is_none() {
            self.in_a_row = BTreeSet::from([0]);
        } else if up.is_some_and(|up| up >= enough) {
            self.in_a_row.insert(0);
        }
    }

    /// What comes before its start failed: the start was one, all the same.
    fn not_prepared(&mut self, at: Time) {
        self.unprepared = Some(at);
        self.starting = false;
        if std::mem::take(&mut self.surely_by_hand) {
            self.in_a_row = BTreeSet::from([0]);
        }
        if std::mem::take(&mut self.by_hand) {
            self.in_a_row.insert(0);
            self.decided.clear();
        }
    }

    fn count_one(&mut self, plan: &ServicePlan, at: Time) -> Verdict {
        self.in_a_row = self.in_a_row.iter().map(|n| n + 1).collect();
        if self.by_hand {
            self.in_a_row.insert(0);
            self.decided.clear();
            return Ok(());
        }
        self.decided.push(at);
        if let Some(limit) = &plan.restart.limit {
            self.decided.retain(|earlier| at.since(*earlier) < limit.window);
            let many = self.decided.len();
            if many > usize::try_from(limit.starts).unwrap_or(usize::MAX) {
                return Err(format!("{many} restarts in {:?}, more than {}", limit.window, limit.starts));
            }
        }
        Ok(())
    }

    /// A back-off is told.
    fn told(
        &mut self,
        plan: &ServicePlan,
        at: Time,
        delay: Duration,
        attempt: u32,
        at_once: bool,
    ) -> Verdict {
        self.count_one(plan, at)?;
        self.counted = true;
        if !self.in_a_row.contains(&attempt) {
            return Err(format!("restart {attempt} in a row is told, but it is {:?}", self.in_a_row));
        }
        self.in_a_row = BTreeSet::from([attempt]);
        let (low, high) = if at_once { (Duration::ZERO, Duration::ZERO) } else { bounds(plan, attempt) };
        if delay < low || delay > high {
            return Err(format!("restart {attempt} in a row waits {delay:?}, not {low:?} to {high:?}"));
        }
        self.due = Some(at.after(delay));
        Ok(())
    }

    /// It starts: with what comes before, or with its process.
    fn starts(
        &mut self,
        facts: &Facts,
        name: &ServiceName,
        plan: &ServicePlan,
        at: Time,
        made: bool,
    ) -> Verdict {
        let under_way = std::mem::replace(&mut self.starting, !made);
        if let Some(due) = self.due
            && at < due
            && !self.by_hand
        {
            return Err(format!("{name} starts at {at}, before the end of its back-off at {due}"));
        }
        if self.surely_by_hand {
            self.in_a_row = BTreeSet::from([0]);
        } else if !self.counted && !under_way {
            // It counts from when it was decided on, though it may have waited for others since.
            let before = facts.newest.get(name).and_then(|run| facts.runs.get(run));
            let gone = before.and_then(|run| run.gone);
            let decided = self.unprepared.or(gone).unwrap_or(at);
            self.count_one(plan, decided).map_err(|what| format!("{name}: {what}"))?;
            let few = self.in_a_row.first().is_some_and(|least| *least <= AT_ONCE);
            let now = few
                && self.unprepared.is_none()
                && facts.last_exit(name).is_some_and(|exit| restarts_now(plan, exit));
            let first = self.in_a_row.first().is_some_and(|least| *least <= 1);
            if !now && !first && !self.by_hand {
                return Err(format!("{name} starts again without a back-off ({:?} in a row)", self.in_a_row));
            }
        }
        if self.by_hand {
            self.in_a_row.insert(0);
            self.decided.clear();
        }
        self.due = None;
        self.unprepared = None;
        self.counted = false;
        self.by_hand = false;
        self.surely_by_hand = false;
        self.up_since = None;
        self.well_since = None;
        Ok(())
    }
}

/// Whether nobody had asked the newest run of a service to end when its main process did: the exit code of one
/// that a probe has given up is nobody's wish.
fn ended_by_itself(facts: &Facts, name: &ServiceName) -> bool {
    let run = facts.newest.get(name).and_then(|run| facts.runs.get(run));
    run.is_some_and(|run| match (run.first_asked_to_end(), run.ended) {
        (Some(asked), Some((ended, _))) => ended <= asked,
        _ => true,
    })
}

/// Whether the plan says that a service that ended so starts again without a back-off.
fn restarts_now(plan: &ServicePlan, exit: Exit) -> bool {
    matches!(exit, Exit::Code(code) if plan.restart.on_exit.get(&code) == Some(&ExitAction::RestartNow))
}

/// The shortest and the longest wait before this restart in a row.
fn bounds(plan: &ServicePlan, attempt: u32) -> (Duration, Duration) {
    let restart = &plan.restart;
    let Some(doublings) = attempt.checked_sub(2) else { return (Duration::ZERO, Duration::ZERO) };
    let doubled = 1_u32.checked_shl(doublings).and_then(|factor| restart.delay.checked_mul(factor));
    let wait = doubled.unwrap_or(restart.max_delay).min(restart.max_delay);
    (wait.mul_f64(0.9), wait.mul_f64(1.1).min(restart.max_delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let plan = ServicePlan::default();
        let millis = |attempt| {
            let (low, high) = bounds(&plan, attempt);
            (low.as_millis(), high.as_millis())
        };
        assert_eq!(millis(1), (0, 0));
        assert_eq!(millis(2), (450, 550));
        assert_eq!(millis(3), (900, 1_100));
        assert_eq!(millis(9), (54_000, 60_000));
        assert_eq!(millis(90), (54_000, 60_000));
    }
}
