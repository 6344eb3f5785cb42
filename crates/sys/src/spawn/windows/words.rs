//! What `CreateProcessW`'s error codes mean to a person.

use std::io;
use std::path::Path;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ACCESS_DISABLED_BY_POLICY, ERROR_BAD_EXE_FORMAT, ERROR_COMMITMENT_LIMIT,
    ERROR_DIRECTORY, ERROR_ELEVATION_REQUIRED, ERROR_EXE_MACHINE_TYPE_MISMATCH, ERROR_FILE_NOT_FOUND,
    ERROR_FILENAME_EXCED_RANGE, ERROR_INVALID_PARAMETER, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_ENOUGH_QUOTA, ERROR_OUTOFMEMORY, ERROR_PATH_NOT_FOUND, ERROR_PRIVILEGE_NOT_HELD,
    ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES, ERROR_VIRUS_DELETED, ERROR_VIRUS_INFECTED,
};

use crate::spawn::{SpawnError, SpawnErrorKind};

/// Programs that run files which Windows itself cannot, by the file's ending.
const RUNNERS: [(&str, &str); 9] = [
    ("ps1", "powershell.exe -NoProfile -File"),
    ("vbs", "cscript.exe //nologo"),
    ("wsf", "cscript.exe //nologo"),
    ("js", "node.exe (or cscript.exe //nologo)"),
    ("py", "python.exe"),
    ("rb", "ruby.exe"),
    ("pl", "perl.exe"),
    ("sh", "bash.exe"),
    ("jar", "java.exe -jar"),
];

/// The error in words, with the path at fault.
pub(super) fn of(error: &io::Error, program: &Path, working_dir: &Path) -> SpawnError {
    let (kind, message) = words(error, &program.display().to_string(), working_dir);
    let message = match runner(program).filter(|_| kind == SpawnErrorKind::WrongFormat) {
        Some(runner) => {
            format!("not a program by itself: {}; let another one run it: {runner}", program.display())
        }
        None => message,
    };
    SpawnError::new(kind, message)
}

fn words(error: &io::Error, program: &str, working_dir: &Path) -> (SpawnErrorKind, String) {
    use SpawnErrorKind as Kind;
    let code = error.raw_os_error().map_or(0, i32::cast_unsigned);
    match code {
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => {
            (Kind::NotFound, format!("program not found: {program}"))
        }
        ERROR_ACCESS_DENIED => (
            Kind::NotExecutable,
            format!(
                "access denied: {program} may not be run by this account, or a security policy, a virus scanner or \
                 the job around Mainstay forbids it"
            ),
        ),
        ERROR_ELEVATION_REQUIRED => (
            Kind::NotExecutable,
            format!("{program} asks for an administrator's rights; run the stack as an administrator"),
        ),
        ERROR_PRIVILEGE_NOT_HELD => (
            Kind::NotAllowed,
            format!(
                "{program} cannot be started with other rights than Mainstay's: that needs the privileges to replace a \
                 process level token and to adjust memory quotas, which LocalSystem has"
            ),
        ),
        ERROR_ACCESS_DISABLED_BY_POLICY => {
            (Kind::NotExecutable, format!("a software restriction policy forbids {program}"))
        }
        ERROR_VIRUS_INFECTED | ERROR_VIRUS_DELETED => {
            (Kind::NotExecutable, format!("the virus scanner does not let {program} run"))
        }
        ERROR_SHARING_VIOLATION => (
            Kind::NotExecutable,
            format!("{program} is open for writing elsewhere: is it being copied or built?"),
        ),
        ERROR_BAD_EXE_FORMAT | ERROR_EXE_MACHINE_TYPE_MISMATCH => (
            Kind::WrongFormat,
            format!(
                "not a program for this system: {program} is damaged or built for another kind of machine"
            ),
        ),
        ERROR_DIRECTORY => (
            Kind::WorkingDirectory,
            format!("the working directory is missing or may not be used: {}", working_dir.display()),
        ),
        ERROR_FILENAME_EXCED_RANGE => {
            (Kind::TooLong, format!("too long for Windows: the command line or environment of {program}"))
        }
        ERROR_NOT_ENOUGH_MEMORY
        | ERROR_OUTOFMEMORY
        | ERROR_NO_SYSTEM_RESOURCES
        | ERROR_NOT_ENOUGH_QUOTA
        | ERROR_COMMITMENT_LIMIT
        | ERROR_TOO_MANY_OPEN_FILES => {
            (Kind::Resources, format!("no room for another process: {program}: {error}"))
        }
        // The longest working directory that CreateProcessW takes, unless long paths are allowed.
        ERROR_INVALID_PARAMETER if working_dir.as_os_str().len() >= 258 => (
            Kind::WorkingDirectory,
            format!("the working directory's path is too long: {}", working_dir.display()),
        ),
        _ => (Kind::Other, format!("{program} could not be started: {error}")),
    }
}

fn runner(program: &Path) -> Option<&'static str> {
    let ending = program.extension()?;
    RUNNERS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, runner)| *runner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u32, program: &str) -> SpawnError {
        of(&crate::win::code(code), Path::new(program), Path::new(r"C:\work"))
    }

    #[test]
    fn each_code_has_its_kind_and_names_the_path() {
        for (code, kind) in [
            (2, SpawnErrorKind::NotFound),
            (3, SpawnErrorKind::NotFound),
            (5, SpawnErrorKind::NotExecutable),
            (8, SpawnErrorKind::Resources),
            (32, SpawnErrorKind::NotExecutable),
            (193, SpawnErrorKind::WrongFormat),
            (206, SpawnErrorKind::TooLong),
            (216, SpawnErrorKind::WrongFormat),
            (740, SpawnErrorKind::NotExecutable),
            (1455, SpawnErrorKind::Resources),
            (31, SpawnErrorKind::Other),
        ] {
            let error = error(code, r"C:\x\y.exe");
            assert_eq!(error.kind, kind, "{code}");
            assert!(error.message.contains(r"C:\x\y.exe"), "{error}");
        }
        assert!(error(267, r"C:\x.exe").message.contains(r"C:\work"));
        assert!(error(740, r"C:\x.exe").message.contains("administrator"));
    }

    #[test]
    fn scripts_are_told_what_runs_them() {
        assert!(error(193, r"C:\x\y.ps1").message.contains("powershell.exe"));
        assert!(error(193, r"C:\x\y.py").message.contains("python.exe"));
    }
}
