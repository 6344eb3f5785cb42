//! Job objects: one for the stack, and in it one for each container.
//!
//! A process is in both from its creation, and so is all that it starts; neither lets anything break away. The stack's
//! job ends all of them when its last handle is closed: keeper and daemon have one each, so that the services
//! outlive either of them but never both. Nothing outside can be in the way of that, not even `TerminateProcess`.
//!
//! "All processes within a job must run within the same session" (`AssignProcessToJobObject`): services in somebody's
//! session are in a job of that session in place of the stack's. The keeper alone holds it, so that they end with it.

mod close_window;
mod freeze;
mod helper;
mod limits;

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
};
use windows_sys::Win32::System::Threading::{PROCESS_SYNCHRONIZE, PROCESS_TERMINATE};

use super::{Hits, Kind, Limits, NotEnforced, Signal, Whom, no_main, not_of_it};
use crate::process::ProcessId;
use crate::process::windows as process;
use crate::spawn::Process;
use crate::win::job::{self, Job, Named};
use crate::win::logon::Profile;
use crate::win::security::{Account, Object};
use crate::win::{self, check, explain};
use freeze::Frozen;
use limits::Bounds;

pub(crate) use close_window::close;
pub(crate) use helper::{DESKTOP, Seat, Way, set_helper};

/// A service that crashes ends, instead of waiting for somebody to close a message box that nobody sees.
const STACK_LIMITS: u32 = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;

/// So many earlier keepers' jobs of one stack can be on their way out at once.
const GENERATIONS: u32 = 16;

/// Of a container, with its session if that is not ours.
type Name = (String, Option<u32>);

#[derive(Debug)]
pub(crate) struct Root {
    id: String,
    job: Arc<Job>,
    /// The same job: what a daemon inherits.
    guard: OwnedHandle,
    /// Jobs of earlier keepers of this stack that somebody, their daemon, still holds.
    earlier: Vec<Job>,
    /// In place of the stack's job, by session.
    sessions: Mutex<BTreeMap<u32, Weak<Job>>>,
    containers: Mutex<BTreeMap<Name, Weak<Inner>>>,
}

impl Root {
    pub(super) fn open(stack_id: &str, force: Option<Kind>) -> io::Result<Self> {
        if let Some(kind) = force.filter(|kind| *kind != Kind::Job) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("containment by {} is not to be had on Windows, which has jobs", kind.as_str()),
            ));
        }
        let (job, earlier) = stack_job(stack_id).map_err(|e| explain("no job object for the stack", &e))?;
        let guard = job.duplicate(true)?;
        Ok(Self {
            id: stack_id.to_owned(),
            job: Arc::new(job),
            guard,
            earlier,
            sessions: Mutex::default(),
            containers: Mutex::default(),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::Job
    }

    pub(super) fn end_leftovers(&self, recorded: &[ProcessId], deadline: Duration) -> io::Result<u32> {
        let start = Instant::now();
        let mut count = 0;
        for job in &self.earlier {
            count += job.end(deadline.saturating_sub(start.elapsed()))?;
        }
        // The earlier job may be gone with its last handle: then Windows is ending these just now.
        for id in recorded {
            let Some(handle) = process::open_exactly(id, PROCESS_SYNCHRONIZE)? else { continue };
            if process::wait_ended(&handle, 0) {
                continue;
            }
            count += u32::from(process::kill(id)?);
            let left = deadline.saturating_sub(start.elapsed()).as_millis();
            if !process::wait_ended(&handle, u32::try_from(left).unwrap_or(u32::MAX - 1)) {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("process {} of an earlier keeper was ended and is still there", id.pid),
                ));
            }
        }
        Ok(count)
    }

    pub(super) fn container(&self, name: &str, session: Option<u32>) -> io::Result<Container> {
        let key = (name.to_owned(), session);
        let mut containers = locked(&self.containers);
        if let Some(inner) = containers.get(&key).and_then(Weak::upgrade) {
            return Ok(Container(inner));
        }
        containers.retain(|_, inner| inner.strong_count() > 0);
        let inner = Arc::new(Inner {
            marker: format!("{}/{name}", self.id),
            session,
            outer: session
                .map_or_else(|| Ok(Arc::clone(&self.job)), |session| self.job_of_session(session))?,
            job: Arc::new(self.job_of(name)?),
            frozen: Mutex::new(Frozen::default()),
            bounds: Mutex::new(Bounds::default()),
            profiles: Mutex::default(),
            seat: Mutex::default(),
        });
        containers.insert(key, Arc::downgrade(&inner));
        Ok(Container(inner))
    }

    /// What ends all that runs in a session when we end. It goes with its last container.
    fn job_of_session(&self, session: u32) -> io::Result<Arc<Job>> {
        let mut sessions = locked(&self.sessions);
        if let Some(job) = sessions.get(&session).and_then(Weak::upgrade) {
            return Ok(job);
        }
        let job = Job::anonymous(STACK_LIMITS);
        let job =
            Arc::new(job.map_err(|e| explain(format_args!("no job object for session {session}"), &e))?);
        sessions.retain(|_, job| job.strong_count() > 0);
        sessions.insert(session, Arc::downgrade(&job));
        Ok(job)
    }

    /// With a name, so that the daemon can look into it; without one if the name cannot be had.
    fn job_of(&self, name: &str) -> io::Result<Job> {
        let made = process::identity(std::process::id()).and_then(|own| {
            let descriptor = Account::own().and_then(|account| account.private(Object::Kernel)).ok()?;
            match Job::named(&job_name(&self.id, &own, name), 0, &descriptor) {
                Ok(Named::New(job)) => Some(job),
                _ => None,
            }
        });
        made.map_or_else(|| Job::anonymous(0), Ok)
    }

    pub(super) fn guard_argument(&self) -> String {
        // The daemon's handle has the same number, because it is inherited.
        format!("job:{:x}", self.guard.as_raw_handle().addr())
    }

    /// What a daemon is to inherit.
    pub(crate) fn guard(&self) -> &OwnedHandle {
        &self.guard
    }

    pub(super) fn remove(self) -> io::Result<()> {
        // The job goes with its last handle.
        Ok(())
    }
}

/// The job of a stack has a name, so that the next keeper finds what a dead one left while its daemon has not ended it
/// yet. Each keeper makes one of its own: an old daemon that ends its job must not end the new keeper's services.
fn stack_job(stack_id: &str) -> io::Result<(Job, Vec<Job>)> {
    let descriptor = Account::own()?.private(Object::Kernel)?;
    let mut earlier = Vec::new();
    for generation in 0..GENERATIONS {
        // In the global namespace: the earlier keeper may have been started in another session.
        let name = format!(r"Global\mainstay-{stack_id}-{generation}");
        match Job::named(&name, STACK_LIMITS, &descriptor) {
            Ok(Named::New(job)) => return Ok((job, earlier)),
            Ok(Named::Old(job)) => earlier.push(job),
            // Somebody else's, by the same name: it holds nothing of ours.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            Err(e) => return Err(e),
        }
    }
    Ok((Job::anonymous(STACK_LIMITS)?, earlier))
}

#[derive(Debug)]
pub(crate) struct Guard(Job);

impl Guard {
    pub(super) fn from_argument(argument: &str) -> io::Result<Self> {
        let number = argument.strip_prefix("job:").and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(number) = number.filter(|number| *number != 0) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("not a stack's guard: {argument:?}; it looks like job:1a4"),
            ));
        };
        // SAFETY: the number is that of a handle which this process inherited for this purpose; it is taken once.
        let handle = unsafe { job::inherited(number) };
        // What we start must not keep the services alive in our place.
        // SAFETY: plain values are passed; a number that is no handle gives an error.
        if let Err(e) = check(unsafe { SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, 0) })
        {
            // Not ours to close either.
            std::mem::forget(handle);
            return Err(explain("the stack's job was not inherited", &e));
        }
        Job::from_handle(handle).map(Self).map_err(|e| explain("the inherited handle is no job's", &e))
    }

    pub(super) fn end_all(&self, deadline: Duration) -> io::Result<u32> {
        self.0.end(deadline)
    }
}

/// The name of a container's job. Who it is of is in it, so that it is never that of another keeper.
pub(crate) fn job_name(stack_id: &str, keeper: &ProcessId, container: &str) -> String {
    format!(r"Global\mainstay-{stack_id}-{:x}-{:x}-{container}", keeper.pid, keeper.start)
}

#[derive(Debug)]
struct Inner {
    marker: String,
    /// The session of its processes, if it is not ours.
    session: Option<u32>,
    /// The stack's, or that of the session.
    outer: Arc<Job>,
    job: Arc<Job>,
    frozen: Mutex<Frozen>,
    bounds: Mutex<Bounds>,
    /// Of the accounts that its processes run under.
    profiles: Mutex<Vec<Profile>>,
    /// How to reach their desktop.
    seat: Mutex<Option<Arc<Seat>>>,
}

#[derive(Debug)]
pub(crate) struct Container(Arc<Inner>);

impl Container {
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let empty = self.0.job.is_at_work().map(|busy| !busy)?;
        if empty {
            locked(&self.0.profiles).clear();
        }
        Ok(empty)
    }

    /// Keeps a profile loaded until nothing is left of the process that was just made.
    pub(crate) fn keep(&self, profile: Profile) {
        locked(&self.0.profiles).push(profile);
    }

    pub(crate) fn session(&self) -> Option<u32> {
        self.0.session
    }

    /// On which desktop the process runs that was just made. Until there is another one.
    pub(crate) fn seat(&self, seat: Seat) {
        *locked(&self.0.seat) = Some(Arc::new(seat));
    }

    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        self.0.job.working()
    }

    pub(super) fn signal(&self, main: Option<&Process>, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Interrupt => self.ask(Way::CtrlC, main),
            Signal::CtrlBreak => self.ask(Way::CtrlBreak, main),
            Signal::CloseWindow => match self.desktop()? {
                Some(_) => self.ask(Way::CloseWindow, None),
                None => close_window::close(&self.0.job.working()?),
            },
            Signal::Number(number) => Err(no_signals(number)),
            Signal::Kill => self.kill(),
        }
    }

    /// Where a helper is needed to reach its desktop.
    fn desktop(&self) -> io::Result<Option<Arc<Seat>>> {
        let seat = locked(&self.0.seat).clone();
        if self.0.session.is_some() && seat.is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nothing of it runs"));
        }
        Ok(seat)
    }

    /// Lets a helper ask its main process to end, or all that is left.
    fn ask(&self, way: Way, main: Option<&Process>) -> io::Result<()> {
        let mut held = Vec::new();
        match main.filter(|main| !process::wait_ended(&main.handle, 0)) {
            Some(main) => held.push((main.pid, win::duplicate(win::raw(&main.handle), false)?)),
            None => {
                for pid in self.0.job.working()? {
                    held.extend(self.0.job.open(pid, 0)?.map(|process| (pid, process)));
                }
            }
        }
        helper::ask(self.desktop()?, way, held)
    }

    pub(super) fn send(&self, main: Option<&Process>, whom: Whom, signal: Signal) -> io::Result<u32> {
        let job = &self.0.job;
        let main = main.filter(|main| !process::wait_ended(&main.handle, 0));
        // While it is open its number is its own.
        let right = if signal == Signal::Kill { PROCESS_TERMINATE } else { 0 };
        let held = match whom {
            Whom::Main => {
                let pid = main.ok_or_else(no_main)?.pid;
                vec![(pid, job.open(pid, right)?.ok_or_else(no_main)?)]
            }
            Whom::One(pid) => vec![(pid, job.open(pid, right)?.ok_or_else(|| not_of_it(pid))?)],
            Whom::All => {
                let mut all = Vec::new();
                for pid in job.working()? {
                    all.extend(job.open(pid, right)?.map(|handle| (pid, handle)));
                }
                all
            }
        };
        let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nothing of it is left"));
        }
        match signal {
            Signal::Interrupt => helper::ask(self.desktop()?, Way::CtrlC, held)?,
            Signal::CtrlBreak => helper::ask(self.desktop()?, Way::CtrlBreak, held)?,
            Signal::CloseWindow => match self.desktop()? {
                Some(seat) => helper::ask(Some(seat), Way::CloseWindow, held)?,
                None => close_window::close(&held.iter().map(|(pid, _)| *pid).collect::<Vec<_>>())?,
            },
            Signal::Number(number) => return Err(no_signals(number)),
            Signal::Kill if whom == Whom::All => job.terminate()?,
            Signal::Kill => {
                for (pid, handle) in held {
                    process::end(pid, &handle)?;
                }
            }
        }
        Ok(count)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.0.job.terminate()
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        locked(&self.0.frozen).freeze(&self.0.job)
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        locked(&self.0.frozen).thaw()
    }

    pub(super) fn remove(self) -> io::Result<()> {
        // The job goes with its last handle.
        Ok(())
    }

    pub(super) fn set_limits(&self, limits: &Limits) -> Vec<NotEnforced> {
        locked(&self.0.bounds).set(&self.0.job, limits)
    }

    pub(super) fn begin_run(&self) {
        locked(&self.0.bounds).begin_run(&self.0.job);
    }

    pub(super) fn hits(&self) -> Hits {
        locked(&self.0.bounds).hits(&self.0.job)
    }

    /// For the creation of a process: the outer job first.
    pub(crate) fn jobs(&self) -> [HANDLE; 2] {
        [self.0.outer.handle(), self.0.job.handle()]
    }

    /// The value of the variable by which a process knows whose it is.
    pub(crate) fn marker(&self, run: u64) -> String {
        format!("{}/{run}", self.0.marker)
    }
}

/// Nothing that is done under these locks can leave the value half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_signals(number: i32) -> io::Error {
    let text = format!("there are no signals on Windows, so not {number} either; use ctrl_c or close_window");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
