//! `mainstay events`

use mainstay_api::types::{EventRecord, EventsQuery};

use crate::args::SelectLong;
use crate::event_text;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack::{self, Place};

/// Show what happened and why
#[derive(Debug, clap::Args)]
pub struct Events {
    #[command(flatten)]
    select: SelectLong,

    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,

    /// The last so many events [default: all that are kept, with --follow 10]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,

    /// Of these services only [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Shows it.
///
/// # Errors
/// No such stack.
pub fn run(args: Events, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select.clone().into())?;
    if place.is_up() {
        block_on(live(&args, &place, output))?;
    } else {
        kept(&args, &place, output)?;
    }
    output.flush()?;
    Ok(ExitStatus::Done)
}

async fn live(args: &Events, place: &Place, output: &mut Output) -> Result<(), Failure> {
    let client = place.client();
    if !args.services.is_empty() {
        let stack = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
        crate::act::resolve(place, &stack, &args.services)?;
    }
    // With a choice of services the newest N of these are wanted, not those among the newest N of all.
    let limit = if args.services.is_empty() { args.shown().unwrap_or(0) } else { 0 };
    let query = EventsQuery { since: 0, follow: false, limit };
    let mut events = client.events(query).await.map_err(|e| Failure::api(e, &place.name))?;
    let mut old = Vec::new();
    while let Some(event) = events.next().await {
        old.push(event.map_err(|e| Failure::api(e, &place.name))?);
    }
    let since = old.last().map_or(0, |event| event.seq);
    show_last(args, &old, output)?;
    if !args.follow {
        return Ok(());
    }
    output.flush()?;
    let query = EventsQuery { since, follow: true, limit: 0 };
    let mut events = client.events(query).await.map_err(|e| Failure::api(e, &place.name))?;
    while let Some(event) = events.next().await {
        let event = event.map_err(|e| Failure::api(e, &place.name))?;
        if args.wants(&event) {
            show(&event, output)?;
            output.flush()?;
        }
    }
    Ok(())
}

/// The events of a stack that is down, from its files.
fn kept(args: &Events, place: &Place, output: &mut Output) -> Result<(), Failure> {
    let mut all: Vec<EventRecord> = Vec::new();
    for file in ["events.jsonl.1", "events.jsonl"] {
        let path = place.dirs.state.join(file);
        match std::fs::read(&path) {
            // A last line that was cut off when the machine went down is no event.
            Ok(text) => {
                all.extend(text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io("read", path.display(), &error)),
        }
    }
    if all.is_empty() && !place.dirs.state.exists() {
        return Err(Failure::not_up(&place.name));
    }
    show_last(args, &all, output)?;
    if args.follow {
        return Err(Failure::not_up(&place.name));
    }
    Ok(())
}

impl Events {
    fn shown(&self) -> Option<usize> {
        self.lines.or(self.follow.then_some(10))
    }

    fn wants(&self, event: &EventRecord) -> bool {
        use mainstay_api::types::EventBody;
        self.services.is_empty()
            || matches!(&event.event, EventBody::Core(core)
                if core.service.as_ref().is_some_and(|name| self.services.iter().any(|s| s == name.as_str())))
    }
}

fn show_last(args: &Events, events: &[EventRecord], output: &mut Output) -> Result<(), Failure> {
    let wanted: Vec<&EventRecord> = events.iter().filter(|event| args.wants(event)).collect();
    let skip = args.shown().map_or(0, |n| wanted.len().saturating_sub(n));
    for event in wanted.into_iter().skip(skip) {
        show(event, output)?;
    }
    Ok(())
}

fn show(event: &EventRecord, output: &mut Output) -> Result<(), Failure> {
    if output.json { output.json(event) } else { output.line(&event_text::line(event, output.paint)) }
}
