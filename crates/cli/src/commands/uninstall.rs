//! `mainstay uninstall`

use std::path::PathBuf;

use crate::entries;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::{self, Installed};
use crate::output::Output;
use crate::stack::{Place, remove_empty};
use crate::wait::longest_stop;

/// Take a stack away from the system again: stop it, then remove its service
///
/// Logs and history stay, unless --purge is given. A configuration that `install` has written goes if nobody changed it.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Only say what would be changed
    #[arg(long)]
    dry_run: bool,

    /// Remove its logs, its state and its configuration, too
    #[arg(long)]
    purge: bool,

    /// The stack
    #[arg(value_name = "NAME")]
    name: String,
}

/// Does it.
///
/// # Errors
/// It does not stop, or rights are missing.
pub fn run(args: &Uninstall, output: &mut Output) -> Outcome {
    let place = Place::of(&args.name)?;
    let installed = Installed::read(&place);
    let manager = installed.clone().unwrap_or_default().manager()?;
    let wait = place.plan().map_or(std::time::Duration::from_secs(120), |stored| {
        longest_stop(&stored.plan, stored.plan.services.keys())
    });
    let mut lines = manager.uninstall(&place.name, wait, args.dry_run).map_err(installed::failure)?;
    for service in installed.iter().flat_map(|installed| &installed.entries) {
        let entry = entries::name(&place.name, service);
        lines.extend(manager.uninstall(&entry, wait, args.dry_run).map_err(installed::failure)?);
    }
    let mut remove = Vec::new();
    if let Some(installed) = &installed {
        let written = installed.wrote.as_ref().zip(installed.config());
        if let Some((text, path)) = written
            && let Ok(there) = std::fs::read_to_string(path)
            && (args.purge || there == *text)
        {
            remove.push(path.to_owned());
        }
    }
    if args.purge && place.is_up() && !args.dry_run {
        return Err(Failure::failed(format!("stack {} is up, and not as a service", place.name))
            .hint(format!("`mainstay down --stack {}` stops it", place.name)));
    }
    let there = |path: &PathBuf| args.purge && path.exists();
    let dirs = [&place.dirs.run, &place.dirs.state, &place.dirs.log];
    lines.extend(remove.iter().map(|path| format!("remove {}", path.display())));
    lines.extend(dirs.iter().filter(|path| there(path)).map(|path| format!("remove {}", path.display())));
    if !args.dry_run {
        for path in remove {
            std::fs::remove_file(&path).map_err(|error| Failure::io("remove", path.display(), &error))?;
            remove_empty(path.parent());
        }
        Installed::remove(&place)?;
        if installed.is_some() && place.dirs.state.exists() {
            mainstay_sys::dirs::give_to(&place.dirs, &[])
                .map_err(|error| Failure::io("take back", place.dirs.state.display(), &error))?;
        }
        for path in dirs.iter().filter(|path| there(path)) {
            std::fs::remove_dir_all(path).map_err(|error| Failure::io("remove", path.display(), &error))?;
            remove_empty(path.parent());
        }
    }
    output.changes(&place.name, &lines, args.dry_run, "is not installed")?;
    Ok(ExitStatus::Done)
}
