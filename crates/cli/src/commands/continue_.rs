//! `mainstay continue`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Let paused services go on
#[derive(Debug, clap::Args)]
pub struct Continue {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that does not go on.
pub fn run(args: &Continue, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Continue, verb: "continue", missed: "go on" };
    act(output, &args.on, &deed)
}
