//! Debian packages that the chores need, installed when they are missing.

use std::process::Command;

use crate::run::{Done, installed, output, run, succeeds};

/// A program and the package that brings it.
pub struct Need {
    /// A program in PATH that shows that it is there.
    pub program: &'static str,
    /// The Debian package.
    pub package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// To link Rust programs for Linux.
pub const BUILD: &[Need] = &[need("cc", "gcc")];
/// To link Rust programs for Windows.
pub const MINGW: &[Need] = &[need("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64")];
/// The real programs that the tests keep up, and one that shows a program another time.
pub const REAL: &[Need] = &[
    need("go", "golang-go"),
    need("etcd", "etcd-server"),
    need("redis-server", "redis-server"),
    need("faketime", "faketime"),
    need("prometheus", "prometheus"),
    need("age-keygen", "age"),
];
/// To boot a root folder in a container.
pub const MACHINE: &[Need] = &[need("systemd-nspawn", "systemd-container"), need("nsenter", "util-linux")];
/// To make a root folder with a newer Debian.
pub const DEBOOTSTRAP: &[Need] = &[need("debootstrap", "debootstrap"), need("unshare", "util-linux")];

/// Installs what is missing. Without the right to, says what a person has to type.
pub fn install(needs: &[Need]) -> Done {
    let missing: Vec<&str> =
        needs.iter().filter(|need| !installed(need.program)).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !installed("apt-get") {
        return Err(format!("this machine has no apt-get; install what brings: {}", missing.join(" ")));
    }
    let words = ["apt-get", "install", "-y", "--no-install-recommends"];
    let Some(prefix) = privileged() else {
        return Err(format!("missing packages; run: sudo {} {}", words.join(" "), missing.join(" ")));
    };
    let apt = |args: &[&str]| {
        let mut all: Vec<&str> = prefix.to_vec();
        all.extend(args);
        let mut command = Command::new(all[0]);
        command.args(&all[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        // A package that is a service must not start it on the tester's machine.
        command.env("RUNLEVEL", "1");
        command
    };
    run(&mut apt(&["apt-get", "update", "-q"]))?;
    let mut args: Vec<&str> = words.to_vec();
    args.push("-q");
    args.extend(missing);
    run(&mut apt(&args))
}

/// What to put before a command that needs root: nothing as root, `sudo -n` where that works.
pub fn privileged() -> Option<&'static [&'static str]> {
    if is_root() {
        Some(&[])
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

/// Whether we are root.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}
