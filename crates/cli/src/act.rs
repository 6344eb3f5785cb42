//! Asking something of services and waiting for it: what start, stop, restart, pause, continue and rm share.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::{Action, Service, Stack};
use mainstay_core::{ServiceName, StartMode, StateName};

use crate::args::{OnServices, Waiting};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names::{self, Meant};
use crate::output::Output;
use crate::output::progress::Progress;
use crate::output::words;
use crate::runtime::block_on;
use crate::stack::Place;
use crate::wait::{Goal, Verdict, judge, longest_stop};
use crate::{excerpt, native, view};

/// Longer than any healthy program needs; `--timeout` has the last word.
const UP_TIME: Duration = Duration::from_secs(120);
const FREEZE_TIME: Duration = Duration::from_secs(15);
/// The daemon is asked again at least so often, so that the clock on the screen goes on.
const LOOK: Duration = Duration::from_secs(1);

/// What is asked, and how it is talked about.
pub struct Deed {
    /// What the daemon is asked.
    pub action: Action,
    /// "asked to …"
    pub verb: &'static str,
    /// "did not …"
    pub missed: &'static str,
}

/// Asks `deed` of all that is meant and waits until it has come about. A whole stack that is installed is started
/// and stopped through its service manager.
///
/// # Errors
/// An unknown name, a refusal, or something that does not come about.
pub fn act(output: &mut Output, on: &OnServices, deed: &Deed) -> Outcome {
    let waiting = on.waiting;
    for meant in names::meant(&on.select, &on.services)? {
        match native::Native::of(&meant, deed.action)? {
            Some(native) => native.act(output, deed.action, waiting)?,
            None => act_in(output, &meant, deed, waiting)?,
        };
    }
    Ok(ExitStatus::Done)
}

fn act_in(output: &mut Output, meant: &Meant, deed: &Deed, waiting: Waiting) -> Outcome {
    let place = &meant.place;
    block_on(async {
        let client = place.client();
        let before = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
        let wanted = match meant.services.as_slice() {
            [] => those_for(deed.action, place, &before),
            names => resolve(place, &before, names)?,
        };
        if wanted.is_empty() {
            output.note(&format!("{}: no service to {}", place.name, deed.verb));
        }
        let mut goals = BTreeMap::new();
        for name in wanted {
            let run = before.services.iter().find(|s| s.name == name).and_then(|s| s.run);
            client.action(&name, deed.action).await.map_err(|e| Failure::api(e, &place.name))?;
            goals.insert(name, goal(deed.action, run));
        }
        if waiting.no_wait {
            return asked(output, &goals, deed);
        }
        let limit = waiting.timeout.unwrap_or_else(|| time_for(deed.action, place, &goals));
        let seen = watch(&client, place, &goals, limit, output).await?;
        if deed.action == Action::Stop {
            let after = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
            tell_dependents(output, &before, &after, &goals);
        }
        report(output, place, deed, &seen, limit)
    })
}

/// Says which services were stopped with those that are asked for: they depend on them.
fn tell_dependents(output: &Output, before: &Stack, after: &Stack, goals: &BTreeMap<ServiceName, Goal>) {
    let ran = |name: &ServiceName| before.services.iter().any(|s| s.name == *name && s.pid.is_some());
    for service in &after.services {
        if service.state == StateName::Stopped && ran(&service.name) && !goals.contains_key(&service.name) {
            output.note(&format!("{}: stopped first, since it depends on what is to stop", service.name));
        }
    }
}

fn goal(action: Action, run: Option<u64>) -> Goal {
    match action {
        Action::Start => Goal::Up,
        Action::Restart => Goal::UpAgain { after: run },
        Action::Stop => Goal::Down,
        Action::Pause => Goal::Paused,
        Action::Continue => Goal::Continued,
        Action::Remove => Goal::Gone,
    }
}

fn time_for(action: Action, place: &Place, goals: &BTreeMap<ServiceName, Goal>) -> Duration {
    let stop = || place.plan().map_or(UP_TIME, |stored| longest_stop(&stored.plan, goals.keys()));
    match action {
        Action::Start => UP_TIME,
        Action::Restart => UP_TIME + stop(),
        Action::Stop | Action::Remove => stop(),
        Action::Pause | Action::Continue => FREEZE_TIME,
    }
}

/// The services of a whole stack that a deed is for.
fn those_for(action: Action, place: &Place, stack: &Stack) -> Vec<ServiceName> {
    let plan = place.plan().ok().map(|stored| stored.plan);
    // One that nobody wanted to run is not started with the stack.
    let by_itself = |service: &Service| {
        let plan = plan.as_ref().and_then(|plan| plan.services.get(&service.name));
        plan.is_none_or(|plan| plan.start == StartMode::Auto)
    };
    let wanted = |service: &&Service| match action {
        Action::Start => by_itself(service),
        Action::Restart => by_itself(service) || service.pid.is_some(),
        Action::Stop | Action::Remove => true,
        Action::Pause => matches!(service.state, StateName::Running | StateName::Ready),
        Action::Continue => service.state == StateName::Paused,
    };
    stack.services.iter().filter(wanted).map(|service| service.name.clone()).collect()
}

/// The services meant by `names`, each once; all for none.
///
/// # Errors
/// There is none of that name.
pub fn resolve_or_all(place: &Place, stack: &Stack, names: &[String]) -> Result<Vec<ServiceName>, Failure> {
    match names {
        [] => Ok(stack.services.iter().map(|service| service.name.clone()).collect()),
        names => resolve(place, stack, names),
    }
}

/// The services meant by `names`, each once.
///
/// # Errors
/// There is none of that name.
pub fn resolve(place: &Place, stack: &Stack, names: &[String]) -> Result<Vec<ServiceName>, Failure> {
    let mut wanted: Vec<ServiceName> = Vec::with_capacity(names.len());
    for name in &place.expand(names) {
        let Some(service) = stack.services.iter().find(|s| s.name.as_str() == name) else {
            return Err(place.no_such_service(name, stack.services.iter().map(|s| s.name.as_str())));
        };
        if !wanted.contains(&service.name) {
            wanted.push(service.name.clone());
        }
    }
    Ok(wanted)
}

/// A service's verdict, and the service as it was then (none if it is gone).
pub type Seen = BTreeMap<ServiceName, (Verdict, Option<Service>)>;

/// Waits until every goal is reached or missed, or the time is over.
///
/// # Errors
/// The daemon cannot be reached any more.
pub async fn watch(
    client: &Client,
    place: &Place,
    goals: &BTreeMap<ServiceName, Goal>,
    limit: Duration,
    output: &Output,
) -> Result<Seen, Failure> {
    let mut progress = Progress::new(output.json || output.quiet);
    let begin = Instant::now();
    let mut stack = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
    loop {
        let mut by_name: BTreeMap<&ServiceName, &Service> =
            stack.services.iter().map(|s| (&s.name, s)).collect();
        let seen: Seen = goals
            .iter()
            .map(|(name, goal)| {
                let service = by_name.remove(name);
                (name.clone(), (judge(*goal, service), service.cloned()))
            })
            .collect();
        let held_up: Vec<String> = seen
            .iter()
            .filter_map(|(name, (verdict, _))| match verdict {
                Verdict::Waiting(why) => Some(format!("{name}: {why}")),
                Verdict::Reached | Verdict::Missed(_) => None,
            })
            .collect();
        let left = limit.saturating_sub(begin.elapsed());
        if held_up.is_empty() || left.is_zero() {
            return Ok(seen);
        }
        let missed = seen.values().filter(|(verdict, _)| matches!(verdict, Verdict::Missed(_))).count();
        progress.count(goals.len() - held_up.len() - missed, goals.len(), done_word(goals), &held_up[0]);
        // A large stack changes often, and each answer is long.
        tokio::time::sleep(Duration::from_millis(stack.services.len() as u64 / 10)).await;
        stack =
            client.changes(stack.revision, LOOK.min(left)).await.map_err(|e| Failure::api(e, &place.name))?;
    }
}

/// What those are that are where they should be.
fn done_word(goals: &BTreeMap<ServiceName, Goal>) -> &'static str {
    match goals.values().next() {
        Some(Goal::Up) => "started",
        Some(Goal::UpAgain { .. }) => "restarted",
        Some(Goal::Down) => "stopped",
        Some(Goal::Gone) => "removed",
        Some(Goal::Paused) => "paused",
        _ => "done",
    }
}

fn asked(output: &mut Output, goals: &BTreeMap<ServiceName, Goal>, deed: &Deed) -> Outcome {
    if output.json {
        let names: Vec<&ServiceName> = goals.keys().collect();
        output.json(&serde_json::json!({ "asked": deed.action.as_str(), "services": names }))?;
    } else {
        for name in goals.keys() {
            output.line(&format!("{name}: asked to {}", deed.verb))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// Tells what came of it.
///
/// # Errors
/// If something has not come about.
fn report(output: &mut Output, place: &Place, deed: &Deed, seen: &Seen, limit: Duration) -> Outcome {
    if output.json {
        let services: Vec<serde_json::Value> = seen.iter().map(|(name, it)| as_json(name, it)).collect();
        output.json(&serde_json::json!({ "action": deed.action.as_str(), "services": services }))?;
    }
    let mut missed = Vec::new();
    for (name, (verdict, service)) in seen {
        match verdict {
            Verdict::Reached if output.json => {}
            Verdict::Reached => output.line(&done_line(name, service.as_ref(), output))?,
            Verdict::Missed(why) => missed.push((name, why.clone(), false)),
            Verdict::Waiting(why) => missed.push((name, why.clone(), true)),
        }
    }
    output.flush()?;
    let late = missed.iter().any(|(_, _, late)| *late);
    let failure = match missed.as_slice() {
        [] => return Ok(ExitStatus::Done),
        [(name, why, late)] => {
            let time = if *late { format!(" within {}", words::duration(limit)) } else { String::new() };
            Failure::failed(format!("{name} did not {}{time}: {why}", deed.missed))
                .details(excerpt::last_lines(place, name.as_str()))
        }
        several => {
            let message = format!(
                "{} of {} did not {}",
                several.len(),
                words::count(seen.len(), "service"),
                deed.missed
            );
            Failure::failed(message).details(several.iter().map(|(name, why, _)| format!("{name}: {why}")))
        }
    };
    let hint = if late {
        format!("the request stands; `mainstay status --stack {}` shows how it goes on", place.name)
    } else {
        format!("`mainstay logs --stack {} {}` shows its output", place.name, missed[0].0)
    };
    Err(failure.hint(hint))
}

fn done_line(name: &ServiceName, service: Option<&Service>, output: &Output) -> String {
    let Some(service) = service else { return format!("{name}: removed") };
    let state = output.paint.apply(view::state_style(service), service.state.as_str());
    match service.pid {
        Some(pid) => format!("{name}: {state}, pid {pid}"),
        None => format!("{name}: {state}"),
    }
}

/// What became of a service, for programs.
pub fn as_json(name: &ServiceName, (verdict, service): &(Verdict, Option<Service>)) -> serde_json::Value {
    let (ok, why) = match verdict {
        Verdict::Reached => (true, None),
        Verdict::Waiting(why) | Verdict::Missed(why) => (false, Some(why)),
    };
    serde_json::json!({ "name": name, "ok": ok, "why": why, "service": service })
}
