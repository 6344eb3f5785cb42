//! `mainstay stop`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Stop services, their dependents first
#[derive(Debug, clap::Args)]
pub struct Stop {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that does not stop.
pub fn run(args: &Stop, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Stop, verb: "stop", missed: "stop" };
    act(output, &args.on, &deed)
}
