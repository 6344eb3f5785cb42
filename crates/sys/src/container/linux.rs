//! cgroup v2 where one can be made, sessions otherwise.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal as Number;

use super::{Hits, Kind, Limits, NotEnforced, Signal, Whom, no_main, not_of_it};
use crate::capture::linux::OutputWriter;
use crate::linux::proc;
use crate::process::ProcessId;
use crate::process::linux::{Held, raw};
use crate::spawn::{Process, SpawnError, SpawnErrorKind};

mod cgroup;
mod controllers;
mod leftovers;
mod limits;
mod locate;
mod registry;
mod sweep;
pub(crate) mod usage;

pub(crate) use cgroup::Cgroup;
use controllers::Controllers;
use limits::{Bounds, Tree};
use registry::Registry;

#[derive(Debug)]
pub(crate) struct Root {
    stack: String,
    way: Way<Cgroup, Arc<Registry>>,
    controllers: Arc<Controllers>,
}

/// The two kinds.
#[derive(Debug)]
enum Way<C, S> {
    Cgroup(C),
    Session(S),
}

impl Root {
    pub(super) fn open(stack: &str, force: Option<Kind>) -> io::Result<Root> {
        if stack.is_empty() || !stack.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(invalid(format!("{stack:?} cannot be a stack's id")));
        }
        let way = match force {
            Some(Kind::Job) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "job objects are of Windows"));
            }
            Some(Kind::Cgroup) => Way::Cgroup(cgroup_for(stack)?),
            Some(Kind::Session) => Way::Session(Arc::new(Registry::new(stack))),
            None => match cgroup_for(stack) {
                Ok(cgroup) => Way::Cgroup(cgroup),
                Err(_) => Way::Session(Arc::new(Registry::new(stack))),
            },
        };
        let v2 = match &way {
            Way::Cgroup(cgroup) => Some(cgroup.path().to_owned()),
            Way::Session(_) => None,
        };
        let controllers = Arc::new(Controllers::new(stack, v2));
        Ok(Root { stack: stack.to_owned(), way, controllers })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.way {
            Way::Cgroup(_) => Kind::Cgroup,
            Way::Session(_) => Kind::Session,
        }
    }

    pub(super) fn end_leftovers(&self, recorded: &[ProcessId], deadline: Duration) -> io::Result<u32> {
        leftovers::end(&self.stack, recorded, deadline)
    }

    pub(super) fn container(&self, name: &str, session: Option<u32>) -> io::Result<Container> {
        if session.is_some() {
            let text = "Linux has no sessions of who is signed in for services to run in";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) {
            return Err(invalid(format!("{name:?} cannot be a container's name")));
        }
        let way = match &self.way {
            // With a letter before it no name can collide with the files that the kernel puts there.
            Way::Cgroup(root) => Way::Cgroup(Slot::new(root.child(&format!("c-{name}"))?)),
            Way::Session(registry) => Way::Session(Arc::clone(registry)),
        };
        Ok(Container {
            stack: self.stack.clone(),
            name: name.to_owned(),
            way,
            frozen: AtomicBool::new(false),
            bounds: Bounds::new(Arc::clone(&self.controllers), name),
        })
    }

    pub(super) fn guard_argument(&self) -> String {
        format!("{}:{}", self.kind().as_str(), self.stack)
    }

    pub(super) fn remove(self) -> io::Result<()> {
        let v1 = self.controllers.v1().iter().try_for_each(|dir| limits::remove_empty(dir));
        match &self.way {
            Way::Cgroup(root) => root.remove(),
            Way::Session(_) => Ok(()),
        }
        .and(v1)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// The stack's cgroup, after a process was really put into it.
fn cgroup_for(stack: &str) -> io::Result<Cgroup> {
    let own = locate::own().ok_or_else(|| {
        io::Error::new(io::ErrorKind::Unsupported, "no cgroup v2 hierarchy is mounted here")
    })?;
    let root = Cgroup::make(own.join(locate::name_of(stack)))?;
    match root.probe() {
        Ok(()) => Ok(root),
        Err(error) => {
            // Only if it is empty; then nobody needs it.
            let _ = root.remove();
            Err(error)
        }
    }
}

#[derive(Debug)]
pub(super) struct Guard {
    stack: String,
}

impl Guard {
    pub(super) fn from_argument(argument: &str) -> io::Result<Guard> {
        match argument.split_once(':') {
            Some(("cgroup" | "session", stack)) if !stack.is_empty() => Ok(Guard { stack: stack.to_owned() }),
            _ => Err(invalid(format!("{argument:?} is not what a keeper gives to its daemon"))),
        }
    }

    pub(super) fn end_all(&self, deadline: Duration) -> io::Result<u32> {
        leftovers::end(&self.stack, &[], deadline)
    }
}

/// A container's cgroup, which can be replaced by a new one of the same name.
#[derive(Debug)]
struct Slot(Mutex<Arc<Cgroup>>);

impl Slot {
    fn new(cgroup: Cgroup) -> Slot {
        Slot(Mutex::new(Arc::new(cgroup)))
    }

    fn get(&self) -> Arc<Cgroup> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn renew(&self) -> Arc<Cgroup> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(new) = slot.made_anew() {
            *slot = Arc::new(new);
        }
        Arc::clone(&slot)
    }
}

#[derive(Debug)]
pub(crate) struct Container {
    stack: String,
    name: String,
    way: Way<Slot, Arc<Registry>>,
    /// Nothing is started in it meanwhile: it would stand still before it has begun, and the keeper with it.
    frozen: AtomicBool,
    bounds: Bounds,
}

impl Container {
    pub(super) fn session(&self) -> Option<u32> {
        None
    }

    /// What [`crate::spawn::MARKER_VARIABLE`] is for one of its runs.
    pub(crate) fn marker(&self, run: u64) -> String {
        format!("{}/{}/{run}", self.stack, self.name)
    }

    /// For a process that is to be born in it.
    pub(crate) fn cgroup(&self) -> Option<Arc<Cgroup>> {
        match &self.way {
            Way::Cgroup(cgroup) => Some(cgroup.get()),
            Way::Session(_) => None,
        }
    }

    /// The same after its directory was made anew, if it is empty and that can be done.
    pub(crate) fn renewed_cgroup(&self) -> Option<Arc<Cgroup>> {
        match &self.way {
            Way::Cgroup(cgroup) => {
                let new = cgroup.renew();
                self.bounds.renew(&self.tree(&|| self.processes()));
                Some(new)
            }
            Way::Session(_) => None,
        }
    }

    /// `cgroup.procs` of further cgroups that a new process has to enter.
    pub(crate) fn entries(&self) -> io::Result<Vec<OwnedFd>> {
        self.bounds.entries()
    }

    fn tree<'a>(&self, processes: &'a dyn Fn() -> io::Result<Vec<u32>>) -> Tree<'a> {
        let cgroup = match &self.way {
            Way::Cgroup(cgroup) => Some(cgroup.get().path().to_owned()),
            Way::Session(_) => None,
        };
        Tree { cgroup, processes }
    }

    pub(super) fn set_limits(&self, limits: &Limits) -> Vec<NotEnforced> {
        self.bounds.set(limits, &self.tree(&|| self.processes()))
    }

    pub(super) fn begin_run(&self) {
        self.bounds.begin_run(&self.tree(&|| Ok(Vec::new())));
    }

    pub(super) fn hits(&self) -> Hits {
        self.bounds.hits(&self.tree(&|| Ok(Vec::new())))
    }

    /// Whether something can be started in it now.
    pub(crate) fn check_open(&self) -> Result<(), SpawnError> {
        if self.frozen.load(Ordering::Relaxed) {
            let text = format!("the container of {} is frozen; continue it first", self.name);
            return Err(SpawnError::new(SpawnErrorKind::Containment, text));
        }
        Ok(())
    }

    /// A main process was made in it.
    pub(crate) fn started(&self, id: &ProcessId, output: Option<&OutputWriter>) {
        if let Way::Session(registry) = &self.way {
            let pipe = output.and_then(|writer| rustix::fs::fstat(&writer.fd).ok()).map(|found| found.st_ino);
            registry.started(&self.name, id, pipe);
        }
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().is_empty(),
            Way::Session(registry) => {
                let mut none = true;
                let settled = registry.find(&self.name, &mut |_| {
                    none = false;
                    true
                })?;
                Ok(none && settled)
            }
        }
    }

    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().processes(),
            Way::Session(registry) => {
                Ok(registry.members(&self.name)?.into_iter().map(|member| member.pid).collect())
            }
        }
    }

    pub(super) fn signal(&self, main: Option<&Process>, signal: Signal) -> io::Result<()> {
        let number = match signal {
            Signal::Interrupt => Number::TERM,
            Signal::CloseWindow | Signal::CtrlBreak => return Ok(()),
            Signal::Number(number) => signal_number(number)?,
            Signal::Kill => Number::KILL,
        };
        // A stopped process would not hear it.
        let wake = signal == Signal::Interrupt;
        // It leads its session, and so its group, for life; unreaped, its number is its own.
        if let Some(main) = main
            && proc::stat(main.pid).is_some_and(|stat| stat.start == main.id.start && !stat.is_dead())
            && let Some(group) = raw(main.pid)
        {
            // A group that ended meanwhile has got what it was asked for.
            let send = |number| match rustix::process::kill_process_group(group, number) {
                Err(rustix::io::Errno::SRCH) => Ok(()),
                sent => sent,
            };
            send(number)?;
            if wake {
                send(Number::CONT)?;
            }
            return Ok(());
        }
        let mut outcome = Ok(());
        for held in self.hold_all()? {
            let sent =
                held.signal(number).and_then(|_| if wake { held.signal(Number::CONT) } else { Ok(true) });
            outcome = outcome.and(sent.map(drop));
        }
        outcome
    }

    pub(super) fn send(&self, main: Option<&Process>, whom: Whom, signal: Signal) -> io::Result<u32> {
        let number = match signal {
            Signal::Interrupt => Number::TERM,
            Signal::CloseWindow | Signal::CtrlBreak => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "there are only signals on Linux"));
            }
            Signal::Number(number) => signal_number(number)?,
            Signal::Kill => Number::KILL,
        };
        let (held, none) = match whom {
            Whom::Main => {
                let main = main.ok_or_else(no_main)?;
                (Held::open(main.pid, main.id.start).into_iter().collect(), no_main())
            }
            Whom::One(pid) => {
                let mut held = self.hold_all()?;
                held.retain(|held| held.pid == pid);
                (held, not_of_it(pid))
            }
            Whom::All => (self.hold_all()?, io::Error::new(io::ErrorKind::NotFound, "nothing of it is left")),
        };
        let (mut count, mut outcome) = (0, Ok(()));
        for held in held {
            match held.signal(number) {
                Ok(sent) => count += u32::from(sent),
                Err(error) => outcome = Err(error),
            }
        }
        match outcome {
            Err(error) => Err(error),
            Ok(()) if count == 0 => Err(none),
            Ok(()) => Ok(count),
        }
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().kill()?,
            Way::Session(registry) => {
                let until = Instant::now() + sweep::PATIENCE;
                sweep::kill(&mut |report| registry.find(&self.name, report), until)?;
            }
        }
        self.frozen.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        self.frozen.store(true, Ordering::Relaxed);
        let outcome = match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().freeze(),
            Way::Session(registry) => {
                let until = Instant::now() + sweep::PATIENCE;
                sweep::stop(&mut |report| registry.find(&self.name, report), until).map(drop)
            }
        };
        if outcome.is_err() {
            // Half a tree at a standstill is worse than none; the first error is the one to tell.
            let _ = self.thaw();
        }
        outcome
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().thaw()?,
            Way::Session(registry) => sweep::go_on(&registry.members(&self.name)?)?,
        }
        self.frozen.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn remove(self) -> io::Result<()> {
        let v1 = self.bounds.remove();
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().remove(),
            Way::Session(registry) => {
                registry.forget(&self.name);
                Ok(())
            }
        }
        .and(v1)
    }

    /// All processes, such that none of them can be taken for another.
    fn hold_all(&self) -> io::Result<Vec<Held>> {
        match &self.way {
            Way::Cgroup(cgroup) => cgroup.get().hold_all(),
            Way::Session(registry) => Ok(sweep::hold(&registry.members(&self.name)?)),
        }
    }
}

fn signal_number(number: i32) -> io::Result<Number> {
    if let Some(named) = Number::from_named_raw(number) {
        return Ok(named);
    }
    if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) {
        // SAFETY: a real-time signal that the C library leaves to programs.
        return Ok(unsafe { Number::from_raw_unchecked(number) });
    }
    Err(invalid(format!("there is no signal {number}")))
}
