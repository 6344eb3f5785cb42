//! What a service is asked for, and the queue that it waits in.

use std::collections::VecDeque;

/// Something that the service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// To stop, and why.
    Stop(Reason),
    /// To pause; answered with [`Running::paused`](crate::Running::paused).
    Pause,
    /// To go on; answered with [`Running::continued`](crate::Running::continued).
    Continue,
    /// To take its configuration anew; answered with [`Running::reloaded`](crate::Running::reloaded).
    Reload,
    /// A control of its own, 128–255: `sc control NAME 128` on Windows; SIGUSR1 is 128 and SIGUSR2 is 129 on Unix.
    Custom(u8),
    /// The machine's power changes (Windows): only told. For services that want it,
    /// [`Service::power_events`](crate::Service::power_events).
    Power(Power),
    /// Somebody's session changes (Windows): only told. For services that want it,
    /// [`Service::session_events`](crate::Service::session_events).
    Session {
        /// The session's number.
        id: u32,
        /// What became of it.
        change: Session,
    },
}

/// What becomes of the machine's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It is about to sleep; there are about two seconds.
    Suspend,
    /// It is awake again.
    Resume,
    /// It runs on another source, or the battery's state has changed.
    Source,
}

/// What becomes of somebody's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// Somebody has signed in.
    Logon,
    /// And out.
    Logoff,
    /// The screen is locked.
    Lock,
    /// And unlocked.
    Unlock,
    /// It is shown: on the machine's screen, or over the network.
    Connect,
    /// It goes on, and is not shown.
    Disconnect,
}

/// Why a service is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked the service manager, or pressed Ctrl+C.
    Asked,
    /// The machine goes down.
    Shutdown,
}

impl Reason {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Asked => "it was asked to",
            Reason::Shutdown => "the machine goes down",
        }
    }
}

/// So many events wait; another one is refused, and whoever asked is told so. A stop never waits here.
pub(crate) const MOST: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: VecDeque<Event>,
    stop: Option<Reason>,
}

impl Queue {
    /// Whether it is taken.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        match event {
            Event::Stop(reason) => {
                self.stop.get_or_insert(reason);
                true
            }
            event if self.events.len() < MOST => {
                self.events.push_back(event);
                true
            }
            _ => false,
        }
    }

    /// The stop comes before everything else, and again whenever it is asked for.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.stop.map(Event::Stop).or_else(|| self.events.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_everything_but_a_stop() {
        let mut queue = Queue::default();
        for _ in 0..MOST {
            assert!(queue.push(Event::Reload));
        }
        assert!(!queue.push(Event::Custom(200)));
        assert!(queue.push(Event::Stop(Reason::Shutdown)));
        assert!(queue.push(Event::Stop(Reason::Asked)));
        assert_eq!(queue.pop(), Some(Event::Stop(Reason::Shutdown)), "first, although it came last");
        assert_eq!(queue.pop(), Some(Event::Stop(Reason::Shutdown)), "and it stays");
    }
}
