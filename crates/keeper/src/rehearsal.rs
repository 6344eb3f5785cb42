//! Starts that stop before the program does anything: for finding out beforehand what a start would come to.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_core::{Launch, NotEnforced};
use mainstay_sys::container::{Container, Kind, Root};
use mainstay_sys::spawn::{self, Request, Settings, SpawnError};

use crate::containment_from_environment;
use crate::control::commands::NOT_INHERITED;
use crate::control::limited::Limited;
use crate::control::settings;
use crate::dynamic_user;

/// Where services are rehearsed: as in a stack, but apart from all stacks.
#[derive(Debug)]
pub struct Stage(Root);

/// What a start would come to.
#[derive(Debug)]
pub struct Rehearsal {
    /// Whether its process can be made.
    pub outcome: Result<(), SpawnError>,
    /// The program's file, if it is there.
    pub program: Option<PathBuf>,
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
        Root::open(&id(), wanted).map(Stage)
    }

    /// Why services have no cgroups, where the system has such a thing.
    pub fn without_cgroups(&self) -> Option<String> {
        let apart = format!("{}-cgroup", id());
        match (self.0.kind() == Kind::Session).then(|| Root::open(&apart, Some(Kind::Cgroup)))? {
            Ok(root) => root.remove().err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Makes the process of a service, with this process's rights and environment below its own, and ends it before its
    /// first instruction. Secrets are left out of its environment; the password of its account, if it has one, is given
    /// apart.
    ///
    /// # Errors
    /// There is no container for it.
    pub fn rehearse(&self, name: &str, launch: &Launch, password: Option<&str>) -> io::Result<Rehearsal> {
        let stand_in = dynamic_user::stand_in(launch);
        let launch = stand_in.as_ref().unwrap_or(launch);
        let container = self.0.container(name)?;
        let limited = Limited::new(launch.limits.clone(), launch.working_dir.as_deref());
        let user = launch.user.as_deref();
        let (settings, not_enforced) = settings::with_limits(&launch.settings, &limited, &container, user);
        let request = Request { password, ..request(launch, settings.as_ref(), &container) };
        let (outcome, program) = (spawn::rehearse(&request), spawn::program(&request));
        container.remove()?;
        Ok(Rehearsal { outcome, program, not_enforced })
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// Something of it stays behind.
    pub fn remove(self) -> io::Result<()> {
        self.0.remove()
    }
}

fn id() -> String {
    format!("rehearsal-{}", std::process::id())
}

fn request<'a>(launch: &'a Launch, settings: Option<&'a Settings>, container: &'a Container) -> Request<'a> {
    Request {
        command: &launch.command,
        working_dir: launch.working_dir.as_deref().map(Path::new),
        environment: &launch.environment,
        remove: &NOT_INHERITED,
        user: launch.user.as_deref(),
        password: None,
        settings,
        container,
        run: 0,
        output: None,
        errors: None,
    }
}
