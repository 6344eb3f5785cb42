//! `mainstay apply`

use mainstay_api::types::{Apply as Asked, RefusedConfiguration};

use crate::args::{Select, Waiting};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::own_file::OwnFile;
use crate::runtime::block_on;
use crate::stack::Place;
use crate::{plan_file, reload, stack};

/// Bring a stack to what its configuration says by now
///
/// Only services that changed are touched, each after what it depends on. If one does not come up, everything goes back.
/// The configuration is read as `mainstay up` did; variables are those of this terminal.
#[derive(Debug, clap::Args)]
pub struct Apply {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    waiting: Waiting,

    /// Why it is asked for, for the history
    #[arg(long, value_name = "TEXT", default_value = "apply")]
    reason: String,
}

/// Does it.
///
/// # Errors
/// The configuration is wrong, or does not work.
pub fn run(args: &Apply, output: &mut Output) -> Outcome {
    let place = stack::select(&args.select)?;
    let loaded = match OwnFile::of(&place).and_then(|own| own.load()) {
        Ok(loaded) => loaded,
        Err(failure) => return Err(tell(&place, failure, &args.reason)),
    };
    plan_file::warn(output, &loaded.warnings);
    plan_file::warn_of_log_ons(output, &place, &loaded.plan);
    let asked = Asked { plan: loaded.plan, how: args.reason.clone(), dry_run: false };
    block_on(async {
        let client = place.client();
        let reloading = reload::answer(client.apply(&asked), output)
            .await
            .map_err(|error| Failure::api(error, &place.name))?;
        reload::follow(&client, &place, reloading, args.waiting, output).await
    })
}

/// Lets everybody who looks at the stack know that its configuration is wrong.
fn tell(place: &Place, failure: Failure, how: &str) -> Failure {
    if let Some(reason) =
        failure.diagnostics.as_ref().and_then(|diagnostics| reload::first_error(diagnostics))
    {
        let refused = RefusedConfiguration { reason, how: how.to_owned() };
        // Whoever asked hears of it in any case.
        let _ = block_on(async { Ok(place.client().refused(&refused).await.is_ok()) });
    }
    failure
}
