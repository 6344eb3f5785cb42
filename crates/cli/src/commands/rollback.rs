//! `mainstay rollback`

use mainstay_api::types::Rollback as Asked;

use crate::args::{Select, Waiting};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::runtime::block_on;
use crate::{reload, stack};

/// Go back to an earlier configuration, under a new number
///
/// The configuration's files stay as they are: the next `apply` takes them again.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    waiting: Waiting,

    /// The revision, from `mainstay history` [default: the last one that worked before the present one]
    #[arg(value_name = "REVISION")]
    to: Option<u64>,
}

/// Does it.
///
/// # Errors
/// It is not kept, or does not work.
pub fn run(args: &Rollback, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    block_on(async {
        let client = place.client();
        let asked = Asked { to: args.to };
        let reloading = reload::answer(client.rollback(asked), output)
            .await
            .map_err(|error| Failure::api(error, &place.name))?;
        reload::follow(&client, &place, reloading, args.waiting, output).await
    })
}
