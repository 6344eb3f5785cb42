//! Which stack is meant, and what can be known about it without asking it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use mainstay_api::Client;
use mainstay_daemon::{StoredPlan, read_plan};
use mainstay_keeper::KeeperFile;
use mainstay_sys::dirs::{self, Dirs};

use crate::args::Select;
use crate::failure::{Failure, unknown_service};
use crate::output::words;
use crate::plan_file;

/// The name of the configuration that is looked for in the working directory.
pub const CONFIG: &str = "mainstay.toml";

/// The stack that `mainstay run` puts its services into.
pub const JOBS: &str = "jobs";

/// A stack's name and its directories.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub dirs: Dirs,
}

impl Place {
    /// The stack called `name`. It need not exist.
    ///
    /// # Errors
    /// The name is none.
    pub fn of(name: &str) -> Result<Place, Failure> {
        let dirs = dirs::stack(name).map_err(|e| Failure::usage(e.to_string()))?;
        Ok(Place { name: name.to_owned(), dirs })
    }

    /// The file whose lock the keeper holds for its life.
    pub fn lock_path(&self) -> PathBuf {
        self.dirs.state.join("keeper.lock")
    }

    /// Whether a keeper lives.
    pub fn is_up(&self) -> bool {
        is_locked(&self.lock_path())
    }

    /// What the keeper, or one that was killed, wrote about itself.
    pub fn keeper(&self) -> Option<KeeperFile> {
        KeeperFile::read(&self.dirs)
    }

    /// The plan that runs, or ran last.
    ///
    /// # Errors
    /// There never was one, or it cannot be read.
    pub fn plan(&self) -> Result<StoredPlan, Failure> {
        if !mainstay_daemon::plan_path(&self.dirs.state).exists() {
            return Err(Failure::not_up(&self.name));
        }
        read_plan(&self.dirs.state).map_err(|e| Failure::failed(e.to_string()))
    }

    /// Talks to its daemon.
    pub fn client(&self) -> Client {
        let lock = self.lock_path();
        Client::new(mainstay_sys::endpoint::address(&self.dirs, &self.name))
            .keeper_check(move || is_locked(&lock))
    }

    /// The active log file of a service.
    pub fn log_file(&self, service: &str) -> PathBuf {
        mainstay_logs::active_path(&self.dirs.log, service)
    }

    /// This stack has no service of that name; says which one was meant, if that can be guessed.
    pub fn no_such_service<'a>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Failure {
        let failure = unknown_service(name, &self.name, known);
        let elsewhere = dirs::stacks().into_iter().filter(|stack| *stack != self.name).find(|stack| {
            Place::of(stack).is_ok_and(|place| {
                place.is_up()
                    && place
                        .plan()
                        .is_ok_and(|stored| stored.plan.services.keys().any(|n| n.as_str() == name))
            })
        });
        match elsewhere {
            Some(stack) => failure.hint(format!("stack {stack} has one of that name: add `--stack {stack}`")),
            None => failure,
        }
    }
}

fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // Shared, so that two that look at the same time do not take each other for a keeper.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Every stack of this user that is up, by name.
pub fn all_up() -> Vec<Place> {
    dirs::stacks().iter().filter_map(|name| Place::of(name).ok()).filter(Place::is_up).collect()
}

/// The configuration that the command line or the working directory names; none if neither does.
///
/// # Errors
/// The file that was named is not there.
pub fn config_path(select: &Select) -> Result<Option<PathBuf>, Failure> {
    let path = match (&select.stack, &select.file) {
        (Some(_), _) => return Ok(None),
        (None, Some(file)) => file.clone(),
        (None, None) if Path::new(CONFIG).is_file() => PathBuf::from(CONFIG),
        (None, None) => return Ok(None),
    };
    let path = if path.is_dir() { path.join(CONFIG) } else { path };
    if !path.is_file() {
        return Err(Failure::usage(format!("there is no file {}", path.display()))
            .hint("`-f FILE` names a configuration, `-s NAME` a stack that is up"));
    }
    std::path::absolute(&path).map(Some).map_err(|e| Failure::io("find", path.display(), &e))
}

/// The stack that is meant: by name, by configuration, or the only one that is up.
///
/// # Errors
/// There is none, or there are several; the configuration is wrong.
pub fn select(select: &Select) -> Result<Place, Failure> {
    if let Some(name) = &select.stack {
        return Place::of(name);
    }
    if let Some(path) = config_path(select)? {
        return of_config(&path);
    }
    let up = all_up();
    match up.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::not_there(format!("there is no {CONFIG} here, and no stack is up"))
            .hint("`mainstay up -f FILE` starts a stack, `mainstay run -- PROGRAM` a single program")),
        several => {
            let names: Vec<&str> = several.iter().map(|place| place.name.as_str()).collect();
            Err(Failure::usage(format!("{} stacks are up: {}", several.len(), words::list(&names)))
                .hint("choose one with `--stack NAME`"))
        }
    }
}

/// The stack of a configuration. If one that was made from this file is up, it is that one, whatever the file says by
/// now: a bad edit must not take away the means to look at what runs.
fn of_config(path: &Path) -> Result<Place, Failure> {
    let from_it = |place: &Place| place.keeper().and_then(|k| k.config).is_some_and(|config| config == path);
    for name in dirs::stacks() {
        let place = Place::of(&name)?;
        if from_it(&place) && place.is_up() {
            return Ok(place);
        }
    }
    let plan = plan_file::load(path)?.plan;
    Place::of(&plan.stack)
}
