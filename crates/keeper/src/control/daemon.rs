//! The daemon: starting, hearing, telling, ending it.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use mainstay_link::{Command, ToDaemon, ToKeeper, VERSION, Welcome};
use mainstay_sys as sys;
use mainstay_sys::link;
use mainstay_sys::mux::Wake;
use mainstay_sys::{own, process};

use super::{End, Keeper, Message, line, now};
use crate::down_request;
use crate::life::Wish;
use crate::start::containment;

/// If so many daemons in a row do not even start when the keeper is new, it gives up: nothing runs that it would have
/// to look after. Later it does so only when somebody asked for the end.
const GIVE_UP_AFTER: u32 = 3;

/// A dead daemon has said so many things at the most that were not yet heard: one frame is in flight.
const MAX_LAST_WORDS: usize = 1024;

impl Keeper {
    pub(super) fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Start => self.start_daemon(),
            Wish::Kill => self.kill_daemon(),
            Wish::Ping(n) => {
                let queues = Some(self.queues());
                self.send(&ToDaemon { ping: Some(n), queues, ..ToDaemon::default() });
            }
            Wish::ReplaceFailed(error) => {
                self.log.say(format_args!("{error}; the program before is back"));
                self.state.replace_failed(error);
            }
        }
    }

    fn start_daemon(&mut self) {
        if self.life.stillborn() >= GIVE_UP_AFTER && down_request::is_asked(&self.args.dirs.state) {
            let reason = self.life.reason();
            self.end =
                Some(End::Forced(format!("mainstay down asked for it, and no daemon starts: {reason}")));
            return;
        }
        let result = self.try_start_daemon();
        if let Err(error) = result {
            let wish = self.life.failed_to_start(&format!("it could not be started: {error}"), now());
            self.daemon_is_gone(wish);
        }
    }

    fn try_start_daemon(&mut self) -> io::Result<()> {
        let (link, child) = link::pair()?;
        let stderr = self.log.handle()?;
        let mut arguments = self.args.daemon_args.clone();
        arguments.extend([OsString::from("--guard"), OsString::from(self.root.guard_argument())]);
        let daemon = own::spawn_daemon(self.life.exe(), &arguments, child, stderr, &self.root)?;
        if let Err(error) = self.mux.watch(&daemon) {
            let _ = process::kill(&daemon.id);
            return Err(error);
        }
        if let Err(error) = self.journal.daemon(&daemon.id) {
            self.log.say(format_args!("cannot write the journal: {error}"));
        }
        self.mux.set_link(Some(link));
        self.daemon = Some(daemon);
        self.greeted = false;
        self.life.started(now());
        Ok(())
    }

    /// Ends it; whatever it still says is not heard. Killed before its link is closed, so that it has no moment in which
    /// to take the closed link for the keeper's death and end everything.
    fn kill_daemon(&mut self) {
        if let Some(daemon) = &self.daemon
            && let Err(error) = process::kill(&daemon.id)
        {
            self.log.say(format_args!("cannot end the daemon, process {}: {error}", daemon.pid));
        }
        self.mux.set_link(None);
        self.greeted = false;
    }

    pub(super) fn daemon_gone(&mut self, exit: sys::Exit) {
        self.daemon = None;
        let later = self.last_words();
        self.mux.set_link(None);
        self.greeted = false;
        let wish = self.life.gone(&format!("it ended with {}", super::trees::exit_of(exit)), now());
        self.daemon_is_gone(wish);
        for wake in later {
            self.handle(wake);
        }
    }

    /// Takes what a dead daemon has said to its end: a client may have its answer already. What else comes is for
    /// later.
    fn last_words(&mut self) -> Vec<Wake<Message>> {
        let mut later = Vec::new();
        for _ in 0..MAX_LAST_WORDS {
            match self.mux.next(Some(Duration::ZERO)) {
                Ok(Wake::Frame(frame)) => self.frame(&frame),
                Ok(Wake::LinkClosed | Wake::Timeout) | Err(_) => break,
                Ok(wake) => later.push(wake),
            }
        }
        later
    }

    fn daemon_is_gone(&mut self, wish: Option<Wish>) {
        self.log.say(format_args!("the daemon is gone: {}", self.life.reason()));
        if let Some(wish) = wish {
            self.fulfil(wish);
        }
        if !self.ready && self.life.stillborn() >= GIVE_UP_AFTER {
            let log = self.args.dirs.state.join("daemon.log");
            let reason = self.life.reason();
            let text = format!("the daemon does not start: {reason}; {} may say more", log.display());
            self.end = Some(End::Failed(text));
        }
    }

    /// It closed its side. Mostly it is dying, and its exit tells more; if not, it is killed a moment later.
    pub(super) fn link_closed(&mut self) {
        self.mux.set_link(None);
        self.greeted = false;
        self.life.lost_link(now());
    }

    fn give_up_daemon(&mut self, why: String) {
        self.log.say(format_args!("the daemon is given up: {why}"));
        let wish = self.life.give_up(why, now());
        self.fulfil(wish);
    }

    pub(super) fn frame(&mut self, frame: &[u8]) {
        let transaction: ToKeeper = match serde_json::from_slice(frame) {
            Ok(transaction) => transaction,
            Err(error) => return self.give_up_daemon(format!("it said something that is no frame: {error}")),
        };
        if let Err(broken) = self.state.apply(transaction.ack, transaction.state) {
            return self.give_up_daemon(broken.0);
        }
        let mut commands = transaction.commands.into_iter();
        if !self.greeted {
            match commands.next() {
                Some(Command::Hello { version: VERSION, build }) => self.greet(&build),
                Some(Command::Hello { version, .. }) => {
                    let text = format!("it speaks version {version} of the protocol, the keeper {VERSION}");
                    return self.give_up_daemon(text);
                }
                _ => return self.give_up_daemon("it did not say hello first".to_owned()),
            }
        }
        for command in commands {
            self.accept(command);
        }
        // Before it counts as ready: a start that comes to nothing is to be seen as one.
        if let Some(over) = transaction.over {
            self.stack_over(over);
        }
        if transaction.settled && self.down_since.is_none() {
            self.tell_ready();
        }
        if let Some(frost) = transaction.frost {
            self.frost(frost);
        }
    }

    fn greet(&mut self, build: &str) {
        let now = now();
        let ping = self.life.hello(now);
        self.greeted = true;
        let welcome = self.state.welcome(Welcome {
            version: VERSION,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            keeper_pid: std::process::id(),
            keeper_started: self.started,
            predecessors: self.life.predecessors(),
            reason: self.life.reason().to_owned(),
            containment: containment(self.root.kind()).to_owned(),
            knows: self.knows(),
            ..Welcome::default()
        });
        self.log.say(format_args!("a daemon, version {build}, is in charge of {} runs", welcome.runs.len()));
        let events = self.state.take_unsent();
        let (tallies, queues) = (self.tallies.clone(), Some(self.queues()));
        let ping = Some(ping);
        self.send(&ToDaemon { welcome: Some(welcome), events, ping, tallies, queues, ..ToDaemon::default() });
        if !self.ready {
            self.ready = true;
            if let Some(mut leash) = self.leash.take() {
                // If it is gone already, the thread sees that too.
                let _ = leash.write_all(line("ready", "").as_bytes());
                self.watch_leash(leash);
            }
        }
    }

    /// Sends all events that the daemon was not sent.
    pub(super) fn flush(&mut self) {
        while self.greeted && self.state.has_unsent() {
            let events = self.state.take_unsent();
            self.send(&ToDaemon { events, ..ToDaemon::default() });
        }
    }

    pub(super) fn send(&mut self, frame: &ToDaemon) {
        let bytes = match serde_json::to_vec(frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                return self.give_up_daemon(format!("what it has to know cannot be written: {error}"));
            }
        };
        match self.mux.send(&bytes) {
            // Gone: that is told in another way.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.give_up_daemon("it does not read what it is told".to_owned());
            }
            Err(error) => self.give_up_daemon(format!("it cannot be told anything: {error}")),
        }
    }
}
