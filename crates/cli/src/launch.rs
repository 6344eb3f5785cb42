//! Starting a keeper, and the leash that holds it while `mainstay up` is in the foreground.

mod take_over;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_daemon::{StoredPlan, write_plan_to};
use mainstay_keeper::{KeeperFile, plan_offer};
use mainstay_sys::link::{self, ChildLink, Link};
use mainstay_sys::{dirs, own};

use crate::failure::{ExitStatus, Failure};
use crate::stack::Place;

/// A keeper that ends what an earlier one left behind may need a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried that another process's look at the lock came across.
const TRIES: u32 = 5;

/// What came of a start.
pub enum Started {
    /// A keeper of ours.
    New(Leash),
    /// There was one; why we can't have another.
    AlreadyUp(Failure),
}

/// Whether the stack is up for as long as this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is.
    Foreground,
    /// It stays up.
    Background,
}

/// What holds a stack that we have started. When it is gone, however that comes, the stack goes down.
pub enum Leash {
    /// The link to a keeper of ours.
    Link(Link),
    /// This process, for a keeper that was there for what was left running.
    Process,
}

impl Leash {
    /// Lets go: the stack stays up without us.
    ///
    /// # Errors
    /// The keeper is gone.
    pub fn detach(self) -> Result<(), Failure> {
        // The keeper that was there was told at once who stays.
        let Leash::Link(mut link) = self else { return Ok(()) };
        link.write_all(b"detached\n").map_err(|e| Failure::failed(format!("the keeper is gone already: {e}")))
    }

    /// Ends everything at once. What comes of it is seen by the keeper's end.
    pub fn kill(self) {
        // A keeper that is gone already has nothing left to kill. One that was there is killed itself, if need be.
        if let Leash::Link(mut link) = self {
            let _ = link.write_all(b"kill\n");
        }
    }
}

/// A killed process is gone in this time.
const KILLED_WITHIN: Duration = Duration::from_millis(500);

/// A keeper that has the lock has told who it is in this time.
const SAYS_SO_WITHIN: Duration = Duration::from_secs(2);

/// Starts the keeper of `place` with this plan and waits until it is ready. One that is there for nothing but what was left
/// running gets the plan.
///
/// # Errors
/// Its directories can't be written, or it does not come up.
pub fn start(place: &Place, plan: &StoredPlan, hold: Hold) -> Result<Started, Failure> {
    for dir in [&place.dirs.run, &place.dirs.state, &place.dirs.log] {
        dirs::create_private(dir).map_err(|e| Failure::io("make the directory", dir.display(), &e))?;
    }
    // A keeper that was just killed holds its lock a moment longer.
    let until = Instant::now() + KILLED_WITHIN;
    while place.is_up() {
        if let Some(resting) = take_over::resting(place)? {
            take_over::with(place, plan, hold, &resting)?;
            return Ok(Started::New(Leash::Process));
        }
        if Instant::now() > until {
            return Ok(Started::AlreadyUp(already_up(place)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // Under a name of our own: another one that starts this stack at the same moment may get it instead.
    let offer = plan_offer(&place.dirs.state);
    let started = write_plan_to(offer.clone(), plan)
        .map_err(|e| Failure::failed(e.to_string()))
        .and_then(|()| try_keepers(place, plan, &offer));
    // The keeper that took it has removed it.
    let _ = std::fs::remove_file(&offer);
    started
}

fn try_keepers(place: &Place, plan: &StoredPlan, offer: &Path) -> Result<Started, Failure> {
    for _ in 0..TRIES {
        let (mut link, child) =
            link::pair().map_err(|e| Failure::failed(format!("cannot make a pipe: {e}")))?;
        spawn(place, plan, offer, child)?;
        let why = match link.read_line(PATIENCE) {
            Ok(Some(line)) if line == "ready" => return Ok(Started::New(Leash::Link(link))),
            Ok(Some(line)) => line.strip_prefix("error: ").unwrap_or(&line).to_owned(),
            Ok(None) => "it ended at once".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                format!("it was not ready within {} s", PATIENCE.as_secs())
            }
            Err(error) => error.to_string(),
        };
        if place.is_up() {
            return Ok(Started::AlreadyUp(already_up(place)));
        }
        // Somebody's look at the lock can be mistaken for another keeper.
        if !why.contains("up already") {
            return Err(not_come_up(place, &why));
        }
    }
    Err(not_come_up(place, "somebody else holds its lock again and again"))
}

fn spawn(place: &Place, plan: &StoredPlan, offer: &Path, link: ChildLink) -> Result<(), Failure> {
    let exe =
        std::env::current_exe().map_err(|e| Failure::failed(format!("cannot find the own program: {e}")))?;
    let mut arguments: Vec<OsString> = vec!["keeper".into(), "--stack".into(), place.name.clone().into()];
    arguments.extend(["--plan".into(), offer.into()]);
    if let Some(config) = &plan.config {
        arguments.extend(["--config".into(), config.into()]);
    }
    let log = daemon_log(place)?;
    own::spawn_keeper(&exe, &arguments, link, log)
        .map(drop)
        .map_err(|e| Failure::io("start a keeper from", exe.display(), &e))
}

fn daemon_log(place: &Place) -> Result<File, Failure> {
    let path = place.dirs.state.join("daemon.log");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|e| Failure::io("open", path.display(), &e))
}

fn already_up(place: &Place) -> Failure {
    let failure = Failure::new(ExitStatus::AlreadyUp, format!("stack {} is up already", place.name));
    let failure = match present_keeper(place) {
        Some(keeper) => {
            let since =
                if keeper.started.is_empty() { String::new() } else { format!(", since {}", keeper.started) };
            let config =
                keeper.config.map(|config| format!(", from {}", config.display())).unwrap_or_default();
            failure.details([format!("its keeper has pid {}{since}{config}", keeper.pid)])
        }
        None => failure,
    };
    failure.hint(format!(
        "`mainstay status --stack {0}` shows it, `mainstay down --stack {0}` stops it",
        place.name
    ))
}

/// Who keeps the stack. One that has just taken it says so a moment later.
fn present_keeper(place: &Place) -> Option<KeeperFile> {
    let until = Instant::now() + SAYS_SO_WITHIN;
    loop {
        let keeper = place.keeper().filter(|keeper| mainstay_sys::process::identity(keeper.pid).is_some());
        if keeper.is_some() || Instant::now() > until {
            return keeper;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn not_come_up(place: &Place, why: &str) -> Failure {
    let path = place.dirs.state.join("daemon.log");
    let text = std::fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4_000)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].iter().map(|line| format!("| {line}"));
    Failure::failed(format!("the keeper of stack {} did not come up: {why}", place.name))
        .details(last)
        .hint(format!("see {}", path.display()))
}
