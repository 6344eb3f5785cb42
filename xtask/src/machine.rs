//! The root folder that the tests under a real systemd boot in a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, DEBOOTSTRAP, MACHINE};
use crate::run::{Done, run};

/// Where it is; `crates/e2e/tests/systemd` looks for it there. Outside the repository, because it takes a while to make.
const FOLDER: &str = "/var/lib/mainstay-test/systemd";

/// Beside what every Debian has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd";

/// Makes it if it is not there. Without root it cannot be, and the tests skip themselves.
pub fn prepare() -> Done {
    let folder = Path::new(FOLDER);
    if !packages::is_root() {
        println!("the tests under a real systemd take root, and will be skipped");
        return Ok(());
    }
    packages::install(MACHINE)?;
    if folder.is_dir() {
        return Ok(());
    }
    packages::install(DEBOOTSTRAP)?;
    let making = folder.with_extension("making");
    remove(&making)?;
    fs::create_dir_all(&making).map_err(|error| format!("cannot make {}: {error}", making.display()))?;
    run(Command::new("debootstrap")
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), "trixie"])
        .arg(&making))?;
    fs::rename(&making, folder).map_err(|error| format!("cannot name {}: {error}", folder.display()))
}

/// The folder, if it is there: a Debian to begin another one with.
pub fn folder() -> Option<PathBuf> {
    Some(PathBuf::from(FOLDER)).filter(|folder| folder.is_dir())
}

fn remove(folder: &Path) -> Done {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))
}
