//! Which stack is meant, and what can be known about it without asking it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use mainstay_api::Client;
use mainstay_daemon::{StoredPlan, read_plan};
use mainstay_keeper::KeeperFile;
use mainstay_sys::dirs::{self, Dirs};

use crate::args::{Over, Select};
use crate::failure::{Failure, unknown_service};
use crate::output::words;
use crate::plan_file;

/// The name of the configuration that is looked for in a directory, among those with other endings.
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

    /// `names` with the common name of several services (instances, for one) replaced by theirs; what is no common
    /// name stays.
    pub fn expand(&self, names: &[String]) -> Vec<String> {
        // A stack without a stored plan has no common names.
        let Ok(stored) = self.plan() else { return names.to_vec() };
        let services = &stored.plan.services;
        let of = |name: &String| -> Vec<String> {
            let called = |plan: &mainstay_core::ServicePlan| {
                plan.instance_of.as_ref().is_some_and(|of| of.as_str() == name)
            };
            let all = services.iter().filter(|(_, plan)| called(plan)).map(|(name, _)| name.to_string());
            let all: Vec<String> =
                if services.contains_key(name.as_str()) { Vec::new() } else { all.collect() };
            if all.is_empty() { vec![name.clone()] } else { all }
        };
        names.iter().flat_map(of).collect()
    }

    /// This stack has no service of that name; says which one was meant, if that can be guessed.
    pub fn no_such_service<'a>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Failure {
        let near = crate::failure::nearest(name, known.clone()).is_some();
        let failure = unknown_service(name, &self.name, known);
        match crate::names::elsewhere(name, &self.name) {
            Some(full) if full.ends_with(&format!("/{name}")) => {
                failure.hint(format!("did you mean `{full}`, of another stack?"))
            }
            Some(other) if !near => failure.hint(format!("did you mean `{other}`, of another stack?")),
            _ => failure,
        }
    }
}

/// Removes directories of Mainstay's that are empty, from this one up: they go with the last that was in them.
pub fn remove_empty(dir: Option<&Path>) {
    let named = |dir: &Path| dir.file_name().is_some_and(|name| name.eq_ignore_ascii_case("mainstay"));
    let ours = |dir: &&Path| dir.ancestors().take(3).any(named);
    for dir in dir.into_iter().flat_map(Path::ancestors).take_while(ours) {
        if std::fs::remove_dir(dir).is_err() {
            return;
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
    let path = match (&select.stack, select.files.first()) {
        (Some(_), _) => return Ok(None),
        // One without a `mainstay.toml` is the configuration itself: all files in it.
        (None, Some(file)) if file.is_dir() => in_directory(file)?.unwrap_or_else(|| file.clone()),
        (None, Some(file)) => file.clone(),
        (None, None) => match in_directory(Path::new("."))? {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    if !path.exists() {
        return Err(Failure::usage(format!("there is no file {}", path.display()))
            .hint("`-f FILE` names a configuration, `-s NAME` a stack that is up"));
    }
    std::path::absolute(&path).map(Some).map_err(|e| Failure::io("find", path.display(), &e))
}

/// The files that the command line names, or the one in the working directory; none if neither is there.
///
/// # Errors
/// A file that was named is not there.
pub fn config_paths(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if files.is_empty() {
        return Ok(config_path(&Select::default())?.into_iter().collect());
    }
    let one = |file: &PathBuf| config_path(&Select { files: vec![file.clone()], ..Select::default() });
    files.iter().filter_map(|file| one(file).transpose()).collect()
}

fn in_directory(directory: &Path) -> Result<Option<PathBuf>, Failure> {
    mainstay_config::file_in(directory).map_err(|several| {
        let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
        Failure::usage(format!("there are several configurations: {}", names.join(", ")))
            .hint("choose with `-f FILE`; several `-f` go over each other")
    })
}

/// The files of the configuration that is meant; none if a stack is named, or there is no file.
///
/// # Errors
/// A file that was named is not there.
pub fn config_files(select: &Select) -> Result<Option<Vec<PathBuf>>, Failure> {
    let files = if select.stack.is_some() { Vec::new() } else { config_paths(&select.files)? };
    Ok(Some(files).filter(|files| !files.is_empty()))
}

/// The stack that is meant: by name, by configuration, or the only one that is up.
///
/// # Errors
/// There is none, or there are several; the configuration is wrong.
pub fn select(select: &Select) -> Result<Place, Failure> {
    if let Some(name) = &select.stack {
        return Place::of(name);
    }
    if let Some(files) = config_files(select)? {
        return of_config(&files, select.env.clone());
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
fn of_config(files: &[PathBuf], env: Option<String>) -> Result<Place, Failure> {
    let path = files.first().map_or(Path::new(CONFIG), PathBuf::as_path);
    let from_it = |place: &Place| place.keeper().and_then(|k| k.config).is_some_and(|config| config == path);
    for name in dirs::stacks() {
        let place = Place::of(&name)?;
        if from_it(&place) && place.is_up() {
            return Ok(place);
        }
    }
    let plan = plan_file::load(files, &Over { env, ..Over::default() })?.plan;
    Place::of(&plan.stack)
}
