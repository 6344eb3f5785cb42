//! `mainstay status`

use mainstay_api::ClientError;
use mainstay_api::types::Stack;

use crate::act::resolve;
use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names::{self, Meant};
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack;
use crate::system_view::{self, OfSystem};
use crate::view;

/// Show how services are
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    select: Select,

    /// What the system's service manager knows: state, process, configuration, rights, triggers, dependents
    #[arg(long)]
    system: bool,

    /// These services, in full; a stack of several as a table
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Shows it.
///
/// # Errors
/// No such stack or service.
pub fn run(args: &Status, output: &mut Output) -> Outcome {
    if args.system {
        return system(args, output);
    }
    let all = wanted(args)?;
    let mut stacks = block_on(async {
        let mut stacks = Vec::new();
        for (nth, meant) in all.iter().enumerate() {
            match meant.place.client().stack().await {
                Ok(stack) => stacks.push((meant, stack)),
                // One that went down between the look and the question, and wasn't asked for by name.
                Err(ClientError::NotUp) if args.services.is_empty() && (nth > 0 || all.len() > 1) => {}
                Err(error) => return Err(Failure::api(error, &meant.place.name)),
            }
        }
        Ok(stacks)
    })?;
    for (meant, stack) in stacks.iter_mut().filter(|(meant, _)| !meant.services.is_empty()) {
        let wanted = resolve(&meant.place, stack, &meant.services)?;
        stack.services.retain(|service| wanted.contains(&service.name));
    }
    if output.json {
        let stacks: Vec<&Stack> = stacks.iter().map(|(_, stack)| stack).collect();
        output.json(&serde_json::json!({ "stacks": stacks }))?;
        return Ok(ExitStatus::Done);
    }
    for (nth, (meant, stack)) in stacks.iter().enumerate() {
        if nth > 0 {
            output.text("\n")?;
        }
        show(meant, stack, output)?;
    }
    Ok(ExitStatus::Done)
}

fn system(args: &Status, output: &mut Output) -> Outcome {
    let mut found = Vec::new();
    for service in OfSystem::meant(&args.select, &args.services)? {
        found.push((service.manager.name(), service.facts()?));
    }
    if output.json {
        let services: Vec<serde_json::Value> = found
            .iter()
            .map(|(manager, facts)| {
                let mut value = system_view::json(facts);
                value["manager"] = (*manager).into();
                value
            })
            .collect();
        output.json(&serde_json::json!({ "services": services }))?;
        return Ok(ExitStatus::Done);
    }
    let texts: Vec<String> = found.iter().map(|(_, facts)| system_view::text(facts)).collect();
    output.text(&texts.join("\n"))?;
    Ok(ExitStatus::Done)
}

fn show(meant: &Meant, stack: &Stack, output: &mut Output) -> Result<(), Failure> {
    if meant.services.is_empty() {
        output.text(&view::stack(stack, output.paint, output.width))?;
        return Ok(());
    }
    for service in &stack.services {
        let log = meant.place.log_file(service.name.as_str()).display().to_string();
        output.text(&view::service(&stack.name, service, &log, output.paint, output.width))?;
    }
    Ok(())
}

/// What was named, or the stack of the configuration here; without either, and after the latter, all that are up.
fn wanted(args: &Status) -> Result<Vec<Meant>, Failure> {
    let named = args.select.stack.is_some() || !args.select.files.is_empty();
    if named || !args.services.is_empty() {
        return names::meant(&args.select, &args.services);
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
    Ok(places.into_iter().map(|place| Meant { place, services: Vec::new(), whole: false }).collect())
}
