//! A service as an object with a method for each thing that can happen.

use std::time::Duration;

use crate::event::{Event, Power, Session};
use crate::service::{Failure, Running};

/// A service, method by method. [`Service::run_handler`](crate::Service::run_handler) calls them one after the other, on
/// one thread; none may block for longer than the service manager has patience.
///
/// What it can do beside start and stop is said to the [`Service`](crate::Service): `pausable`, `reloadable`,
/// `custom_controls`.
pub trait Handler: Send + 'static {
    /// Begins to work, on threads of its own, and returns. The service is ready then.
    ///
    /// # Errors
    /// It cannot; the service ends.
    fn start(&mut self, running: &Running) -> Result<(), Failure>;

    /// Stops working, and returns when nothing works any more.
    ///
    /// # Errors
    /// It could not end as it should; the service ends with that code.
    fn stop(&mut self, running: &Running) -> Result<(), Failure>;

    /// Pauses.
    ///
    /// # Errors
    /// It cannot; told in the log, and the service goes on.
    fn pause(&mut self, running: &Running) -> Result<(), Failure> {
        let _ = running;
        Ok(())
    }

    /// Goes on.
    ///
    /// # Errors
    /// It cannot; told in the log.
    fn go_on(&mut self, running: &Running) -> Result<(), Failure> {
        let _ = running;
        Ok(())
    }

    /// Takes its configuration anew.
    ///
    /// # Errors
    /// It cannot; told in the log, and the service goes on as before.
    fn reload(&mut self, running: &Running) -> Result<(), Failure> {
        let _ = running;
        Ok(())
    }

    /// Does what a control of its own means, 128–255.
    ///
    /// # Errors
    /// It cannot; told in the log.
    fn custom(&mut self, running: &Running, code: u8) -> Result<(), Failure> {
        let _ = (running, code);
        Ok(())
    }

    /// Gets to know what becomes of the machine's power, if it [wants to](crate::Service::power_events).
    ///
    /// # Errors
    /// Told in the log.
    fn power(&mut self, running: &Running, power: Power) -> Result<(), Failure> {
        let _ = (running, power);
        Ok(())
    }

    /// Gets to know what becomes of somebody's session, if it [wants to](crate::Service::session_events).
    ///
    /// # Errors
    /// Told in the log.
    fn session(&mut self, running: &Running, id: u32, change: Session) -> Result<(), Failure> {
        let _ = (running, id, change);
        Ok(())
    }
}

/// How often a service that has nothing to do tells that it lives.
const BEAT: Duration = Duration::from_millis(500);

pub(crate) fn drive(mut handler: impl Handler, running: &Running) -> Result<(), Failure> {
    handler.start(running)?;
    running.ready();
    loop {
        let Some(event) = running.next(BEAT) else { continue };
        let done = match event {
            Event::Stop(_) => return handler.stop(running),
            Event::Pause => handler.pause(running).inspect(|()| running.paused()),
            Event::Continue => handler.go_on(running).inspect(|()| running.continued()),
            Event::Reload => handler.reload(running).inspect(|()| running.reloaded()),
            Event::Custom(code) => handler.custom(running, code),
            Event::Power(power) => handler.power(running, power),
            Event::Session { id, change } => handler.session(running, id, change),
        };
        if let Err(failure) = done {
            running.log(crate::Level::Error, &failure.to_string());
            match event {
                Event::Continue => running.paused(),
                Event::Pause => running.continued(),
                Event::Reload => running.reloaded(),
                Event::Stop(_) | Event::Custom(_) | Event::Power(_) | Event::Session { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::event::{MOST, Reason};
    use crate::host::Channel;
    use crate::service::{Answer, Host, Service};
    use crate::status::State;

    /// Does nothing of what it is asked for to its end.
    struct Stuck {
        busy: Sender<()>,
        never: Receiver<()>,
    }

    impl Handler for Stuck {
        fn start(&mut self, _: &Running) -> Result<(), Failure> {
            Ok(())
        }

        fn stop(&mut self, _: &Running) -> Result<(), Failure> {
            Ok(())
        }

        fn custom(&mut self, _: &Running, _: u8) -> Result<(), Failure> {
            self.busy.send(())?;
            Ok(self.never.recv()?)
        }
    }

    #[test]
    fn whoever_asks_is_answered_though_the_service_hangs() {
        let shared = Service::new("x").custom_controls().shared(Channel::new(Host::Terminal, None));
        let running = Running::new(&shared);
        let ((busy, is_busy), (release, never)) = (channel(), channel());
        let service = std::thread::spawn(move || drive(Stuck { busy, never }, &running));
        while shared.ask(Event::Custom(200)) == Answer::NotNow {
            std::thread::yield_now();
        }
        is_busy.recv().expect("it hangs now");
        // Nobody takes them from the queue; without an answer the test would hang, too.
        let answers: Vec<Answer> = (0..=MOST).map(|_| shared.ask(Event::Custom(201))).collect();
        assert_eq!(answers.last(), Some(&Answer::Full));
        assert_eq!(shared.ask(Event::Stop(Reason::Asked)), Answer::Taken);
        drop(release);
        assert!(service.join().expect("it ends").is_ok(), "the stop comes before what waits");
    }

    #[test]
    fn what_changes_during_a_reload_is_read_by_another_one() {
        let shared = Service::new("x").reloadable().pausable().shared(Channel::new(Host::Terminal, None));
        let running = Running::new(&shared);
        running.ready();
        for _ in 0..2 {
            assert_eq!(shared.ask(Event::Reload), Answer::Taken);
        }
        for _ in 0..2 {
            assert_eq!(running.next(Duration::ZERO), Some(Event::Reload));
            running.reloaded();
            assert_eq!(running.state(), State::Running);
        }
        shared.ask(Event::Pause);
        running.paused();
        assert_eq!(shared.ask(Event::Reload), Answer::Taken);
        running.reloaded();
        assert_eq!(running.state(), State::Paused, "a reload does not let it go on");
    }
}
