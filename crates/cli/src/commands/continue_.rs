//! `mainstay continue`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;

/// Let paused services go on
#[derive(Debug, clap::Args)]
pub struct Continue {
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
/// A service that does not go on.
pub fn run(args: &Continue, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Continue, verb: "continue", missed: "go on" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
