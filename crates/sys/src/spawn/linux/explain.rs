//! Why a process could not be made, in words that name the path at fault.
//!
//! The kernel says little ("No such file or directory" for a missing program, a missing interpreter and a missing
//! loader alike), so the file is looked at afterwards. It may have changed since; then the words are general.

use std::ffi::{CStr, OsStr};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::child::Step;
use super::launch::{Failure, Launch};
use crate::linux::users;
use crate::spawn::{Request, SpawnError, SpawnErrorKind as Kind};

mod format;
mod sandbox;
mod settings;

/// The kernel takes no single argument or variable longer than this.
const MAX_STRING: usize = 128 << 10;

pub(super) fn explain(request: &Request<'_>, launch: &Launch<'_>, failure: &Failure) -> SpawnError {
    let code = failure.error.raw_os_error().unwrap_or(0);
    let context = Context { request, launch, code };
    let error = &failure.error;
    let (kind, message) = match failure.step {
        Step::Exec => context.exec(),
        Step::Directory => context.directory(),
        Step::Account => context.account(),
        Step::Rlimit | Step::Nice | Step::Cpus | Step::Stdin => {
            (Kind::Setting, settings::explain(request, failure.step, failure.which, code, &context.who()))
        }
        Step::Mounts | Step::Capabilities | Step::Filter => {
            (Kind::Setting, sandbox::explain(launch, failure.step, failure.which, code))
        }
        Step::Cgroup => (Kind::Containment, format!("the process could not be put into its cgroup: {error}")),
        Step::Rehearsal => {
            (Kind::Other, format!("a start cannot be rehearsed here: it cannot be traced: {error}"))
        }
        Step::Unborn => (Kind::Other, "the process was killed before it began".to_owned()),
        Step::Clone | Step::Born => context.clone(),
        Step::Session | Step::Limits | Step::Stdio => {
            (Kind::Other, format!("the process could not be prepared ({:?}): {error}", failure.step))
        }
    };
    SpawnError::new(kind, message)
}

struct Context<'a> {
    request: &'a Request<'a>,
    launch: &'a Launch<'a>,
    code: i32,
}

impl Context<'_> {
    fn exec(&self) -> (Kind, String) {
        let found = self.found();
        match (self.code, found) {
            (libc::E2BIG, _) => self.too_long(),
            (libc::ENOENT | libc::ENOTDIR, None) => self.not_found(),
            (libc::ENOENT, Some(path)) => format::missing_interpreter(&path),
            (libc::EACCES, Some(path)) => self.closed(&path),
            (libc::EACCES, None) => self.closed(&self.candidate(0)),
            (libc::ENOEXEC, Some(path)) => format::wrong_format(&path),
            (libc::ETXTBSY, Some(path)) => {
                (Kind::NotExecutable, format!("{} is being written to at the moment", path.display()))
            }
            (libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EAGAIN, _) => self.clone(),
            (_, found) => {
                let path = found.unwrap_or_else(|| self.candidate(0));
                (Kind::Other, format!("{} cannot be executed: {}", path.display(), self.system()))
            }
        }
    }

    /// The first of the tried programs that is there at all, as an absolute path as far as that can be said.
    fn found(&self) -> Option<PathBuf> {
        let all = (0..self.launch.programs.len()).map(|place| self.candidate(place));
        let there: Vec<PathBuf> = all.filter(|path| path.symlink_metadata().is_ok()).collect();
        // A directory of the name, or a file without the right, is passed over if there is something better.
        let good =
            |path: &&PathBuf| path.metadata().is_ok_and(|found| found.is_file() && self.may(&found, 1));
        there.iter().find(good).or(there.first()).cloned()
    }

    fn candidate(&self, place: usize) -> PathBuf {
        let bytes = self.launch.programs.get(place).map_or(&b""[..], |program| program.as_bytes());
        self.base().join(Path::new(OsStr::from_bytes(bytes)))
    }

    fn base(&self) -> PathBuf {
        let own = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        match self.request.working_dir {
            Some(dir) if dir.is_absolute() => dir.to_owned(),
            Some(dir) => own().join(dir),
            None => own(),
        }
    }

    fn not_found(&self) -> (Kind, String) {
        let program = &self.request.command[0];
        if program.contains('/') {
            let path = self.candidate(0);
            let near = first_missing(&path);
            let hint = match near {
                Some(part) if part != path => format!(" ({} does not exist)", part.display()),
                _ => String::new(),
            };
            return (Kind::NotFound, format!("program not found: {}{hint}", path.display()));
        }
        let dirs: Vec<String> = self
            .launch
            .programs
            .iter()
            .map(|path| match Path::new(OsStr::from_bytes(path.as_bytes())).parent() {
                Some(dir) if !dir.as_os_str().is_empty() => dir.display().to_string(),
                _ => "the working directory".to_owned(),
            })
            .collect();
        (Kind::NotFound, format!("program not found: {program} (looked in PATH: {})", dirs.join(":")))
    }

    fn closed(&self, path: &Path) -> (Kind, String) {
        let who = self.who();
        if let Some(dir) = self.first_closed(path) {
            let text = format!(
                "{} cannot be reached: the directory {} is closed to {who}",
                path.display(),
                dir.display()
            );
            return (Kind::NotExecutable, text);
        }
        let text = match path.metadata() {
            Ok(found) if found.is_dir() => format!("{} is a directory, not a program", path.display()),
            Ok(found) if !found.is_file() => format!("{} is not a file that can be executed", path.display()),
            Ok(found) if !self.may(&found, 1) => {
                format!(
                    "{} is not executable for {who} (mode {:03o}); chmod +x makes it so",
                    path.display(),
                    found.mode() & 0o777
                )
            }
            Ok(_) if mounted_noexec(path) => {
                format!(
                    "{} is on a file system where nothing may be executed (mounted noexec)",
                    path.display()
                )
            }
            Ok(_) => match format::interpreter_of(path) {
                Some(interpreter) => {
                    format!(
                        "{} cannot be executed: its interpreter {} is not executable for {who}",
                        path.display(),
                        interpreter.display()
                    )
                }
                None => format!("{} may not be executed by {who}: {}", path.display(), self.system()),
            },
            Err(error) => format!("{} cannot be reached by {who}: {error}", path.display()),
        };
        (Kind::NotExecutable, text)
    }

    fn directory(&self) -> (Kind, String) {
        let dir = self.base();
        let text = match self.code {
            libc::ENOENT => match first_missing(&dir) {
                Some(part) if part != dir => {
                    format!(
                        "working directory does not exist: {} ({} is missing)",
                        dir.display(),
                        part.display()
                    )
                }
                _ => format!("working directory does not exist: {}", dir.display()),
            },
            libc::ENOTDIR => format!("working directory is not a directory: {}", dir.display()),
            libc::EACCES => match self.first_closed(&dir.join("x")) {
                Some(part) => format!(
                    "working directory {} is closed to {}: {} lets nobody else in",
                    dir.display(),
                    self.who(),
                    part.display()
                ),
                None => format!("working directory {} is closed to {}", dir.display(), self.who()),
            },
            _ => format!("working directory {} cannot be entered: {}", dir.display(), self.system()),
        };
        (Kind::WorkingDirectory, text)
    }

    fn account(&self) -> (Kind, String) {
        let wanted = self.launch.account.map_or("", |account| account.text.as_str());
        if self.code == libc::EPERM {
            let own = users::name_of(rustix::process::geteuid().as_raw());
            let text = format!(
                "cannot run as {wanted:?}: only root may start programs as another user or in another group, and this is \
                 {own}"
            );
            return (Kind::NotAllowed, text);
        }
        let text = match self.code {
            libc::EAGAIN => format!("cannot run as {wanted:?}: the user's limit of processes is reached"),
            _ => format!("cannot run as {wanted:?}: {}", self.system()),
        };
        (Kind::User, text)
    }

    fn clone(&self) -> (Kind, String) {
        let text = match self.code {
            libc::EAGAIN => {
                "no more processes can be made: a limit is reached (ulimit -u, pids.max of a cgroup, \
                             or kernel.pid_max)"
                    .to_owned()
            }
            libc::ENOMEM => "no more processes can be made: out of memory".to_owned(),
            libc::EMFILE | libc::ENFILE => "too many open files".to_owned(),
            _ => return (Kind::Other, format!("the process could not be made: {}", self.system())),
        };
        (Kind::Resources, text)
    }

    fn too_long(&self) -> (Kind, String) {
        let longest = |strings: &[&CStr]| {
            strings
                .iter()
                .map(|string| string.to_bytes_with_nul().len())
                .enumerate()
                .max_by_key(|(_, length)| *length)
        };
        let sum = |strings: &[&CStr]| -> usize {
            strings.iter().map(|string| string.to_bytes_with_nul().len() + size_of::<usize>()).sum()
        };
        let all_arguments: Vec<&CStr> = self.launch.arguments.iter().map(AsRef::as_ref).collect();
        let all_variables: Vec<&CStr> = self.launch.environment.iter().map(AsRef::as_ref).collect();
        let arguments = sum(&all_arguments);
        let environment = sum(&all_variables);
        let single = match (longest(&all_arguments), longest(&all_variables)) {
            (Some((place, length)), _) if length > MAX_STRING => {
                format!("argument {place} has {length} bytes")
            }
            (_, Some((place, length))) if length > MAX_STRING => {
                let entry = all_variables[place].to_bytes();
                let name = entry.split(|&byte| byte == b'=').next().unwrap_or(entry);
                format!("the environment variable {} has {length} bytes", String::from_utf8_lossy(name))
            }
            _ => {
                return (
                    Kind::TooLong,
                    format!(
                        "arguments ({arguments} bytes) and environment ({environment} bytes) are together longer than \
                     the system takes (a quarter of the stack's limit, ulimit -s)"
                    ),
                );
            }
        };
        (Kind::TooLong, format!("{single}, and the system takes {MAX_STRING} at most"))
    }

    fn system(&self) -> std::io::Error {
        std::io::Error::from_raw_os_error(self.code)
    }

    fn who(&self) -> String {
        users::name_of(self.uid())
    }

    fn uid(&self) -> u32 {
        self.launch.account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid)
    }

    /// The first directory above `path` that the account may not pass.
    fn first_closed(&self, path: &Path) -> Option<PathBuf> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        above
            .into_iter()
            .find(|dir| dir.metadata().is_ok_and(|found| found.is_dir() && !self.may(&found, 1)))
            .map(Path::to_owned)
    }

    /// What the permission bits say to the account (access control lists may say otherwise).
    fn may(&self, found: &Metadata, bit: u32) -> bool {
        let uid = self.uid();
        if uid == 0 {
            return found.is_dir() || found.mode() & 0o111 != 0;
        }
        let in_group = match self.launch.account {
            Some(account) => account.gid == found.gid() || account.groups.contains(&found.gid()),
            None => {
                rustix::process::getegid().as_raw() == found.gid()
                    || rustix::process::getgroups()
                        .is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == found.gid()))
            }
        };
        let shift = if uid == found.uid() {
            6
        } else if in_group {
            3
        } else {
            0
        };
        (found.mode() >> shift) & bit != 0
    }
}

/// The first part of a path that does not exist.
fn first_missing(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    parts.into_iter().find(|part| part.symlink_metadata().is_err()).map(Path::to_owned)
}

fn mounted_noexec(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}
