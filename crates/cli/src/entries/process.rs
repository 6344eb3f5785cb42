//! The process of one entry.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_api::types::{Action, Stack};
use mainstay_api::{Client, ClientError};
use mainstay_core::ServiceName;
use mainstay_service::{Event, Failure, Reason, Running, Service};

use super::follow::{Shown, shown};
use super::{MIRROR, name};
use crate::failure::ExitStatus;
use crate::installed::{self, Installed};
use crate::stack::Place;
use crate::wait::longest_stop;

/// A daemon that does not answer is asked again after so long, while its keeper lives.
const AGAIN: Duration = Duration::from_millis(500);

/// Between two changes of the stack it is asked at least so often.
const LOOK: Duration = Duration::from_secs(60);

/// The stack itself comes up in this time, or the entry does not start.
const UP_TIME: Duration = Duration::from_secs(180);

/// Is the entry of `service` until that is down.
pub fn run(stack: &str, service: &str, arguments: &[OsString]) -> Result<ExitCode, String> {
    let place = Place::of(stack).map_err(|failure| failure.message)?;
    let service = ServiceName::new(service).map_err(|error| error.to_string())?;
    let most = place.plan().map_or(UP_TIME, |stored| longest_stop(&stored.plan, stored.plan.services.keys()));
    let beside = arguments.iter().any(|word| word == MIRROR);
    let entry = Service::new(name(stack, service.as_str()));
    // While the machine shuts down the keeper stops everything in its order; nobody has to ask for a part of it.
    let entry = entry.pausable().without_shutdown().pending_limit(most + UP_TIME);
    let block_on = |task| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task);
    Ok(entry.run_async(block_on, move |running| async move {
        let mirror = beside || running.arguments().iter().any(|word| word == MIRROR);
        let client = place.client();
        let mut entry = Entry { place, service, client, running, was_up: false, stopping: false };
        let since = if mirror { 0 } else { entry.start().await? };
        entry.follow(since).await
    }))
}

struct Entry {
    place: Place,
    service: ServiceName,
    client: Client,
    running: Running,
    was_up: bool,
    stopping: bool,
}

fn failed(error: &ClientError) -> Failure {
    Failure::new(ExitStatus::Failed as u32, error.to_string())
}

impl Entry {
    /// Starts the service, and its stack if need be; the revision after that.
    async fn start(&self) -> Result<u64, Failure> {
        if !self.place.is_up() {
            let stack = &self.place.name;
            let refused = |text: String| Failure::new(ExitStatus::Failed as u32, text);
            let installed = Installed::read(&self.place)
                .ok_or_else(|| refused(format!("stack {stack} is not up, and not installed")))?;
            let manager = installed.manager().map_err(|failure| refused(failure.message))?;
            manager.start(stack, UP_TIME).map_err(|error| refused(installed::failure(error).message))?;
        }
        let accepted = self.client.action(&self.service, Action::Start).await;
        // What is known is that it was taken: the state may be any from then on.
        accepted.map(|accepted| accepted.revision.saturating_sub(1)).map_err(|error| failed(&error))
    }

    /// Shows what the service does until it is down, and passes on what is asked.
    async fn follow(&mut self, mut since: u64) -> Result<(), Failure> {
        loop {
            tokio::select! {
                event = self.running.event(), if !self.stopping => {
                    if event == Event::Stop(Reason::Shutdown) {
                        return Ok(());
                    }
                    self.asked(event).await;
                    // Whatever came of it is looked at at once.
                    since = 0;
                }
                stack = self.client.changes(since, LOOK) => match stack {
                    Ok(stack) => {
                        since = stack.revision;
                        if let Some(ended) = self.show(&stack) {
                            return ended;
                        }
                    }
                    // It went down with its stack.
                    Err(_) if !self.place.is_up() => return Ok(()),
                    Err(_) => tokio::time::sleep(AGAIN).await,
                },
            }
        }
    }

    /// Tells the service manager; how it ended, if it did.
    fn show(&mut self, stack: &Stack) -> Option<Result<(), Failure>> {
        let service = stack.services.iter().find(|service| service.name == self.service);
        match shown(service, self.was_up) {
            Shown::Same => {}
            Shown::Running => {
                self.was_up = true;
                self.running.ready();
            }
            Shown::Paused => {
                self.was_up = true;
                // From any other state than running it goes there by way of it.
                self.running.ready();
                self.running.paused();
            }
            Shown::Over(0) => return Some(Ok(())),
            Shown::Over(code) => {
                let why = service.map(|service| service.reason.clone()).unwrap_or_default();
                return Some(Err(Failure::new(code, format!("{} has failed: {why}", self.service))));
            }
        }
        None
    }

    async fn asked(&mut self, event: Event) {
        let action = match event {
            Event::Stop(_) => {
                self.stopping = true;
                Action::Stop
            }
            Event::Pause => Action::Pause,
            Event::Continue => Action::Continue,
            Event::Reload | Event::Custom(_) | Event::Power(_) | Event::Session { .. } => return,
        };
        // A refusal is seen as what it leaves: the state that was there before.
        let _ = self.client.action(&self.service, action).await;
    }
}
