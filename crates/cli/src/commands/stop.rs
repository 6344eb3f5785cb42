//! `mainstay stop`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;

/// Stop services, their dependents first
#[derive(Debug, clap::Args)]
pub struct Stop {
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
/// A service that does not stop.
pub fn run(args: &Stop, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Stop, verb: "stop", missed: "stop" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
