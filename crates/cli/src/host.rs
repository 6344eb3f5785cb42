//! The keeper under a service manager: what its loop tells, and what the manager asks.

use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_keeper::Host;
use mainstay_service::{Event, Reason, Running};

/// The service manager that started the keeper.
#[derive(Debug)]
pub struct Manager {
    running: Running,
}

impl Manager {
    /// The one behind `running`.
    pub fn new(running: Running) -> Manager {
        Manager { running }
    }
}

impl Host for Manager {
    fn ready(&self) {
        self.running.ready();
    }

    fn stopping(&self) {
        if !self.running.is_stopping() {
            self.running.stopping();
        }
    }

    fn beat(&self) {
        self.running.beat();
    }

    fn on_stop(&self, down: Box<dyn Fn(&'static str) + Send + Sync>) {
        let told = AtomicBool::new(false);
        let told = move |reason: Reason| {
            if !told.swap(true, Ordering::AcqRel) {
                down(match reason {
                    Reason::Asked => "the service manager",
                    Reason::Shutdown => "the machine, which shuts down",
                });
            }
        };
        let again = std::sync::Arc::new(told);
        let first = std::sync::Arc::clone(&again);
        self.running.on_event(move |event| {
            if let Event::Stop(reason) = event {
                again(reason);
            }
        });
        // A stop that came before anybody listened.
        if self.running.is_stopping() {
            first(Reason::Asked);
        }
    }
}
