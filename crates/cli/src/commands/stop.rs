//! `mainstay stop`

use mainstay_api::types::Action;

use crate::act::{Deed, act};
use crate::args::{Select, Waiting};
use crate::failure::Outcome;
use crate::output::Output;
use crate::{installed, native};

/// Stop services, their dependents first
#[derive(Debug, clap::Args)]
pub struct Stop {
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
/// A service that does not stop.
pub fn run(args: &Stop, output: &mut Output) -> Outcome {
    if let Some((place, installed)) = installed::meant(&args.select, &args.services) {
        return native::stop(output, &place, &installed, args.waiting);
    }
    let deed = Deed { action: Action::Stop, verb: "stop", missed: "stop" };
    act(output, &args.select, &args.services, &deed, args.waiting)
}
