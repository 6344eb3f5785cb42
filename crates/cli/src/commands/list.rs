//! `mainstay list`

use serde::Serialize;

use crate::failure::{ExitStatus, Outcome};
use crate::installed::Installed;
use crate::output::Output;
use crate::output::table::{Cell, Column, Table};
use crate::stack::Place;

/// Show all stacks of this machine: installed ones and others, up or not
#[derive(Debug, clap::Args)]
pub struct List {}

/// One stack.
#[derive(Debug, Serialize)]
struct Entry {
    stack: String,
    up: bool,
    /// The service manager's word; none if it is not installed.
    native: Option<&'static str>,
    at_boot: Option<bool>,
    services: usize,
    config: Option<String>,
}

/// Does it.
///
/// # Errors
/// Standard output is gone.
pub fn run(output: &mut Output) -> Outcome {
    let entries: Vec<Entry> = mainstay_sys::dirs::stacks()
        .iter()
        .filter_map(|name| Place::of(name).ok())
        .map(|place| entry(&place))
        .collect();
    if output.json {
        output.json(&serde_json::json!({ "stacks": entries }))?;
        return Ok(ExitStatus::Done);
    }
    if entries.is_empty() {
        output.note("there are no stacks here; `mainstay install` or `mainstay up` makes one");
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new([
        Column::left("STACK"),
        Column::left("UP"),
        Column::left("SERVICE MANAGER"),
        Column::right("SERVICES"),
        Column::left("CONFIGURATION"),
    ]);
    for entry in entries {
        let native = match (entry.native, entry.at_boot) {
            (None, _) => "-".to_owned(),
            (Some(state), Some(true)) => format!("{state}, at boot"),
            (Some(state), _) => state.to_owned(),
        };
        table.row([
            Cell::new(entry.stack),
            Cell::new(if entry.up { "up" } else { "down" }),
            Cell::new(native),
            Cell::new(entry.services.to_string()),
            Cell::new(entry.config.unwrap_or_else(|| "-".to_owned())),
        ]);
    }
    let text = table.render(output.paint, output.width);
    output.text(&text)?;
    Ok(ExitStatus::Done)
}

fn entry(place: &Place) -> Entry {
    let installed = Installed::read(place);
    let native = installed.as_ref().and_then(|installed| installed.manager().ok()?.status(&place.name).ok());
    let stored = place.plan().ok();
    let config = installed
        .as_ref()
        .and_then(Installed::config)
        .map(|path| path.display().to_string())
        .or_else(|| stored.as_ref().and_then(|stored| stored.config.clone()));
    Entry {
        stack: place.name.clone(),
        up: place.is_up(),
        native: native.as_ref().map(|status| status.state.as_str()),
        at_boot: native.and_then(|status| status.at_boot),
        services: stored.map_or(0, |stored| stored.plan.services.len()),
        config,
    }
}
