//! The configuration files of a stack that is there: where they are, how they are read again, and how they are
//! changed.

use std::path::{Path, PathBuf};

use crate::edit_toml;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::Installed;
use crate::names::Meant;
use crate::output::Output;
use crate::plan_file::{self, Inputs, LoadedPlan};
use crate::stack::Place;

/// A stack's configuration.
#[derive(Debug)]
pub struct OwnFile {
    place: Place,
    inputs: Inputs,
    installed: Option<Installed>,
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
    /// The one that `place` was installed or started with.
    ///
    /// # Errors
    /// It was started without one.
    pub fn of(place: &Place) -> Result<OwnFile, Failure> {
        let installed = Installed::read(place);
        let inputs = match (&installed, place.plan()) {
            (Some(installed), _) => installed.inputs.clone(),
            (None, Ok(stored)) => {
                Inputs { files: stored.config.map(PathBuf::from).into_iter().collect(), ..Inputs::default() }
            }
            (None, Err(failure)) => return Err(failure),
        };
        if inputs.files.is_empty() {
            return Err(Failure::usage(format!("stack {} was made without a configuration", place.name))
                .hint("`mainstay run` and `mainstay rm` change it"));
        }
        Ok(OwnFile { place: place.clone(), inputs, installed })
    }

    /// The file that is changed unless another is named.
    pub fn first(&self) -> &Path {
        &self.inputs.files[0]
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

    /// The configuration as it is in the files.
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

    /// Makes a change, or says what it would be; nothing if there is none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn make(&self, change: Option<Change>, dry_run: bool, output: &mut Output) -> Outcome {
        let Some(change) = change else {
            return self.say(&[], dry_run, output);
        };
        plan_file::warn(output, &change.loaded.warnings);
        let difference = edit_toml::difference(&change.before, &change.after);
        let lines = [format!("change {}:\n  {}", change.file.display(), difference.join("\n  "))];
        if !dry_run {
            mainstay_sys::file::rewrite(&change.file, change.after.as_bytes())
                .map_err(|error| Failure::failed(error.to_string()))?;
            if let Some(installed) = &self.installed {
                installed.changed(&self.place, &change.before, &change.after)?;
            }
        }
        self.say(&lines, dry_run, output)?;
        if let Some(effect) = self.effect(&change.loaded) {
            output.note(&effect);
        }
        Ok(ExitStatus::Done)
    }

    /// What a stack that is up has to do to be as its configuration says.
    fn effect(&self, loaded: &LoadedPlan) -> Option<String> {
        if !self.place.is_up() {
            return None;
        }
        let runs = self.place.plan().ok()?.plan;
        (runs != loaded.plan).then(|| match runs.reload.watch {
            true => "it is applied in a moment; `mainstay status` tells".to_owned(),
            false => format!("`mainstay apply -s {}` takes it", self.place.name),
        })
    }

    fn say(&self, lines: &[String], dry_run: bool, output: &mut Output) -> Outcome {
        output.changes(&self.place.name, lines, dry_run, "is so already")?;
        Ok(ExitStatus::Done)
    }
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
    let group =
        |plan: &mainstay_core::ServicePlan| plan.instance_of.as_ref().is_some_and(|of| of.as_str() == name);
    if services.values().any(group) {
        return Ok(Some(name.clone()));
    }
    Err(meant.place.no_such_service(name, services.keys().map(|name| name.as_str())))
}
