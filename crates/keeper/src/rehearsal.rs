//! Starts that stop before the program does anything: for finding out beforehand what a start would come to.

use std::io;
use std::path::Path;

use mainstay_core::{Launch, NotEnforced};
use mainstay_sys::container::{Kind, Root};
use mainstay_sys::spawn::{self, Request, SpawnError};

use crate::containment_from_environment;
use crate::control::commands::NOT_INHERITED;
use crate::control::limited::Limited;
use crate::control::settings;

/// Where services are rehearsed: as in a stack, but apart from all stacks.
#[derive(Debug)]
pub struct Stage(Root);

/// What a start would come to.
#[derive(Debug)]
pub struct Rehearsal {
    /// Why it would fail.
    pub refused: Result<(), SpawnError>,
    /// Limits that would not hold.
    pub not_enforced: Vec<NotEnforced>,
}

impl Stage {
    /// Prepares one for this process.
    ///
    /// # Errors
    /// Trees of processes cannot be held together here.
    pub fn new() -> io::Result<Stage> {
        let wanted = containment_from_environment().map_err(|error| io::Error::other(error.to_string()))?;
        Root::open(&format!("rehearsal-{}", std::process::id()), wanted).map(Stage)
    }

    /// How trees of processes are held together.
    pub fn containment(&self) -> Kind {
        self.0.kind()
    }

    /// Makes the process of a service, with this process's rights and environment below its own, and ends it before its
    /// first instruction. Secrets are left out of its environment.
    ///
    /// # Errors
    /// There is no container for it.
    pub fn rehearse(&self, name: &str, launch: &Launch) -> io::Result<Rehearsal> {
        let container = self.0.container(name)?;
        let limited = Limited::new(launch.limits.clone(), launch.working_dir.as_deref());
        let user = launch.user.as_deref();
        let (settings, not_enforced) = settings::with_limits(&launch.settings, &limited, &container, user);
        let refused = spawn::rehearse(&Request {
            command: &launch.command,
            working_dir: launch.working_dir.as_deref().map(Path::new),
            environment: &launch.environment,
            remove: &NOT_INHERITED,
            user,
            settings: settings.as_ref(),
            container: &container,
            run: 0,
            output: None,
            errors: None,
        });
        container.remove()?;
        Ok(Rehearsal { refused, not_enforced })
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// Something of it stays behind.
    pub fn remove(self) -> io::Result<()> {
        self.0.remove()
    }
}
