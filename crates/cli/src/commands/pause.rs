//! `mainstay pause`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Freeze services: every process of theirs stands still
#[derive(Debug, clap::Args)]
pub struct Pause {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that cannot be frozen.
pub fn run(args: &Pause, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Pause, verb: "pause", missed: "freeze" };
    act(output, &args.on, &deed)
}
