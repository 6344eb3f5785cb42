//! `mainstay uninstall`

use std::path::{Path, PathBuf};

use crate::entries;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::{self, Installed};
use crate::output::Output;
use crate::stack::{Place, remove_empty};
use crate::wait::longest_stop;

/// Take a stack away from the system again: stop it, then remove its service
///
/// Logs, history and what services with a `dynamic_user` have kept stay, unless --purge is given. A configuration that
/// `install` has written goes if nobody changed it.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Only say what would be changed
    #[arg(long)]
    dry_run: bool,

    /// Remove its logs, its state, its configuration and directories of dynamic users, too
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
    let dirs = if args.purge { own_directories(&place) } else { Vec::new() };
    let nobodys = mainstay_keeper::dynamic_directories(&place.name, &place.dirs.state);
    let nobodys = nobodys.filter(|_| args.purge);
    let removed = remove.iter().chain(&dirs).chain(&nobodys);
    lines.extend(removed.map(|path| format!("remove {}", path.display())));
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
        // Before the state: whoever may not do this has lost nothing.
        if let Some(path) = &nobodys {
            mainstay_keeper::remove_dynamic_directories(&place.name, &place.dirs.state)
                .map_err(|error| Failure::io("remove", path.display(), &error))?;
        }
        for path in &dirs {
            std::fs::remove_dir_all(path).map_err(|error| Failure::io("remove", path.display(), &error))?;
            remove_empty(path.parent());
        }
    }
    output.changes(&place.name, &lines, args.dry_run, "is not installed")?;
    if !args.purge {
        say_what_stays(&place, output);
    }
    Ok(ExitStatus::Done)
}

/// Those of the stack's that are there. What is in another one of them goes with that: a user's logs are in the state.
fn own_directories(place: &Place) -> Vec<PathBuf> {
    let all = [&place.dirs.run, &place.dirs.state, &place.dirs.log];
    let outer = |path: &Path| !all.iter().any(|other| path != other.as_path() && path.starts_with(other));
    all.into_iter().filter(|path| path.exists() && outer(path)).cloned().collect()
}

fn say_what_stays(place: &Place, output: &Output) {
    let own = own_directories(place).into_iter().filter(|path| *path != place.dirs.run);
    let stays: Vec<PathBuf> =
        own.chain(mainstay_keeper::dynamic_directories(&place.name, &place.dirs.state)).collect();
    if !stays.is_empty() {
        let paths: Vec<String> = stays.iter().map(|path| path.display().to_string()).collect();
        output.note(&format!(
            "{} stay; `mainstay uninstall --purge {}` removes them",
            paths.join(" and "),
            place.name
        ));
    }
}
