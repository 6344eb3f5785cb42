//! `mainstay down`

use std::time::{Duration, Instant};

use mainstay_api::types::Stack;
use mainstay_api::{Client, ClientError};

use crate::args::{Select, Waiting};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::progress::Progress;
use crate::output::{Output, words};
use crate::runtime::block_on;
use crate::stack::{self, Place};
use crate::wait::longest_stop;

/// Stop a stack: all services in order, then its keeper
#[derive(Debug, clap::Args)]
pub struct Down {
    #[command(flatten)]
    select: Select,

    /// Stop also what `when_mainstay_stops = "leave"` leaves running, or has left
    #[arg(short, long)]
    all: bool,

    #[command(flatten)]
    waiting: Waiting,
}

/// Does it.
///
/// # Errors
/// The stack isn't up, or is not down in time.
pub fn run(args: Down, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let limit = args.waiting.timeout.unwrap_or_else(|| time_for(&place));
    block_on(async {
        let client = place.client();
        let asked = if args.all { client.down_all().await } else { client.down().await };
        match asked {
            Ok(_) => {}
            Err(error @ ClientError::NoAnswer { .. }) => ask_keeper(&place, error, output)?,
            Err(error) => return Err(Failure::api(error, &place.name)),
        }
        if args.waiting.no_wait {
            return say(&place, "asked to go down", output);
        }
        match wait_until_down(&place, &client, limit, output).await? {
            Some(stack) => say_left(&stack, output),
            None => say(&place, "down", output),
        }
    })
}

/// The longest time that going down may take by the services' own settings.
fn time_for(place: &Place) -> Duration {
    place
        .plan()
        .map_or(Duration::from_secs(120), |stored| longest_stop(&stored.plan, stored.plan.services.keys()))
}

/// Without a daemon that could stop the services in order, the keeper ends them by force.
fn ask_keeper(place: &Place, error: ClientError, output: &Output) -> Result<(), Failure> {
    mainstay_keeper::ask_down(&place.dirs.state)
        .map_err(|e| Failure::io("write a request into", place.dirs.state.display(), &e))?;
    let failure = Failure::api(error, &place.name);
    output.warning(&failure.message);
    failure.details.iter().for_each(|line| output.note(line));
    output.note("if no daemon comes up, the keeper ends all services by force");
    Ok(())
}

fn say(place: &Place, what: &str, output: &mut Output) -> Outcome {
    if output.json {
        output.json(&serde_json::json!({ "stack": place.name, "state": what }))?;
    } else {
        output.line(&format!("{}: {what}", place.name))?;
    }
    Ok(ExitStatus::Done)
}

/// The stack is down but for what was left running.
fn say_left(stack: &Stack, output: &mut Output) -> Outcome {
    let left = stack.services.iter().filter(|service| service.left);
    if output.json {
        let left: Vec<&str> = left.map(|service| service.name.as_str()).collect();
        output.json(&serde_json::json!({ "stack": stack.name, "state": "down", "left": left }))?;
        return Ok(ExitStatus::Done);
    }
    let left: Vec<String> = left
        .map(|service| match service.pid {
            Some(pid) => format!("{} (pid {pid})", service.name),
            None => service.name.to_string(),
        })
        .collect();
    output.line(&format!("{}: down, left running: {}", stack.name, left.join(", ")))?;
    output.note("`mainstay up` takes over what was left, `mainstay down --all` stops it");
    Ok(ExitStatus::Done)
}

/// Waits for the keeper's end, and shows what is still there. If services are left running the keeper stays; then how
/// the stack is.
async fn wait_until_down(
    place: &Place,
    client: &Client,
    limit: Duration,
    output: &Output,
) -> Result<Option<Stack>, Failure> {
    let mut progress = Progress::new(output.json || output.quiet);
    let begin = Instant::now();
    let mut revision = 0;
    let mut last: Option<Stack> = None;
    while place.is_up() {
        let left = limit.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(late(place, limit, last.as_ref()));
        }
        match client.changes(revision, Duration::from_millis(500).min(left)).await {
            Ok(stack) if stack.resting => return Ok(Some(stack)),
            Ok(stack) => {
                let all = stack.services.len();
                let down = stack.services.iter().filter(|service| service.state.is_down()).count();
                progress.count(down, all, "down", &still_there(&stack));
                revision = stack.revision;
                last = Some(stack);
            }
            Err(error @ (ClientError::Denied(_) | ClientError::Garbled(_))) => {
                return Err(Failure::api(error, &place.name));
            }
            // The daemon is ending or gone, and the keeper goes after it.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(None)
}

fn still_there(stack: &Stack) -> String {
    let up: Vec<String> = stack
        .services
        .iter()
        .filter(|service| !service.state.is_down())
        .map(|service| format!("{} ({})", service.name, service.state))
        .collect();
    match up.len() {
        0 => "the keeper ends".to_owned(),
        n => format!("{} to go: {}", words::count(n, "service"), words::list(&up)),
    }
}

fn late(place: &Place, limit: Duration, last: Option<&Stack>) -> Failure {
    let details = last.map(|stack| vec![still_there(stack)]).unwrap_or_default();
    Failure::failed(format!("stack {} is not down after {}", place.name, words::duration(limit)))
        .details(details)
        .hint("it goes on stopping; `mainstay status` shows how far it is")
}
