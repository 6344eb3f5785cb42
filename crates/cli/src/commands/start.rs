//! `mainstay start`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;

/// Start services, and what they depend on
#[derive(Debug, clap::Args)]
pub struct Start {
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
/// A service that does not come up.
pub fn run(args: &Start, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Start, verb: "start", missed: "come up" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
