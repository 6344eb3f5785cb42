//! Accounts that are nobody's: a number and directories for a service that asks for them.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_core::dynamic_user::{RANGE, Refused, choose, of, service_of};
use mainstay_core::{Launch, Settings};
use mainstay_link::Spawn;
use mainstay_sys::dynamic::{BASE, Directories, Given, has_account};

use crate::Args;

/// Where a stack of root has its directories, unless it was told another place.
const OF_ROOT: &str = "/var/lib/mainstay";

/// Gives a run that asks for it the account of its service.
///
/// # Errors
/// It cannot be had; in words.
pub(crate) fn give(spawn: &mut Spawn, args: &Args) -> Result<(), String> {
    let Some(service) = spawn.user.as_deref().and_then(service_of) else { return Ok(()) };
    let (number, given) = account_of(&format!("{}/{service}", owner(&args.stack, &args.dirs.state)))?;
    spawn.user = Some(format!("{number}:{number}"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (state, logs) = (text(&given.state), text(&given.logs));
    for (name, path) in [("HOME", &state), ("STATE_DIRECTORY", &state), ("LOGS_DIRECTORY", &logs)] {
        spawn.environment.entry(name.to_owned()).or_insert_with(|| path.clone());
    }
    open(&mut spawn.settings, [state, logs]);
    Ok(())
}

/// The number that a service has, or has from now on, and its directories.
fn account_of(owner: &str) -> Result<(u32, Given), String> {
    let failed = |error: std::io::Error| format!("its dynamic user cannot be had: {error}");
    let all = Directories::hold(Path::new(BASE)).map_err(failed)?;
    let own = all.owner(owner).map_err(failed)?;
    let used = match own {
        Some(own) if RANGE.contains(&own) => Vec::new(),
        _ => all.used().map_err(failed)?,
    };
    let number = choose(owner, own, has_account, |number| used.contains(&number)).map_err(|why| match why {
        Refused::Given(number) => format!(
            "{number} was its dynamic user, whom {BASE}/{owner} belongs to, and is somebody else's account now; \
             remove that directory, or give it to root"
        ),
        Refused::NoneLeft => format!(
            "no dynamic user is left; each directory in {BASE} has one: remove those of services that are gone"
        ),
    })?;
    all.give(owner, number).map(|given| (number, given)).map_err(failed)
}

fn open(settings: &mut Settings, paths: [String; 2]) {
    settings.sandbox.get_or_insert_default().read_write_paths.extend(paths);
}

/// Where the directories of a stack's dynamic users are, if there are any. `state`: its state directory.
pub fn dynamic_directories(stack: &str, state: &Path) -> Option<PathBuf> {
    Some(Path::new(BASE).join(owner(stack, state))).filter(|path| path.is_dir())
}

/// Removes them: nothing of the stack may run any more.
///
/// # Errors
/// Only root may, or something of it cannot be removed.
pub fn remove_dynamic_directories(stack: &str, state: &Path) -> io::Result<()> {
    Directories::hold(Path::new(BASE))?.remove(&owner(stack, state))
}

/// The stack, told from one of the same name in another place.
fn owner(stack: &str, state: &Path) -> String {
    if state.starts_with(OF_ROOT) {
        return stack.to_owned();
    }
    let place = state.as_os_str().as_encoded_bytes();
    // FNV-1a: any number that stays the same.
    let hash =
        place.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{stack}@{hash:08x}")
}

/// What stands in for such an account where a start is only tried: nobody it is, too. None: it is an ordinary one.
pub(crate) fn stand_in(launch: &Launch) -> Option<Launch> {
    let service = launch.user.as_deref().and_then(service_of)?;
    let number = choose(&of(service), None, has_account, |_| false).ok()?;
    Some(Launch { user: Some(format!("{number}:{number}")), ..launch.clone() })
}
