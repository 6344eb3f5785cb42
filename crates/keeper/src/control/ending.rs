//! The end: every tree, every log, the daemon, and what the keeper itself has made.

use std::sync::Arc;
use std::time::Duration;

use mainstay_core::Time;
use mainstay_link::ToDaemon;
use mainstay_sys::mux::Wake;
use mainstay_sys::process;

use super::trees::is_empty;
use super::{End, Keeper, Message, line, now};
use crate::capture::{Order, Told};
use crate::start::KeeperFile;
use crate::{Error, down_request};

/// The daemon, when everything is down, ends by itself within this …
const DAEMON_ENDS: Duration = Duration::from_millis(500);

/// … or when its link is closed, within this; and when it is killed.
const DAEMON_DIES: Duration = Duration::from_secs(3);

/// Trees that were killed are waited for so long.
const TREES_END: Duration = Duration::from_secs(10);

/// They are killed again after this.
const KILL_AGAIN: Duration = Duration::from_millis(500);

/// What is in the pipes is written to the logs within this.
const LOGS_END: Duration = Duration::from_secs(5);

/// How often it is looked whether something has ended that does not tell.
const LOOK: Duration = Duration::from_millis(5);

impl Keeper {
    pub(super) fn finish(mut self, end: End) -> Result<(), Error> {
        self.life.end();
        if let Some(host) = &self.args.host {
            host.stopping();
        }
        let (gentle, result) = match end {
            End::Down => match self.over.take() {
                Some(failed) if !failed.is_empty() => (true, Err(Error::Stack(failed))),
                _ => (true, Ok(())),
            },
            End::Forced(why) => {
                self.log.say(format_args!("everything is ended by force: {why}"));
                // Who reads the events later learns it from the daemon, if that still does anything.
                self.send(&ToDaemon { forced: Some(why), ..ToDaemon::default() });
                self.wait(DAEMON_ENDS, |keeper| keeper.daemon.is_none());
                (false, Ok(()))
            }
            End::Failed(why) => {
                self.log.say(format_args!("giving up: {why}"));
                (false, Err(Error::Failed(why)))
            }
        };
        if gentle {
            self.wait(DAEMON_ENDS, |keeper| keeper.daemon.is_none());
        }
        // The trees go before the link: a daemon whose link closes ends them in its own way.
        let mut left = Vec::new();
        if gentle {
            left = self.end_trees();
            self.mux.set_link(None);
            self.wait(DAEMON_DIES, |keeper| keeper.daemon.is_none());
        }
        if let Some(daemon) = &self.daemon {
            let _ = process::kill(&daemon.id);
        }
        self.mux.set_link(None);
        if !gentle {
            left = self.end_trees();
        }
        self.wait(DAEMON_DIES, |keeper| keeper.daemon.is_none());
        self.end_logs();
        self.put_away(&left, result)
    }

    /// Kills every tree and waits; tells the processes that did not end.
    fn end_trees(&mut self) -> Vec<u32> {
        let mut again = Time::ZERO;
        self.wait(TREES_END, |keeper| {
            let mut all_empty = true;
            let kill = now() >= again;
            for slot in keeper.slots.values().filter(|slot| slot.run.is_some()) {
                if !is_empty(&slot.container).unwrap_or(false) {
                    all_empty = false;
                    if kill && let Err(error) = slot.container.kill() {
                        keeper.log.say(format_args!("cannot kill a tree: {error}"));
                    }
                }
            }
            if kill {
                again = now().after(KILL_AGAIN);
            }
            all_empty && keeper.by_pid.is_empty()
        });
        self.slots.values().filter_map(|slot| slot.container.processes().ok()).flatten().collect()
    }

    /// Handles what still comes, until `done` or the deadline.
    fn wait(&mut self, most: Duration, mut done: impl FnMut(&mut Keeper) -> bool) {
        let until = now().after(most);
        while !done(self) && now() < until {
            self.beat(now());
            match self.mux.next(Some(LOOK)) {
                Ok(Wake::ChildExited { pid, .. }) => {
                    self.by_pid.remove(&pid);
                    if self.daemon.as_ref().is_some_and(|daemon| daemon.pid == pid) {
                        self.daemon = None;
                    }
                }
                Ok(Wake::Message(Message::Capture(Told::Grumble(text)))) => {
                    self.log.say(format_args!("{text}"))
                }
                Ok(Wake::Message(Message::Capture(Told::Stopped))) => self.capture_stopped = true,
                // Nobody is there to be told, and nothing more is done for anybody.
                Ok(_) => {}
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn end_logs(&mut self) {
        self.capture.order(Order::Stop);
        self.wait(LOGS_END, |keeper| keeper.capture_stopped);
        if !self.capture_stopped {
            self.log.say(format_args!("the logs did not take everything within {} s", LOGS_END.as_secs()));
        }
    }

    /// Takes away what the keeper has made, unless something is left that the next one has to end.
    fn put_away(mut self, left: &[u32], mut result: Result<(), Error>) -> Result<(), Error> {
        for (_, slot) in self.slots {
            if let Some(container) = Arc::into_inner(slot.container) {
                let _ = container.remove();
            }
        }
        KeeperFile::remove(&self.args.dirs);
        down_request::clear(&self.args.dirs.state);
        if left.is_empty() {
            if let Err(error) = self.journal.clear().and_then(|()| self.root.remove()) {
                self.log.say(format_args!("cannot put everything away: {error}"));
            }
        } else {
            let text = format!("processes that do not end although they were killed: {left:?}");
            self.log.say(format_args!("{text}"));
            result = result.and(Err(Error::Failed(text)));
        }
        if let (Err(error), Some(leash)) = (&result, &mut self.leash) {
            let _ = leash.write_all(line("error: ", &error.to_string()).as_bytes());
        }
        self.log.say(format_args!("process {} ends", std::process::id()));
        // The lock goes last: whoever gets it finds nothing of us.
        drop(self.lock);
        result
    }
}
