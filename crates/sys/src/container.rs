//! Keeping a run's whole tree of processes together, so that it can be ended, frozen and counted as one.
//!
//! | kind | where | what holds it |
//! |---|---|---|
//! | cgroup | Linux, where a cgroup v2 directory can be made | the kernel; nothing leaves it |
//! | session | Linux otherwise | session, parentage, a marker in the environment, the output pipe |
//! | job | Windows | the kernel; a job object given at creation |

use std::io;
use std::time::Duration;

use crate::process::ProcessId;
use crate::spawn::Process;

mod limits;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

pub use limits::{Hits, Limits, MemoryHit, NotEnforced, ProcessesHit};

/// How trees are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cgroup v2 for each.
    Cgroup,
    /// A session for each, and a walk over what descends from it.
    Session,
    /// A job object for each.
    Job,
}

impl Kind {
    /// Its name: `cgroup`, `session`, `job`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup",
            Kind::Session => "session",
            Kind::Job => "job",
        }
    }
}

/// A way to ask processes to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM (and SIGCONT, so that a stopped one hears it); Ctrl+C to the console on Windows.
    Interrupt,
    /// WM_CLOSE to the windows on Windows; nothing on Linux.
    CloseWindow,
    /// Ctrl+Break to the console on Windows; nothing on Linux.
    CtrlBreak,
    /// A signal by its number on Linux; nothing on Windows.
    Number(i32),
    /// SIGKILL; TerminateProcess on Windows.
    Kill,
}

/// Whom a signal by hand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The main process alone.
    Main,
    /// One process of the tree, by its id.
    One(u32),
    /// All of the tree.
    All,
}

/// All containers of a stack. The keeper has one.
#[derive(Debug)]
pub struct Root(pub(crate) platform::Root);

impl Root {
    /// Finds out what this machine offers, by trying it, and prepares it. `force` asks for one kind.
    ///
    /// # Errors
    /// The forced kind cannot be had here. Without `force` there is always one.
    pub fn open(stack_id: &str, force: Option<Kind>) -> io::Result<Root> {
        platform::Root::open(stack_id, force).map(Root)
    }

    /// How trees are held here.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Ends whatever an earlier keeper of this stack left behind, and waits until it is gone. Before anything is
    /// started. `recorded`: the main processes that the journal knows. Says how many processes it ended.
    ///
    /// # Errors
    /// `TimedOut` if something is left after `deadline`; its message names the processes.
    pub fn end_leftovers(&self, recorded: &[ProcessId], deadline: Duration) -> io::Result<u32> {
        self.0.end_leftovers(recorded, deadline)
    }

    /// The container of this name, made or reused.
    pub fn container(&self, name: &str) -> io::Result<Container> {
        self.0.container(name, None).map(Container)
    }

    /// The same for processes in somebody's session (Windows): they run as who is signed in there, on that desktop, and are
    /// held apart from those of other sessions. In our own session, or without one, it is [`Root::container`].
    ///
    /// # Errors
    /// `Unsupported` on Linux, which has no such sessions.
    pub fn container_in(&self, name: &str, session: Option<u32>) -> io::Result<Container> {
        self.0
            .container(name, session.filter(|session| crate::session::own() != Some(*session)))
            .map(Container)
    }

    /// What a daemon needs to end everything if the keeper is lost; goes on its command line.
    pub fn guard_argument(&self) -> String {
        self.0.guard_argument()
    }

    /// Takes away what [`Root::open`] made, once all containers are removed. Something still running keeps it.
    pub fn remove(self) -> io::Result<()> {
        self.0.remove()
    }
}

/// In the daemon: the means to end all trees when the keeper is gone.
#[derive(Debug)]
pub struct Guard(platform::Guard);

impl Guard {
    /// From [`Root::guard_argument`].
    pub fn from_argument(argument: &str) -> io::Result<Guard> {
        platform::Guard::from_argument(argument).map(Guard)
    }

    /// Ends every tree of the stack and waits until they are gone; says how many processes that were.
    ///
    /// # Errors
    /// `TimedOut` if something is left after `deadline`.
    pub fn end_all(&self, deadline: Duration) -> io::Result<u32> {
        self.0.end_all(deadline)
    }
}

/// One tree of processes. Dropping this leaves the tree alone.
#[derive(Debug)]
pub struct Container(pub(crate) platform::Container);

impl Container {
    /// The session of its processes, if it is another one than ours.
    pub fn session(&self) -> Option<u32> {
        self.0.session()
    }

    /// Whether no process of the tree is left. One that ended but was not yet reaped does not count.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.0.is_empty()
    }

    /// The numbers of all its processes, at this moment.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        self.0.processes()
    }

    /// Sends to the main process and its process group; if `main` is `None` or gone, to all that is left.
    pub fn signal(&self, main: Option<&Process>, signal: Signal) -> io::Result<()> {
        self.0.signal(main, signal)
    }

    /// Sends a signal by hand, and says to how many. Only to processes that are proven to be of this tree: each is held
    /// while it is looked at and sent to, so that no other one can have got its number. Ctrl+C and Ctrl+Break are heard
    /// by all on the console of who they are sent to.
    ///
    /// # Errors
    /// `NotFound`: there is no such process in the tree. `Unsupported`: the platform has no such signal.
    pub fn send(&self, main: Option<&Process>, whom: Whom, signal: Signal) -> io::Result<u32> {
        self.0.send(main, whom, signal)
    }

    /// Ends the whole tree; it cannot be outrun by forking. It may be called again; poll [`Container::is_empty`].
    pub fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    /// Stops the whole tree where it is. Returns when it stands, or after 2 s with `TimedOut` and the tree going on.
    pub fn freeze(&self) -> io::Result<()> {
        self.0.freeze()
    }

    /// Lets the tree go on. Returns when it does.
    pub fn thaw(&self) -> io::Result<()> {
        self.0.thaw()
    }

    /// Makes these limits hold for the tree, and no others; says which of them do not hold here. Also while it runs:
    /// then memory is taken back where less is allowed than is used, which may take a moment and end processes.
    pub fn set_limits(&self, limits: &Limits) -> Vec<NotEnforced> {
        self.0.set_limits(limits)
    }

    /// Says that a run is about to begin: [`Container::hits`] counts from here on.
    pub fn begin_run(&self) {
        self.0.begin_run();
    }

    /// What the tree came up against of its limits, as far as the system counts it.
    pub fn hits(&self) -> Hits {
        self.0.hits()
    }

    /// Takes the empty container away.
    pub fn remove(self) -> io::Result<()> {
        self.0.remove()
    }
}

fn no_main() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "its main process is gone; --all reaches what is left")
}

fn not_of_it(pid: u32) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("process {pid} is none of its processes"))
}
