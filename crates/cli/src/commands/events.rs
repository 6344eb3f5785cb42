//! `mainstay events`

use jiff::Timestamp;
use mainstay_api::types::{EventBody, EventRecord, EventsQuery};

use crate::args::SelectLong;
use crate::event_text;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::history;
use crate::names;
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack::Place;

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

    /// Only what happened since then: `10m`, `2026-11-22 19:00`, `19:00`
    #[arg(long, value_name = "TIME", value_parser = crate::args::time)]
    since: Option<Timestamp>,

    /// The same as SERVICE
    #[arg(long = "service", value_name = "NAME")]
    named: Vec<String>,

    /// Of these services only [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Shows it.
///
/// # Errors
/// No such stack.
pub fn run(mut args: Events, output: &mut Output) -> Outcome {
    let named = std::mem::take(&mut args.named);
    args.services.extend(named);
    let meant = names::meant_in_one(&args.select.clone().into(), &args.services)?;
    let place = meant.place;
    args.services = place.expand(&meant.services);
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
    let all = args.services.is_empty() && args.since.is_none();
    let limit = if all { args.shown().unwrap_or(0) } else { 0 };
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
    let all = history::read(place, |_| true)?;
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
        self.lines.or((self.follow && self.since.is_none()).then_some(10))
    }

    fn wants(&self, event: &EventRecord) -> bool {
        let of = |name: &str| self.services.iter().any(|wanted| wanted == name);
        let named = self.services.is_empty()
            || match &event.event {
                EventBody::Core(core) => core.service.as_ref().is_some_and(|name| of(name.as_str())),
                EventBody::Other(fields) => {
                    fields.get("service").and_then(|name| name.as_str()).is_some_and(of)
                }
                EventBody::Own { .. } => false,
            };
        // One without a readable time is shown rather than lost.
        let at = || event.at.parse::<Timestamp>();
        named && self.since.is_none_or(|since| at().map_or(true, |at| at >= since))
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
