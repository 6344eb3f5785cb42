//! `mainstay rm`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::OnServices;
use crate::failure::Outcome;
use crate::output::Output;

/// Stop services and take them out of the stack
#[derive(Debug, clap::Args)]
#[command(mut_arg("services", |services| services.help("Which services")))]
pub struct Rm {
    #[command(flatten)]
    on: OnServices,
}

/// Does it.
///
/// # Errors
/// A service that others depend on, or that does not stop.
pub fn run(args: &Rm, output: &mut Output) -> Outcome {
    let deed = Deed { action: Action::Remove, verb: "remove", missed: "go" };
    act(output, &args.on, &deed)
}
