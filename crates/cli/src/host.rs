//! The keeper under a service manager: what its loop tells, and what the manager asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_core::{Control, PowerChange, SessionChange};
use mainstay_keeper::{Ask, Host};
use mainstay_service::{Event, Power, Reason, Running, Session, State};

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
        // That it was taken is all that the service manager is told of a reload.
        if self.running.state() == State::Reloading {
            self.running.reloaded();
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

    fn on_ask(&self, ask: Box<dyn Fn(Ask) + Send + Sync>) {
        let down = AtomicBool::new(false);
        let pass_on = move |event: Event| {
            if !matches!(event, Event::Stop(_)) || !down.swap(true, Ordering::AcqRel) {
                ask(meant(event));
            }
        };
        let pass_on = std::sync::Arc::new(pass_on);
        let early = std::sync::Arc::clone(&pass_on);
        self.running.on_event(move |event| pass_on(event));
        // A stop that came before anybody listened.
        if self.running.is_stopping() {
            early(Event::Stop(Reason::Asked));
        }
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
}
