//! Waiting for what was asked for: when it has come about, and when it won't.

use std::time::Duration;

use mainstay_api::types::Service;
use mainstay_core::explain::{short, troubled_probe};
use mainstay_core::{ProbeKind, StateName};

/// What is hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It runs, and is ready if it can tell; or it has run to its end with success.
    Up,
    /// The same, in a later run than this one.
    UpAgain {
        /// The run that was there before.
        after: Option<u64>,
    },
    /// It is down.
    Down,
    /// It is frozen.
    Paused,
    /// It goes on after being frozen.
    Continued,
    /// It is not in the stack any more.
    Gone,
    /// Its process runs, and is past its startup probe.
    Running,
    /// Its readiness probe succeeds; or, without one, like [`Goal::Running`].
    Ready,
    /// It runs, and no probe of it fails.
    Healthy,
    /// It ran to its end, with success.
    Completed,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There.
    Reached,
    /// On its way; what holds it up, in words.
    Waiting(String),
    /// It won't come about by itself; why, in words.
    Missed(String),
}

/// Where `service` stands on its way to `goal`. `service` is none if the stack does not know it.
pub fn judge(goal: Goal, service: Option<&Service>) -> Verdict {
    let Some(service) = service else {
        return match goal {
            Goal::Gone | Goal::Down => Verdict::Reached,
            _ => Verdict::Missed("it was taken out of the stack".to_owned()),
        };
    };
    match goal {
        Goal::Up => up(service),
        Goal::UpAgain { after } => match service.state {
            // The old run is still there, or just gone.
            StateName::Stopping => Verdict::Waiting(clause(service)),
            _ if after.is_some() && service.run == after => Verdict::Waiting(clause(service)),
            _ => up(service),
        },
        Goal::Down => match service.state {
            state if state.is_down() => Verdict::Reached,
            _ => Verdict::Waiting(clause(service)),
        },
        Goal::Gone => Verdict::Waiting(clause(service)),
        Goal::Running if service.state.is_started() => Verdict::Reached,
        Goal::Ready if service.state == StateName::Ready => Verdict::Reached,
        Goal::Ready if service.state == StateName::Running && !has_ready_probe(service) => Verdict::Reached,
        Goal::Healthy if is_healthy(service) => Verdict::Reached,
        Goal::Completed if service.state == StateName::Completed => Verdict::Reached,
        Goal::Running | Goal::Ready | Goal::Healthy | Goal::Completed => match service.state {
            state if state.is_down() => Verdict::Missed(clause(service)),
            _ => Verdict::Waiting(clause(service)),
        },
        Goal::Paused => match service.state {
            StateName::Paused => Verdict::Reached,
            StateName::Pausing => Verdict::Waiting(clause(service)),
            _ => Verdict::Missed(clause(service)),
        },
        Goal::Continued => match service.state {
            StateName::Paused | StateName::Continuing => Verdict::Waiting(clause(service)),
            state if state.is_started() => Verdict::Reached,
            _ => Verdict::Missed(clause(service)),
        },
    }
}

fn up(service: &Service) -> Verdict {
    match service.state {
        StateName::Ready | StateName::Completed => Verdict::Reached,
        StateName::Running if !has_ready_probe(service) => Verdict::Reached,
        StateName::Failed | StateName::Stopped => Verdict::Missed(clause(service)),
        StateName::Stopping => Verdict::Waiting(clause(service)),
        _ if service.crash_loop => Verdict::Missed(format!("it keeps ending: {}", why(service))),
        StateName::Paused => Verdict::Missed("it is paused; `mainstay continue` lets it go on".to_owned()),
        _ => Verdict::Waiting(clause(service)),
    }
}

fn is_healthy(service: &Service) -> bool {
    let up = match service.state {
        StateName::Ready => true,
        StateName::Running => !has_ready_probe(service),
        _ => false,
    };
    up && !is_troubled(service)
}

fn has_ready_probe(service: &Service) -> bool {
    service.probes.iter().any(|probe| probe.probe == ProbeKind::Ready)
}

/// The state and why, as a short clause: `backoff: exit code 1; next start in 2s`.
pub fn clause(service: &Service) -> String {
    match why(service) {
        why if why.is_empty() => service.state.to_string(),
        why => format!("{}: {why}", service.state),
    }
}

/// Why a service is in the state it is in, as far as a person would ask.
pub fn why(service: &Service) -> String {
    short(&crate::explain::of_service(service))
}

/// Whether a probe stands between the service and being well.
pub fn is_troubled(service: &Service) -> bool {
    troubled_probe(&crate::explain::of_service(service)).is_some()
}

/// The longest time that stopping all of `plan` can take: the longest chain of dependents, each with its hook and its
/// stop's deadline, and a margin for the killing at the end.
pub fn longest_stop<'a>(
    plan: &'a mainstay_core::Plan,
    services: impl IntoIterator<Item = &'a mainstay_core::ServiceName>,
) -> Duration {
    const MARGIN: Duration = Duration::from_secs(15);
    let mut memo = std::collections::BTreeMap::new();
    let longest = services.into_iter().map(|name| chain(plan, name, &mut memo)).max().unwrap_or_default();
    longest + MARGIN
}

/// The time to stop `name` after everything that depends on it. The plan has no cycles.
fn chain<'a>(
    plan: &'a mainstay_core::Plan,
    name: &'a mainstay_core::ServiceName,
    memo: &mut std::collections::BTreeMap<&'a mainstay_core::ServiceName, Duration>,
) -> Duration {
    if let Some(known) = memo.get(name) {
        return *known;
    }
    let Some(service) = plan.services.get(name) else { return Duration::ZERO };
    let before = plan
        .services
        .iter()
        .filter(|(_, other)| other.depends_on.contains_key(name))
        .map(|(dependent, _)| dependent)
        .collect::<Vec<_>>()
        .into_iter()
        .map(|dependent| chain(plan, dependent, memo))
        .max()
        .unwrap_or_default();
    let time = before + service.stop_time();
    memo.insert(name, time);
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{probe, service};
    use mainstay_core::{Plan, ServiceName, ServicePlan};

    fn waits(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Waiting(_))
    }

    #[test]
    fn up_means_ready_where_there_is_a_probe() {
        let mut api = service("api", StateName::Running);
        assert_eq!(judge(Goal::Up, Some(&api)), Verdict::Reached);
        api.probes = vec![probe(ProbeKind::Ready, Some(false), "503 Service Unavailable", 2)];
        assert_eq!(
            judge(Goal::Up, Some(&api)),
            Verdict::Waiting("running: ready probe: 503 Service Unavailable (2 times in a row)".to_owned())
        );
        api.state = StateName::Ready;
        assert_eq!(judge(Goal::Up, Some(&api)), Verdict::Reached);
    }

    #[test]
    fn a_service_that_keeps_ending_is_given_up_on() {
        let mut api = service("api", StateName::Backoff);
        api.reason = "exit code 1".to_owned();
        api.next_start_ms = Some(500);
        assert_eq!(
            judge(Goal::Up, Some(&api)),
            Verdict::Waiting("backoff: exit code 1; next start in 500 ms".to_owned())
        );
        api.crash_loop = true;
        api.restarts = 5;
        assert_eq!(
            judge(Goal::Up, Some(&api)),
            Verdict::Missed(
                "it keeps ending: exit code 1; crash loop, 5 restarts so far; next start in 500 ms"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_restart_is_done_in_a_later_run() {
        let goal = Goal::UpAgain { after: Some(3) };
        let mut api = service("api", StateName::Running);
        api.run = Some(3);
        assert!(waits(&judge(goal, Some(&api))));
        api.state = StateName::Stopping;
        assert!(waits(&judge(goal, Some(&api))));
        api.run = None;
        assert!(waits(&judge(goal, Some(&api))));
        api.state = StateName::Starting;
        assert!(waits(&judge(goal, Some(&api))));
        api.run = Some(4);
        api.state = StateName::Running;
        assert_eq!(judge(goal, Some(&api)), Verdict::Reached);
        api.state = StateName::Stopped;
        assert!(matches!(judge(goal, Some(&api)), Verdict::Missed(_)));
    }

    #[test]
    fn every_goal_has_an_answer_in_every_state() {
        let goals = [
            Goal::Up,
            Goal::UpAgain { after: None },
            Goal::Down,
            Goal::Paused,
            Goal::Continued,
            Goal::Gone,
            Goal::Running,
            Goal::Ready,
            Goal::Healthy,
            Goal::Completed,
        ];
        let mut table = String::new();
        for state in StateName::ALL {
            for goal in goals {
                let answer = match judge(goal, Some(&service("api", state))) {
                    Verdict::Reached => "reached",
                    Verdict::Waiting(_) => "waits",
                    Verdict::Missed(_) => "missed",
                };
                table.push_str(&format!("{:10} {:24} {answer}\n", state.as_str(), format!("{goal:?}")));
            }
        }
        insta::assert_snapshot!("goals_by_state", table);
        assert_eq!(judge(Goal::Gone, None), Verdict::Reached);
        assert_eq!(judge(Goal::Down, None), Verdict::Reached);
        assert!(matches!(judge(Goal::Up, None), Verdict::Missed(_)));
    }

    #[test]
    fn a_chain_of_dependents_stops_one_after_the_other() {
        let name = |text: &str| ServiceName::new(text).expect("a name");
        let mut plan = Plan::default();
        for (service, needs) in [("db", None), ("api", Some("db")), ("web", Some("api")), ("other", None)] {
            let mut it = ServicePlan::default();
            it.stop.timeout = Duration::from_secs(10);
            it.depends_on.extend(needs.map(|n| (name(n), mainstay_core::Condition::Started)));
            plan.services.insert(name(service), it);
        }
        let time = |of: &str| {
            longest_stop(&plan, [&name(of)].map(|n| plan.services.get_key_value(n).expect("there").0))
        };
        assert_eq!(time("web"), Duration::from_secs(25));
        assert_eq!(time("db"), Duration::from_secs(45));
        assert_eq!(longest_stop(&plan, plan.services.keys()), Duration::from_secs(45));
        let api = plan.services.get_mut("api").expect("there");
        let (command, timeout) = (vec!["drain".to_owned()], Duration::from_secs(7));
        api.hooks.before_stop = Some(mainstay_core::Hook { command, timeout, required: true });
        assert_eq!(longest_stop(&plan, plan.services.keys()), Duration::from_secs(52));
    }
}
