//! The leash: whoever stays with the stack in the foreground. When that process ends, the stack goes down. And the rest
//! without one: everything down but what was left running.

use std::io;
use std::thread;
use std::time::Duration;

use mainstay_link::{KNOWS, REST};
use mainstay_sys::link::Link;
use mainstay_sys::mux::Sender;
use mainstay_sys::process;

use super::{End, Keeper, Message};

/// How often it is looked whether a process that took the stack over is there.
const LOOK: Duration = Duration::from_millis(250);

impl Keeper {
    /// What a daemon may ask for. Nothing is left running under a service manager, which ends everything anyway.
    pub(super) fn knows(&self) -> Vec<String> {
        let hosted = self.args.host.is_some();
        KNOWS.into_iter().filter(|word| !(hosted && *word == REST)).map(str::to_owned).collect()
    }

    /// Watches the leash that this keeper was started with.
    pub(super) fn watch_leash(&mut self, leash: Link) {
        let (sender, number) = (self.mux.sender(), self.leash_number);
        self.start_watch(move || {
            if held(leash, &sender) == Held::UntilTheEnd {
                tell_closed(&sender, number);
            }
        });
    }

    /// The stack comes up again; with a leash, for as long as that process is there.
    pub(super) fn wake_up(&mut self, leash: Option<u32>) {
        self.rests = false;
        let Some(pid) = leash else { return };
        let (sender, number) = (self.mux.sender(), self.leash_number);
        let holder = process::identity(pid);
        self.start_watch(move || {
            while holder.as_ref().is_some_and(process::is_alive) {
                thread::sleep(LOOK);
            }
            tell_closed(&sender, number);
        });
    }

    fn start_watch(&mut self, watch: impl FnOnce() + Send + 'static) {
        if let Err(error) = thread::Builder::new().name("leash".into()).spawn(watch) {
            self.end = Some(End::Failed(format!("cannot start a thread: {error}")));
        }
    }

    /// Everything is down but what was left running: nobody waits for the end any more.
    pub(super) fn rest(&mut self) {
        self.log.say(format_args!("the stack is down, but for what was left running"));
        self.down_since = None;
        self.leash_number = self.leash_number.wrapping_add(1);
        self.rests = true;
        self.state.rests();
    }
}

/// How long a leash was held.
#[derive(PartialEq, Eq)]
enum Held {
    /// Until it was let go.
    UntilDetached,
    /// Until its other side was gone.
    UntilTheEnd,
}

/// Ends with `detached`, or with the leash. `kill` is a second Ctrl+C: no more patience.
fn held(mut leash: Link, sender: &Sender<Message>) -> Held {
    loop {
        match leash.read_line(Duration::from_secs(3600)) {
            Ok(Some(text)) if text == "detached" => return Held::UntilDetached,
            Ok(Some(text)) if text == "kill" => {
                sender.send(Message::KillWanted);
            }
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Ok(None) | Err(_) => return Held::UntilTheEnd,
        }
    }
}

fn tell_closed(sender: &Sender<Message>, number: u32) {
    while !sender.send(Message::LeashClosed(number)) {
        thread::sleep(Duration::from_millis(100));
    }
}
