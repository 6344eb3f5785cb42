//! A ready-made command line: `program install|uninstall|start|stop|restart|status|run`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::definition::Definition;
use crate::manager::{Error, ErrorKind, Manager, NativeState, Scope};

/// Commands have so long to come about.
const WAIT: Duration = Duration::from_secs(120);

/// What a program's own arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Install { scope: Scope, dry_run: bool },
    Uninstall { scope: Scope, dry_run: bool },
    Start(Scope),
    Stop(Scope),
    Restart(Scope),
    Status(Scope),
}

/// Does what the program's arguments ask for, if that is one of `install`, `uninstall`, `start`, `stop`, `restart`,
/// `status`; none if not, or if it is `run`: then the program is to be the service. `--user` means the user's own services,
/// `--dry-run` only says what would be done.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not installed (`status`: not running), 4 rights are missing, 5 not in
/// time.
///
/// ```no_run
/// # fn serve(_: mainstay_service::Running) -> Result<(), mainstay_service::Failure> { Ok(()) }
/// use mainstay_service::{Definition, Service, command_line};
///
/// fn main() -> std::process::ExitCode {
///     let definition = || Definition::of_this_program("worker");
///     if let Some(done) = command_line::run("worker", definition) {
///         return done;
///     }
///     Service::new("worker").run(serve)
/// }
/// ```
pub fn run(name: &str, definition: impl FnOnce() -> io::Result<Definition>) -> Option<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let asked = match parse(&words)? {
        Ok(asked) => asked,
        Err(text) => {
            complain(name, &text);
            return Some(ExitCode::from(2));
        }
    };
    let done = answer(name, asked, definition);
    Some(match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(name, &error.text);
            ExitCode::from(match error.kind {
                ErrorKind::Invalid => 2,
                ErrorKind::NotInstalled => 3,
                ErrorKind::Denied => 4,
                ErrorKind::Late => 5,
                ErrorKind::Foreign | ErrorKind::Failed => 1,
            })
        }
    })
}

/// None: nothing of ours.
fn parse(words: &[OsString]) -> Option<Result<Asked, String>> {
    let verb = words.first()?.to_str()?;
    if !["install", "uninstall", "start", "stop", "restart", "status"].contains(&verb) {
        return None;
    }
    let (mut scope, mut dry_run) = (Scope::System, false);
    for word in &words[1..] {
        match word.to_str() {
            Some("--user") => scope = Scope::User,
            Some("--dry-run") if verb.ends_with("install") => dry_run = true,
            _ => {
                let word = word.to_string_lossy();
                return Some(Err(format!(
                    "`{verb}` does not take {word:?}; it takes --user and, to install, --dry-run"
                )));
            }
        }
    }
    Some(Ok(match verb {
        "install" => Asked::Install { scope, dry_run },
        "uninstall" => Asked::Uninstall { scope, dry_run },
        "start" => Asked::Start(scope),
        "stop" => Asked::Stop(scope),
        "restart" => Asked::Restart(scope),
        _ => Asked::Status(scope),
    }))
}

fn answer(
    name: &str,
    asked: Asked,
    definition: impl FnOnce() -> io::Result<Definition>,
) -> Result<u8, Error> {
    match asked {
        Asked::Install { scope, dry_run } => {
            let definition =
                definition().map_err(|error| Error { kind: ErrorKind::Failed, text: error.to_string() })?;
            let lines = Manager::native(scope)?.install(&definition, dry_run)?;
            say(&lines, dry_run, "is installed as it should be already");
        }
        Asked::Uninstall { scope, dry_run } => {
            let lines = Manager::native(scope)?.uninstall(name, WAIT, dry_run)?;
            say(&lines, dry_run, "is not installed");
        }
        Asked::Start(scope) => Manager::native(scope)?.start(name, WAIT)?,
        Asked::Stop(scope) => Manager::native(scope)?.stop(name, WAIT)?,
        Asked::Restart(scope) => Manager::native(scope)?.restart(name, WAIT)?,
        Asked::Status(scope) => {
            let status = Manager::native(scope)?.status(name)?;
            let pid = status.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
            print(&format!("{name}: {}{pid}", status.state.as_str()));
            return Ok(if status.state == NativeState::Running { 0 } else { 3 });
        }
    }
    Ok(0)
}

fn say(lines: &[String], dry_run: bool, nothing: &str) {
    if lines.is_empty() {
        print(nothing);
    }
    for line in lines {
        print(&if dry_run { format!("would {line}") } else { line.clone() });
    }
}

/// A reader that is gone is no failure.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(name: &str, text: &str) {
    let _ = writeln!(io::stderr(), "{name}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_it_is_taken() {
        let parse = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            super::parse(&words)
        };
        assert_eq!(parse(""), None);
        assert_eq!(parse("run"), None);
        assert_eq!(parse("--port 80"), None);
        assert_eq!(
            parse("install --dry-run"),
            Some(Ok(Asked::Install { scope: Scope::System, dry_run: true }))
        );
        assert_eq!(parse("stop --user"), Some(Ok(Asked::Stop(Scope::User))));
        assert!(matches!(parse("start --dry-run"), Some(Err(_))));
        assert!(matches!(parse("install now"), Some(Err(_))));
    }
}
