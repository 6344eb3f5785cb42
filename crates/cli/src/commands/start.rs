//! `mainstay start`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Start services, and what they depend on
#[derive(Debug, clap::Args)]
pub struct Start {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that does not come up.
pub fn run(args: &Start, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Start, verb: "start", missed: "come up" };
    act(output, &args.on, &deed)
}
