//! `mainstay restart`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Stop services and start them again
#[derive(Debug, clap::Args)]
pub struct Restart {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that does not come up again.
pub fn run(args: &Restart, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Restart, verb: "restart", missed: "come up again" };
    act(output, &args.on, &deed)
}
