//! `mainstay plan`

use mainstay_api::types::Apply;

use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::own_file::OwnFile;
use crate::runtime::block_on;
use crate::{plan_file, reload, stack};

/// Show what `apply` would do; nothing is changed
///
/// The configuration is read as `mainstay up` did: the same files, environment, settings and profiles. Variables are those
/// of this terminal.
#[derive(Debug, clap::Args)]
pub struct Plan {
    #[command(flatten)]
    select: Select,

    /// End with 1 if something would be changed
    #[arg(long)]
    exit_code: bool,
}

/// Shows it.
///
/// # Errors
/// The configuration is wrong, or cannot be applied as things are.
pub fn run(args: &Plan, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let loaded = OwnFile::of(&place)?.load()?;
    plan_file::warn(output, &loaded.warnings);
    plan_file::warn_of_log_ons(output, &place, &loaded.plan);
    let asked = Apply { plan: loaded.plan, how: String::new(), dry_run: true };
    let reloading = block_on(async {
        reload::answer(place.client().apply(&asked), output)
            .await
            .map_err(|error| Failure::api(error, &place.name))
    })?;
    if output.json {
        output.json(&reloading)?;
    } else {
        output.text(&reload::text(&reloading.reload, output.paint))?;
    }
    let differs = !reloading.reload.is_empty();
    Ok(if differs && args.exit_code { ExitStatus::Failed } else { ExitStatus::Done })
}
