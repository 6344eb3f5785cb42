//! The configuration files of a stack that is there: where they are, how they are read again, and how they are
//! changed.

use std::path::{Path, PathBuf};

use mainstay_api::types::Apply;
use mainstay_core::Plan;
use mainstay_daemon::Source;

use crate::args::Waiting;
use crate::edit_toml;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::Installed;
use crate::names::Meant;
use crate::output::Output;
use crate::plan_file::{self, Inputs, LoadedPlan};
use crate::reload;
use crate::runtime::block_on;
use crate::stack::Place;

/// A stack's configuration.
#[derive(Debug)]
pub struct OwnFile {
    place: Place,
    inputs: Inputs,
    installed: Option<Installed>,
}

/// What the commands that change a configuration have in common on their command lines.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Only say what would be changed
    #[arg(long)]
    dry_run: bool,

    /// Only write the file; a stack that is up stays as it is
    #[arg(long)]
    no_apply: bool,

    #[command(flatten)]
    waiting: Waiting,

    /// Change this file of a stack that has several [default: the first]
    #[arg(long = "in", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A change of one file, which was tried and would be accepted.
#[derive(Debug)]
pub struct Change {
    file: PathBuf,
    before: String,
    after: String,
    /// What comes of it.
    pub loaded: LoadedPlan,
}

impl OwnFile {
    /// The one that `place` was started with last, or was installed with if it never was.
    ///
    /// # Errors
    /// It was started without one.
    pub fn of(place: &Place) -> Result<OwnFile, Failure> {
        let (installed, started) = (Installed::read(place), inputs_of(place));
        let (inputs, installed) = match (installed, started) {
            (Some(installed), Ok(started)) if installed.inputs != started => (started, None),
            (Some(installed), _) => (installed.inputs.clone(), Some(installed)),
            (None, started) => (started?, None),
        };
        Ok(OwnFile { place: place.clone(), inputs, installed })
    }

    /// The file that is to be changed: the one that was named, or the first.
    ///
    /// # Errors
    /// It cannot be found.
    pub fn file(&self, how: &How) -> Result<PathBuf, Failure> {
        match (&how.file, self.inputs.files.first()) {
            (Some(named), _) => {
                std::path::absolute(named).map_err(|error| Failure::io("find", named.display(), &error))
            }
            (None, Some(first)) => Ok(first.clone()),
            (None, None) => Err(Failure::usage("the stack has no file")),
        }
    }

    /// Its content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, file: &Path) -> Result<String, Failure> {
        if file.is_dir() {
            let message =
                format!("{} is a directory, whose files are the configuration together", file.display());
            return Err(Failure::usage(message).hint("`--in FILE` names the one in it that is to be changed"));
        }
        std::fs::read_to_string(file).map_err(|error| Failure::io("read", file.display(), &error))
    }

    /// The configuration as it is in the files. That of an installed stack is read as at its next start: a service
    /// manager's environment is nobody's terminal.
    ///
    /// # Errors
    /// It is wrong.
    pub fn load(&self) -> Result<LoadedPlan, Failure> {
        self.load_unsaved(Vec::new())
    }

    fn load_unsaved(&self, unsaved: Vec<(PathBuf, Vec<u8>)>) -> Result<LoadedPlan, Failure> {
        match &self.installed {
            Some(installed) => installed.load_unsaved(unsaved),
            None => plan_file::load_unsaved(&self.inputs, unsaved, &|name| std::env::var(name).ok()),
        }
    }

    /// Tries another text for a file. None: it is the same.
    ///
    /// # Errors
    /// The configuration would be wrong, or one of another stack.
    pub fn try_text(&self, file: &Path, after: String) -> Result<Option<Change>, Failure> {
        let before = self.read(file)?;
        if before == after {
            return Ok(None);
        }
        let loaded = self.load_unsaved(vec![(file.to_owned(), after.clone().into_bytes())])?;
        if loaded.plan.stack != self.place.name {
            return Err(Failure::usage(format!("that would rename stack {}", self.place.name)).hint(
                "a stack's logs and history go by its name; take it down and install it under another",
            ));
        }
        Ok(Some(Change { file: file.to_owned(), before, after, loaded }))
    }

    /// Makes a change, or says what it would be; nothing if there is none. A stack that is up takes it over at once, and if
    /// that fails all is as before.
    ///
    /// # Errors
    /// The file cannot be written; the stack does not come up so.
    pub fn make(&self, verb: &str, change: Option<Change>, how: &How, output: &mut Output) -> Outcome {
        let Some(change) = change else {
            return self.say(&[], how.dry_run, output);
        };
        plan_file::warn(output, &change.loaded.warnings);
        let difference = edit_toml::difference(&change.before, &change.after);
        let lines = [format!("change {}:\n  {}", change.file.display(), difference.join("\n  "))];
        if !how.dry_run {
            self.write(&change.file, &change.before, &change.after)?;
        }
        self.say(&lines, how.dry_run, output)?;
        if how.no_apply || !self.place.is_up() {
            return Ok(ExitStatus::Done);
        }
        let applied = self.apply(verb, &change, how, output);
        if let Err(failure) = &applied
            && failure.status == ExitStatus::Failed
            && !how.dry_run
        {
            self.write(&change.file, &change.after, &change.before)?;
            output.note(&format!("{} is as it was before", change.file.display()));
        }
        applied
    }

    fn write(&self, file: &Path, before: &str, after: &str) -> Result<(), Failure> {
        mainstay_sys::file::rewrite(file, after.as_bytes())
            .map_err(|error| Failure::failed(error.to_string()))?;
        self.installed.as_ref().map_or(Ok(()), |installed| installed.changed(&self.place, before, after))
    }

    fn apply(&self, verb: &str, change: &Change, how: &How, output: &mut Output) -> Outcome {
        let asked = Apply { plan: change.loaded.plan.clone(), how: verb.to_owned(), dry_run: how.dry_run };
        block_on(async {
            let client = self.place.client();
            let reloading = reload::answer(client.apply(&asked), output)
                .await
                .map_err(|error| Failure::api(error, &self.place.name))?;
            reload::follow(&client, &self.place, reloading, how.waiting, output).await
        })
    }

    fn say(&self, lines: &[String], dry_run: bool, output: &mut Output) -> Outcome {
        output.changes(&self.place.name, lines, dry_run, "is so already")?;
        Ok(ExitStatus::Done)
    }
}

/// What the configuration of a stack that is or was up is made from.
fn inputs_of(place: &Place) -> Result<Inputs, Failure> {
    let stored = place.plan()?;
    let source = match (stored.source, stored.config) {
        (Some(source), _) => source,
        // Started by a version that did not keep the rest.
        (None, Some(config)) => Source { files: vec![config], ..Source::default() },
        (None, None) => {
            return Err(Failure::usage(format!("stack {} was made without a configuration", place.name))
                .hint("`mainstay run` and `mainstay rm` change it"));
        }
    };
    Ok(Inputs {
        files: source.files.iter().map(PathBuf::from).collect(),
        environment: source.environment,
        settings: source.settings,
        sets: source.sets,
        profiles: source.profiles,
    })
}

/// The service that a name means in a configuration; none: the whole file. Instances are changed together.
///
/// # Errors
/// There is none of that name.
pub fn service(meant: &Meant, loaded: &LoadedPlan) -> Result<Option<String>, Failure> {
    let name = match meant.services.as_slice() {
        [] => return Ok(None),
        [one] => one,
        _ => return Err(Failure::usage("one service at a time")),
    };
    let services = &loaded.plan.services;
    if let Some(plan) = services.get(name.as_str()) {
        return Ok(Some(plan.instance_of.as_ref().map_or_else(|| name.clone(), ToString::to_string)));
    }
    if has_service(&loaded.plan, name) {
        return Ok(Some(name.clone()));
    }
    Err(meant.place.no_such_service(name, services.keys().map(|name| name.as_str())))
}

/// The keys that go before those that somebody wrote: the table of the service that was named; for a whole stack `service`
/// if they begin with one of its services, and nothing if they are the file's own.
pub fn below<'n>(service: Option<&'n str>, written: &str, plan: &Plan) -> Vec<&'n str> {
    let first = written.split(['.', '=']).next().unwrap_or_default().trim();
    match service {
        _ if first == SERVICE => Vec::new(),
        Some(name) => vec![SERVICE, name],
        None if !mainstay_config::is_top_key(first) && has_service(plan, first) => vec![SERVICE],
        None => Vec::new(),
    }
}

/// The table of the services.
const SERVICE: &str = "service";

fn has_service(plan: &Plan, name: &str) -> bool {
    let mut services = plan.services.iter();
    services.any(|(own, plan)| {
        own.as_str() == name || plan.instance_of.as_ref().is_some_and(|of| of.as_str() == name)
    })
}
