//! `mainstay rm`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;

/// Stop services and take them out of the stack
#[derive(Debug, clap::Args)]
pub struct Rm {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    waiting: Waiting,

    /// Which services
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// Does it.
///
/// # Errors
/// A service that others depend on, or that does not stop.
pub fn run(args: &Rm, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Remove, verb: "remove", missed: "go" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
