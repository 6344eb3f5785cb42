//! `up` of a stack that is down but for services that were left running: its keeper is there already.

use std::time::{Duration, Instant};

use mainstay_api::ClientError;
use mainstay_api::types::{Stack, TakeOver};
use mainstay_daemon::{StoredPlan, write_plan_to};
use mainstay_keeper::plan_offer;

use super::Hold;
use crate::failure::Failure;
use crate::runtime::block_on;
use crate::stack::Place;

/// The next daemon is there in this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A look at a stack that answers takes this long at the most.
const LOOK: Duration = Duration::from_secs(2);

/// The stack, if it is up for nothing but what was left running. One that does not answer is not.
pub(super) fn resting(place: &Place) -> Result<Option<Stack>, Failure> {
    block_on(async {
        let client = place.client();
        let stack = tokio::time::timeout(LOOK, client.stack()).await;
        Ok(stack.ok().and_then(Result::ok).filter(|stack| stack.resting))
    })
}

/// Gives it the plan, and waits for the daemon that begins with it.
pub(super) fn with(place: &Place, plan: &StoredPlan, hold: Hold, resting: &Stack) -> Result<(), Failure> {
    let offer = plan_offer(&place.dirs.state);
    write_plan_to(offer.clone(), plan).map_err(|e| Failure::failed(e.to_string()))?;
    let exe =
        std::env::current_exe().map_err(|e| Failure::failed(format!("cannot find the own program: {e}")))?;
    let take_over = TakeOver {
        offer: offer.to_string_lossy().into_owned(),
        exe: exe.to_string_lossy().into_owned(),
        leash: (hold == Hold::Foreground).then(std::process::id),
    };
    let done = block_on(hand_over(place, &take_over, resting));
    // It has been read, or nobody will.
    let _ = std::fs::remove_file(&offer);
    done
}

async fn hand_over(place: &Place, take_over: &TakeOver, resting: &Stack) -> Result<(), Failure> {
    let client = place.client();
    match client.take_over(take_over).await {
        // The daemon that would have answered may be gone already: that is what was asked for.
        Ok(_) | Err(ClientError::Lost(_)) => {}
        Err(error) => return Err(Failure::api(error, &place.name)),
    }
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let now = client.stack().await.map_err(|error| Failure::api(error, &place.name))?;
        if now.daemon.pid != resting.daemon.pid && !now.resting {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(Failure::failed(format!("stack {} was not taken over within {} s", place.name, PATIENCE.as_secs()))
        .hint("`mainstay events -n 20` may tell why; what was left running goes on"))
}
