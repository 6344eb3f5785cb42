//! The keeper under a service manager: what its loop tells, and what the manager asks.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mainstay_core::{Control, PowerChange, SessionChange};
use mainstay_keeper::{Ask, Host};
use mainstay_service::{Event, Power, Reason, Running, Session};

/// The service manager that started the keeper.
#[derive(Debug)]
pub struct Manager {
    running: Running,
    asks: OnceLock<Arc<Asks>>,
}

impl Manager {
    /// The one behind `running`.
    pub fn new(running: Running) -> Manager {
        Manager { running, asks: OnceLock::new() }
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
        if let Some(asks) = self.asks.get() {
            asks.again();
        }
        // What is asked has been passed on already; here it only stops waiting.
        while matches!(self.running.next(Duration::ZERO), Some(event) if !matches!(event, Event::Stop(_))) {}
    }

    fn paused(&self) {
        self.running.paused();
    }

    fn continued(&self) {
        self.running.continued();
    }

    fn on_ask(&self, ask: Box<dyn Fn(Ask) -> bool + Send + Sync>) {
        let asks = Arc::new(Asks { ask, stop: Mutex::new(Stop::Unwanted) });
        let early = Arc::clone(self.asks.get_or_init(|| Arc::clone(&asks)));
        let running = self.running.clone();
        self.running.on_event(move |event| {
            asks.pass_on(event);
            // That it was taken is all that the service manager is told of a reload.
            if event == Event::Reload {
                running.reloaded();
            }
        });
        // A stop that came before anybody listened.
        if self.running.is_stopping() {
            early.pass_on(Event::Stop(Reason::Asked));
        }
    }
}

/// What goes to the keeper's loop. One that is so far behind that it takes nothing more loses what it is asked, but not
/// a stop: the service manager has been told of that, and waits for it.
struct Asks {
    ask: Box<dyn Fn(Ask) -> bool + Send + Sync>,
    stop: Mutex<Stop>,
}

/// How far a stop is. One is enough: a second one would be understood as haste.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Unwanted,
    /// Wanted, and not taken yet.
    Lost(Reason),
    Taken,
}

impl Asks {
    fn pass_on(&self, event: Event) {
        let Event::Stop(reason) = event else {
            (self.ask)(meant(event));
            return;
        };
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if *stop != Stop::Taken {
            *stop = if (self.ask)(meant(event)) { Stop::Taken } else { Stop::Lost(reason) };
        }
    }

    /// Asks again for a stop that was lost.
    fn again(&self) {
        let stop = *self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stop::Lost(reason) = stop {
            self.pass_on(Event::Stop(reason));
        }
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asks").finish_non_exhaustive()
    }
}

/// What an event means to a stack.
fn meant(event: Event) -> Ask {
    match event {
        Event::Stop(Reason::Asked) => Ask::Down("the service manager"),
        Event::Stop(Reason::Shutdown) => Ask::Down("the machine, which shuts down"),
        Event::Pause => Ask::Control(Control::Pause),
        Event::Continue => Ask::Control(Control::Continue),
        Event::Custom(code) => Ask::Control(Control::Code(code)),
        Event::Power(power) => Ask::Control(Control::Power(match power {
            Power::Suspend => PowerChange::Suspend,
            Power::Resume => PowerChange::Resume,
            Power::Source => PowerChange::Source,
        })),
        Event::Session { id, change } => {
            let change = match change {
                Session::Logon => SessionChange::Logon,
                Session::Logoff => SessionChange::Logoff,
                Session::Lock => SessionChange::Lock,
                Session::Unlock => SessionChange::Unlock,
                Session::Connect => SessionChange::Connect,
                Session::Disconnect => SessionChange::Disconnect,
            };
            Ask::Control(Control::Session { id, change })
        }
        Event::Reload => Ask::Reload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_goes_down_takes_the_stack_down() {
        assert_eq!(meant(Event::Stop(Reason::Shutdown)), Ask::Down("the machine, which shuts down"));
        assert_eq!(meant(Event::Stop(Reason::Asked)), Ask::Down("the service manager"));
        assert_eq!(meant(Event::Custom(200)), Ask::Control(Control::Code(200)));
        let (id, change) = (3, SessionChange::Lock);
        let locked = Event::Session { id, change: Session::Lock };
        assert_eq!(meant(locked), Ask::Control(Control::Session { id, change }));
        let asleep = Ask::Control(Control::Power(PowerChange::Suspend));
        assert_eq!(meant(Event::Power(Power::Suspend)), asleep);
    }

    #[test]
    fn a_stop_is_asked_for_until_it_is_taken_and_then_no_more() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let (asked, full) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let (heard, is_full) = (Arc::clone(&asked), Arc::clone(&full));
        let ask = move |ask: Ask| {
            let taken = !is_full.load(Ordering::SeqCst);
            heard.lock().unwrap().push((ask, taken));
            taken
        };
        let asks = Asks { ask: Box::new(ask), stop: Mutex::new(Stop::Unwanted) };
        asks.again();
        asks.pass_on(Event::Stop(Reason::Shutdown));
        full.store(false, Ordering::SeqCst);
        asks.again();
        asks.again();
        asks.pass_on(Event::Stop(Reason::Asked));
        let down = Ask::Down("the machine, which shuts down");
        assert_eq!(*asked.lock().unwrap(), [(down, false), (down, true)]);
    }
}
