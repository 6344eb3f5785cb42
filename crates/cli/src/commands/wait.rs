//! `mainstay wait`

use std::collections::BTreeMap;
use std::time::Duration;

use crate::act::{resolve_or_all, watch};
use crate::args::{self, Select};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names;
use crate::output::{Output, words};
use crate::runtime::block_on;
use crate::wait::{Goal, Verdict};

/// Wait until services are as wanted; asks nothing of them
///
/// Ends with 0 when all are, with 5 when the time is over, and with 6 as soon as one cannot get there any more by
/// itself, because it is down for good.
#[derive(Debug, clap::Args)]
pub struct Wait {
    #[command(flatten)]
    select: Select,

    /// What is waited for
    #[arg(long = "for", value_enum, value_name = "STATE", default_value_t)]
    wanted: Wanted,

    /// Give up after this time, `30s` or `2m` [default: never]
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    timeout: Option<Duration>,

    /// Which services, or whole stacks
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// It is ready; without a readiness probe, it runs
    #[default]
    Ready,
    /// Its process runs, and is past its startup probe
    Running,
    /// It is down, whatever the reason
    Stopped,
    /// It ran to its end with success
    Completed,
    /// It is ready, and no probe of it fails
    Healthy,
}

/// As long as anybody waits.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Does it.
///
/// # Errors
/// It did not come about.
pub fn run(args: &Wait, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select, &args.services)?;
    let place = &meant.place;
    let goal = match args.wanted {
        Wanted::Ready => Goal::Ready,
        Wanted::Running => Goal::Running,
        Wanted::Stopped => Goal::Down,
        Wanted::Completed => Goal::Completed,
        Wanted::Healthy => Goal::Healthy,
    };
    let limit = args.timeout.unwrap_or(FOR_EVER);
    let seen = block_on(async {
        let client = place.client();
        let stack = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
        let goals: BTreeMap<_, _> =
            resolve_or_all(place, &stack, &meant.services)?.into_iter().map(|name| (name, goal)).collect();
        watch(&client, place, &goals, limit, output).await
    })?;
    if output.json {
        let services: Vec<serde_json::Value> =
            seen.iter().map(|(name, it)| crate::act::as_json(name, it)).collect();
        output.json(&serde_json::json!({ "services": services }))?;
    }
    let mut late = Vec::new();
    let mut never = Vec::new();
    for (name, (verdict, service)) in &seen {
        match verdict {
            Verdict::Reached if output.json => {}
            Verdict::Reached => {
                let state = service.as_ref().map_or("gone", |service| service.state.as_str());
                output.line(&format!("{name}: {state}"))?;
            }
            Verdict::Waiting(why) => late.push(format!("{name}: {why}")),
            Verdict::Missed(why) => never.push((name, why)),
        }
    }
    output.flush()?;
    if let Some((first, why)) = never.first() {
        let failure = Failure::new(ExitStatus::Never, format!("{first} cannot get there any more: {why}"))
            .details(never.iter().skip(1).map(|(name, why)| format!("{name}: {why}")));
        return Err(failure.hint(format!("`mainstay explain --stack {} {first}` says more", place.name)));
    }
    match late.as_slice() {
        [] => Ok(ExitStatus::Done),
        _ => Err(Failure::new(
            ExitStatus::Late,
            format!("not within {}: {}", words::duration(limit), words::count(late.len(), "service")),
        )
        .details(late)),
    }
}
