//! `mainstay restart`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;
use crate::{installed, native};

/// Stop services and start them again
#[derive(Debug, clap::Args)]
pub struct Restart {
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
/// A service that does not come up again.
pub fn run(args: &Restart, output: &mut Output) -> Outcome {
    if let Some((place, installed)) = installed::meant(&args.select, &args.services) {
        return native::restart(output, &place, &installed, args.waiting);
    }
    let deed = Deed { action: Action::Restart, verb: "restart", missed: "come up again" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
