//! What `mainstay install` remembers of a stack, so that its keeper finds the same configuration at each boot.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_service::manager::{Manager, Scope};
use serde::{Deserialize, Serialize};

use crate::failure::{ExitStatus, Failure};
use crate::plan_file::{self, Inputs, LoadedPlan};
use crate::stack::{Place, remove_empty};

/// `state/installed.json`. Private like the directory that it is in: variables may be secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Installed {
    /// Whose service it is: `system` or `user`.
    pub scope: String,
    /// What the configuration was made from.
    pub inputs: Inputs,
    /// The variables that it asked for, as they were when it was installed; none: not set. A service manager's environment
    /// is not the one of the person who installed.
    pub variables: BTreeMap<String, Option<String>>,
    /// The text of the configuration, if `install` itself has written it.
    pub wrote: Option<String>,
    /// Its services that are entries of their own.
    pub entries: Vec<String>,
}

fn path(place: &Place) -> PathBuf {
    place.dirs.state.join("installed.json")
}

impl Installed {
    /// What is remembered of a stack; none if it is not installed. The account of a stack may write where this is, and
    /// an administrator's commands do what it says: it has to be an administrator's.
    pub fn read(place: &Place) -> Option<Installed> {
        serde_json::from_slice(&mainstay_sys::file::read_own(&path(place)).ok()?).ok()
    }

    /// Reads the configuration in the present environment, with other texts for some files, and remembers what it asked of
    /// it.
    ///
    /// # Errors
    /// It is wrong.
    pub fn new(
        inputs: Inputs,
        scope: Scope,
        unsaved: Vec<(PathBuf, Vec<u8>)>,
    ) -> Result<(Installed, LoadedPlan), Failure> {
        let asked = RefCell::new(BTreeMap::new());
        let variable = |name: &str| {
            let value = std::env::var(name).ok();
            asked.borrow_mut().insert(name.to_owned(), value.clone());
            value
        };
        let loaded = plan_file::load_unsaved(&inputs, unsaved, &variable)?;
        let scope = if scope == Scope::User { "user" } else { "system" }.to_owned();
        Ok((
            Installed { scope, inputs, variables: asked.into_inner(), wrote: None, entries: Vec::new() },
            loaded,
        ))
    }

    /// Reads the configuration again, in the environment of then. A variable that was not asked for then is
    /// looked up now.
    ///
    /// # Errors
    /// It is wrong by now.
    pub fn load(&self) -> Result<LoadedPlan, Failure> {
        self.load_unsaved(Vec::new())
    }

    /// The same with other texts for some files.
    ///
    /// # Errors
    /// It would be wrong.
    pub fn load_unsaved(&self, unsaved: Vec<(PathBuf, Vec<u8>)>) -> Result<LoadedPlan, Failure> {
        let variable = |name: &str| match self.variables.get(name) {
            Some(value) => value.clone(),
            None => std::env::var(name).ok(),
        };
        plan_file::load_unsaved(&self.inputs, unsaved, &variable)
    }

    /// Remembers that Mainstay itself has given the file `install` wrote another text, and variables that it asks for
    /// since.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn changed(&self, place: &Place, before: &str, after: &str) -> Result<(), Failure> {
        let (mut now, _) = Installed::new(self.inputs.clone(), self.scope(), Vec::new())?;
        now.variables.extend(self.variables.clone());
        let ours = self.wrote.as_deref() == Some(before);
        now.entries.clone_from(&self.entries);
        now.wrote = if ours { Some(after.to_owned()) } else { self.wrote.clone() };
        if now == *self { Ok(()) } else { now.write(place) }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, place: &Place) -> Result<(), Failure> {
        let path = path(place);
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Failure::failed(error.to_string()))?;
        mainstay_sys::dirs::create_private(&place.dirs.state)
            .and_then(|()| mainstay_sys::file::write_atomic(&path, &bytes, true))
            .map_err(|error| Failure::io("write", path.display(), &error))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(place: &Place) -> Result<(), Failure> {
        let path = path(place);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io("remove", path.display(), &error))
            }
            _ => {
                remove_empty(Some(&place.dirs.state));
                Ok(())
            }
        }
    }

    /// Whose it is.
    pub fn scope(&self) -> Scope {
        if self.scope == "user" { Scope::User } else { Scope::System }
    }

    /// The first of its configuration files.
    pub fn config(&self) -> Option<&Path> {
        self.inputs.files.first().map(PathBuf::as_path)
    }

    /// Its service manager.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn manager(&self) -> Result<Manager, Failure> {
        Manager::native(self.scope()).map_err(failure)
    }
}

/// An error of the service manager.
pub fn failure(error: mainstay_service::manager::Error) -> Failure {
    use mainstay_service::manager::ErrorKind;
    let status = match error.kind {
        ErrorKind::NotInstalled => ExitStatus::NotThere,
        ErrorKind::Invalid => ExitStatus::Usage,
        ErrorKind::Late => ExitStatus::Late,
        ErrorKind::Denied | ErrorKind::Foreign | ErrorKind::Failed => ExitStatus::Failed,
    };
    Failure::new(status, error.text)
}
