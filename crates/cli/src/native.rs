//! An installed stack, started and stopped through its service manager.

use std::time::Duration;

use mainstay_api::types::Action;
use mainstay_service::manager::Manager;

use crate::args::Waiting;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::{self, Installed};
use crate::names::Meant;
use crate::output::Output;
use crate::stack::Place;
use crate::wait::longest_stop;

/// The keeper tells at the latest after two minutes that it is ready.
const UP_TIME: Duration = Duration::from_secs(180);

/// A stack as its service manager has it.
#[derive(Debug)]
pub struct Native {
    place: Place,
    installed: Installed,
    manager: Manager,
}

impl Native {
    /// The one that has to be asked for `action` on what is meant: a whole stack that is installed, unless it runs
    /// without its service manager.
    ///
    /// # Errors
    /// The service manager does not answer.
    pub fn of(meant: &Meant, action: Action) -> Result<Option<Native>, Failure> {
        let place = &meant.place;
        if !meant.whole || !matches!(action, Action::Start | Action::Stop | Action::Restart) {
            return Ok(None);
        }
        let Some(installed) = Installed::read(place) else { return Ok(None) };
        let manager = installed.manager()?;
        let runs = manager.status(&place.name).map_err(installed::failure)?.pid.is_some();
        // Running already, it may have services that somebody stopped.
        let by_itself = place.is_up() && (!runs || action == Action::Start);
        Ok((!by_itself).then(|| Native { place: place.clone(), installed, manager }))
    }

    /// Starts, stops or restarts it.
    ///
    /// # Errors
    /// It does not come up, or does not go down.
    pub fn act(&self, output: &mut Output, action: Action, waiting: Waiting) -> Outcome {
        let up = waiting.timeout.unwrap_or(UP_TIME);
        let name = &self.place.name;
        if action == Action::Restart {
            // What would not come up again is not taken down.
            self.installed.load()?;
        }
        if matches!(action, Action::Stop | Action::Restart) {
            self.manager.stop(name, self.stop_time(waiting)).map_err(installed::failure)?;
        }
        if matches!(action, Action::Start | Action::Restart) {
            self.manager.start(name, up).map_err(installed::failure)?;
        }
        let what = match action {
            Action::Start => "started",
            Action::Stop => "stopped",
            _ => "restarted",
        };
        if output.json {
            output.json(&serde_json::json!({ "stack": name, "state": what }))?;
        } else {
            output.line(&format!("{name}: {what}"))?;
        }
        Ok(ExitStatus::Done)
    }

    fn stop_time(&self, waiting: Waiting) -> Duration {
        waiting.timeout.unwrap_or_else(|| {
            self.place.plan().map_or(Duration::from_secs(120), |stored| {
                longest_stop(&stored.plan, stored.plan.services.keys())
            })
        })
    }
}
