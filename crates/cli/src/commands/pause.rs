//! `mainstay pause`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;

/// Freeze services: every process of theirs stands still
#[derive(Debug, clap::Args)]
pub struct Pause {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    waiting: Waiting,

    /// Which services, or whole stacks
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// Does it.
///
/// # Errors
/// A service that cannot be frozen.
pub fn run(args: &Pause, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Pause, verb: "pause", missed: "freeze" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
