//! `mainstay history`

use mainstay_api::types::Outcome as Became;

use crate::args::Select;
use crate::event_text::local_time;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::table::{Cell, Column, Table};
use crate::output::{Output, style, words};
use crate::runtime::block_on;
use crate::stack;

/// Show the last ten configurations of a stack
#[derive(Debug, clap::Args)]
pub struct History {
    #[command(flatten)]
    select: Select,
}

/// Shows them.
///
/// # Errors
/// The stack is not up.
pub fn run(args: &History, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let (running, list) = block_on(async {
        let client = place.client();
        let stack = client.stack().await.map_err(|error| Failure::api(error, &place.name))?;
        let list = client.revisions().await.map_err(|error| Failure::api(error, &place.name))?;
        Ok((stack.configuration.revision, list))
    })?;
    if output.json {
        output.json(&serde_json::json!({ "running": running, "revisions": list }))?;
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new([
        Column::right("REVISION"),
        Column::left("WHEN"),
        Column::left("OUTCOME"),
        Column::left("BY"),
    ]);
    for revision in &list {
        let (word, colour) = match revision.outcome {
            Became::Applied if revision.revision == running => ("runs", style::GOOD),
            Became::Applied => ("applied", anstyle::Style::new()),
            Became::Applying => ("being applied", style::UNSURE),
            Became::TakenBack => ("taken back", style::BAD),
            Became::Abandoned => ("abandoned", style::UNSURE),
        };
        let when = local_time(&revision.at);
        table.row([
            Cell::new(revision.revision.to_string()),
            Cell::new(when.strip_suffix(".000").unwrap_or(&when)),
            Cell::styled(word, colour),
            Cell::new(words::printable(&revision.by)),
        ]);
        if !revision.detail.is_empty() {
            table.note(&words::printable(&revision.detail), style::BAD);
        }
    }
    output.text(&table.render(output.paint, output.width))?;
    Ok(ExitStatus::Done)
}
