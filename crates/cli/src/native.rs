//! An installed stack, started and stopped through its service manager.

use std::time::Duration;

use crate::args::Waiting;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::{self, Installed};
use crate::output::Output;
use crate::stack::Place;
use crate::wait::longest_stop;

/// The keeper tells at the latest after two minutes that it is ready.
const UP_TIME: Duration = Duration::from_secs(180);

fn stop_time(place: &Place, waiting: Waiting) -> Duration {
    waiting.timeout.unwrap_or_else(|| {
        place.plan().map_or(Duration::from_secs(120), |stored| {
            longest_stop(&stored.plan, stored.plan.services.keys())
        })
    })
}

/// `mainstay start NAME`
///
/// # Errors
/// It does not come up.
pub fn start(output: &mut Output, place: &Place, installed: &Installed, waiting: Waiting) -> Outcome {
    let manager = installed.manager()?;
    let outside = place.is_up() && manager.status(&place.name).map_err(installed::failure)?.pid.is_none();
    if outside {
        return Err(Failure::new(
            ExitStatus::AlreadyUp,
            format!("stack {} is up already, not as a service", place.name),
        )
        .hint(format!("`mainstay down --stack {}` stops it", place.name)));
    }
    manager.start(&place.name, waiting.timeout.unwrap_or(UP_TIME)).map_err(installed::failure)?;
    say(output, place, "started")
}

/// `mainstay stop NAME`
///
/// # Errors
/// It does not go down.
pub fn stop(output: &mut Output, place: &Place, installed: &Installed, waiting: Waiting) -> Outcome {
    installed.manager()?.stop(&place.name, stop_time(place, waiting)).map_err(installed::failure)?;
    say(output, place, "stopped")
}

/// `mainstay restart NAME`
///
/// # Errors
/// It does not go down or come up again.
pub fn restart(output: &mut Output, place: &Place, installed: &Installed, waiting: Waiting) -> Outcome {
    // What would not come up again is not taken down.
    installed.load()?;
    let manager = installed.manager()?;
    manager.stop(&place.name, stop_time(place, waiting)).map_err(installed::failure)?;
    manager.start(&place.name, waiting.timeout.unwrap_or(UP_TIME)).map_err(installed::failure)?;
    say(output, place, "restarted")
}

fn say(output: &mut Output, place: &Place, what: &str) -> Outcome {
    if output.json {
        output.json(&serde_json::json!({ "stack": place.name, "state": what }))?;
    } else {
        output.line(&format!("{}: {what}", place.name))?;
    }
    Ok(ExitStatus::Done)
}
