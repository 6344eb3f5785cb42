//! The service manager: what it is told, and what it asks.

use std::time::Duration;

use mainstay_core::{Control, Frost, Over, Time};

use super::{Keeper, now};
use crate::Ask;
use crate::state::Left;

/// A service manager hears so often that the loop turns. It takes more than 10 s without a word for a sign of trouble.
const BEAT: Duration = Duration::from_secs(1);

/// So long a service manager is let wait for services that do not come up: its own patience ends, and what waits for the
/// stack at boot is better off trying.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A pause that does not come about, because something does not freeze or no daemon answers, is given up after this.
const FROZEN_WITHIN: Duration = Duration::from_secs(30);

impl Keeper {
    /// Lets the service manager know that the loop turns.
    pub(super) fn beat(&mut self, now: Time) {
        let Some(host) = self.args.host.clone() else { return };
        if self.next_beat.is_some_and(|due| due <= now) {
            self.next_beat = Some(now.after(BEAT));
            host.beat();
            if self.ready && now.since(self.started) >= READY_WITHIN {
                self.tell_ready();
            }
        }
    }

    /// The stack is up, as far as a service manager is concerned.
    pub(super) fn tell_ready(&mut self) {
        if let Some(host) = self.args.host.as_ref().filter(|_| !self.told_ready) {
            host.ready();
        }
        self.told_ready = true;
    }

    pub(super) fn asked(&mut self, ask: Ask) {
        match ask {
            // It has patience of its own, and no impatience that we would have to hear.
            Ask::Down(by) => self.want_down(by, Left::IsStopped),
            Ask::Control(control) => {
                if matches!(control, Control::Pause | Control::Continue) {
                    self.freezing = Some((control, now().after(FROZEN_WITHIN)));
                }
                self.state.control("the service manager", control);
            }
            Ask::Reload => self.state.reload("the service manager"),
        }
    }

    /// How far the stack is with pausing. What the daemon says before it has heard of a wish is no answer to it.
    pub(super) fn frost(&mut self, frost: Frost) {
        let Some(host) = self.args.host.as_ref().filter(|_| self.told_ready) else { return };
        let wish = self.freezing.map(|(control, _)| control);
        match (frost, wish) {
            (Frost::Frozen, None | Some(Control::Pause)) => host.paused(),
            (Frost::Runs, None | Some(Control::Continue)) => host.continued(),
            _ => return,
        }
        self.freezing = None;
    }

    /// What was wished for does not come about: the service manager sees it run.
    pub(super) fn give_up_freezing(&mut self, now: Time) {
        let Some((control, _)) = self.freezing.filter(|(_, until)| *until <= now) else { return };
        self.freezing = None;
        let (what, seconds) = (control.as_str(), FROZEN_WITHIN.as_secs());
        self.log.say(format_args!("{what} did not come about within {seconds} s"));
        if let Some(host) = &self.args.host {
            host.continued();
        }
    }

    /// Nothing runs and nothing will. Under a service manager that is the end: it shows a stack that does nothing as
    /// stopped. Without one, somebody may look at what is left.
    pub(super) fn stack_over(&mut self, over: Over) {
        if self.args.host.is_none() || self.down_since.is_some() {
            return;
        }
        let why =
            if over.failed.is_empty() { "the end of all services" } else { "the failure of its services" };
        self.want_down(why, Left::IsStopped);
        self.over = Some(over.failed);
    }
}
