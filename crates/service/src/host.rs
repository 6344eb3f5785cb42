//! Whoever started the program: how it is told about the service, and how it asks for something.

use std::fmt;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::event::Event;
use crate::service::{Host, Main, Service};
use crate::status::{Accepts, Report};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

pub(crate) fn run(service: Service, main: Main) -> ExitCode {
    platform::run(service, main)
}

type Waker = Box<dyn Fn(Event) + Send + Sync>;

/// The way to the service manager.
pub(crate) struct Channel {
    host: Host,
    manager: Option<platform::Manager>,
    waker: Mutex<Option<Waker>>,
}

impl Channel {
    pub(crate) fn new(host: Host, manager: Option<platform::Manager>) -> Channel {
        Channel { host, manager, waker: Mutex::new(None) }
    }

    pub(crate) fn host(&self) -> Host {
        self.host
    }

    /// Whether anybody wants reports.
    pub(crate) fn listens(&self) -> bool {
        self.manager.is_some()
    }

    pub(crate) fn report(&self, report: &Report, accepts: Accepts) {
        if let Some(manager) = &self.manager {
            manager.report(report, accepts);
        }
    }

    pub(crate) fn status(&self, text: &str) {
        if let Some(manager) = &self.manager {
            manager.status(text);
        }
    }

    /// Feeds the watchdog.
    pub(crate) fn alive(&self) {
        if let Some(manager) = &self.manager {
            manager.alive();
        }
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    pub(crate) fn wake(&self, event: Event) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker(event);
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The process's exit code: what it ended with, in as many bits as there are.
fn exit_code(code: u32) -> ExitCode {
    // One that would look like success in eight bits is none.
    let low = u8::try_from(code & 0xFF).unwrap_or(1);
    ExitCode::from(if code != 0 && low == 0 { 1 } else { low })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_failure_never_looks_like_success() {
        let text = |code| format!("{:?}", super::exit_code(code));
        assert_eq!(text(0), format!("{:?}", std::process::ExitCode::from(0)));
        assert_eq!(text(256), format!("{:?}", std::process::ExitCode::from(1)));
        assert_eq!(text(7), format!("{:?}", std::process::ExitCode::from(7)));
    }
}
