//! `mainstay status`

use mainstay_api::ClientError;
use mainstay_api::types::Stack;

use crate::act::resolve;
use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack::{self, Place};
use crate::view;

/// Show how services are
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    select: Select,

    /// These services only, in full
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Shows it.
///
/// # Errors
/// No such stack or service.
pub fn run(args: &Status, output: &mut Output) -> Outcome {
    let places = places(args)?;
    let mut stacks = block_on(async {
        let mut stacks = Vec::new();
        for (nth, place) in places.iter().enumerate() {
            match place.client().stack().await {
                Ok(stack) => stacks.push(stack),
                // One that went down between the look and the question, and wasn't asked for by name.
                Err(ClientError::NotUp) if nth > 0 || places.len() > 1 => {}
                Err(error) => return Err(Failure::api(error, &place.name)),
            }
        }
        Ok(stacks)
    })?;
    if !args.services.is_empty()
        && let (Some(place), Some(stack)) = (places.first(), stacks.first_mut())
    {
        let wanted = resolve(place, stack, &args.services)?;
        stack.services.retain(|service| wanted.contains(&service.name));
    }
    if output.json {
        output.json(&serde_json::json!({ "stacks": stacks }))?;
        return Ok(ExitStatus::Done);
    }
    show(args, &places, &stacks, output)?;
    Ok(ExitStatus::Done)
}

fn show(args: &Status, places: &[Place], stacks: &[Stack], output: &mut Output) -> Result<(), Failure> {
    for (nth, stack) in stacks.iter().enumerate() {
        if nth > 0 {
            output.text("\n")?;
        }
        if args.services.is_empty() {
            output.text(&view::stack(stack, output.paint, output.width))?;
            continue;
        }
        for service in &stack.services {
            let place = places.iter().find(|place| place.name == stack.name);
            let log =
                place.map(|p| p.log_file(service.name.as_str()).display().to_string()).unwrap_or_default();
            output.text(&view::service(&stack.name, service, &log, output.paint))?;
        }
    }
    Ok(())
}

/// The stack that was named, or that belongs to the configuration here; without either, and after the latter, all
/// that are up.
fn places(args: &Status) -> Result<Vec<Place>, Failure> {
    let named = args.select.stack.is_some() || !args.select.files.is_empty();
    if named || !args.services.is_empty() {
        return Ok(vec![stack::select(&args.select)?]);
    }
    let mut places = stack::all_up();
    if stack::config_path(&args.select)?.is_some() {
        let here = stack::select(&args.select)?;
        places.retain(|place| place.name != here.name);
        if here.is_up() || places.is_empty() {
            places.insert(0, here);
        }
    }
    if places.is_empty() {
        return Err(Failure::not_there("no stack is up")
            .hint("`mainstay up -f FILE` starts a stack, `mainstay run -- PROGRAM` a single program"));
    }
    Ok(places)
}
