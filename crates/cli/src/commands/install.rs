//! `mainstay install`

mod native;
mod password;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_service::manager::Scope;

use crate::args::Over;
use crate::edit_toml;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed::{self, Installed};
use crate::output::Output;
use crate::plan_file;
use crate::stack::{self, Place, remove_empty};

use native::Native;
use services::Services;

/// Make a program or a stack a service of the system, started at boot
///
/// `install NAME PROGRAM [ARGS]` writes a configuration for one program; `install -f FILE` takes a whole stack. Done
/// twice it changes what has to be changed. Windows: a service of the SCM; Linux: a unit of systemd, or an init script.
#[derive(Debug, clap::Args)]
pub struct Install {
    /// The configuration of a whole stack; a further one goes over it
    #[arg(short, long = "file", value_name = "FILE", conflicts_with = "name")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    over: Over,

    #[command(flatten)]
    native: Native,

    /// A service of this user alone (systemd)
    #[arg(long)]
    user: bool,

    /// Start it at once
    #[arg(long)]
    now: bool,

    /// Only say what would be changed
    #[arg(long, conflicts_with = "now")]
    dry_run: bool,

    /// What the service is to be called
    #[arg(value_name = "NAME", requires = "program")]
    name: Option<String>,

    /// The program
    #[arg(value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// Its arguments, as they are
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

const SO_ALREADY: &str = "is installed so already";

/// Waiting for a start has an end.
const UP_TIME: Duration = Duration::from_secs(180);

/// Does it.
///
/// # Errors
/// The configuration is wrong, rights are missing, or the service manager refuses.
pub fn run(args: &Install, output: &mut Output) -> Outcome {
    let scope = if args.user { Scope::User } else { Scope::System };
    let written = match (&args.name, &args.program) {
        (Some(name), Some(program)) => {
            Some(Written::new(name, program, &args.arguments)?.over(&Place::of(name)?)?)
        }
        _ => None,
    };
    let files = match &written {
        Some(written) => vec![written.path.clone()],
        None => stack::config_paths(&args.files)?,
    };
    if files.is_empty() {
        return Err(Failure::usage(format!("there is no {} here", stack::CONFIG))
            .hint("`mainstay install NAME PROGRAM ARGS` installs one program, `-f FILE` a whole stack"));
    }
    let before = written.as_ref().map(|written| std::fs::read(&written.path).ok());
    let (mut installed, loaded) = read(args, scope, &files, written.as_ref())?;
    plan_file::warn(output, &loaded.warnings);
    let place = Place::of(&loaded.plan.stack)?;
    let manager = mainstay_service::manager::Manager::native(scope).map_err(installed::failure)?;
    let definition = args.native.definition(&loaded.plan, &manager, args.dry_run)?;
    let mut services = Services::new(&manager, definition, &loaded.plan, Installed::read(&place).as_ref());
    installed.entries = services.entries(args.native.entries)?;
    // First without effect: what cannot be is found before anything is written.
    let mut lines = services.install(true)?;
    if let Some(written) = &written
        && before.as_ref().is_none_or(|before| before.as_deref() != Some(written.text.as_bytes()))
    {
        let text: String = written.text.lines().map(|line| format!("\n  + {line}")).collect();
        lines.insert(0, format!("write {}:{text}", written.path.display()));
    }
    if args.dry_run {
        output.changes(&place.name, &lines, true, SO_ALREADY)?;
        return Ok(ExitStatus::Done);
    }
    manager.check_rights().map_err(installed::failure)?;
    let earlier = Installed::read(&place);
    let accounts = services.accounts()?;
    mainstay_sys::dirs::give_to(&place.dirs, &accounts)
        .map_err(|error| Failure::io("give to its account", place.dirs.state.display(), &error))?;
    let done = written
        .as_ref()
        .map_or(Ok(()), Written::write)
        .and_then(|()| installed.write(&place))
        .and_then(|()| services.install(false).map(drop));
    if let Err(failure) = done {
        take_back(&place, written.as_ref().zip(before), earlier);
        return Err(failure);
    }
    output.changes(&place.name, &lines, false, SO_ALREADY)?;
    if args.now {
        manager.start(&place.name, UP_TIME).map_err(installed::failure)?;
        output.note(&format!("{0} is up; `mainstay status --stack {0}` shows it", place.name));
    } else {
        output.note(&format!("`mainstay start {0}` starts it now", place.name));
    }
    Ok(ExitStatus::Done)
}

/// Reads the configuration; one that is to be written as if it were there.
fn read(
    args: &Install,
    scope: Scope,
    files: &[PathBuf],
    written: Option<&Written>,
) -> Result<(Installed, plan_file::LoadedPlan), Failure> {
    let Some(written) = written else {
        return Installed::new(plan_file::inputs(files, &args.over), scope, Vec::new());
    };
    let text = vec![(written.path.clone(), written.text.clone().into_bytes())];
    let (mut installed, loaded) = Installed::new(plan_file::inputs(files, &args.over), scope, text)?;
    installed.wrote = Some(written.text.clone());
    Ok((installed, loaded))
}

fn take_back(place: &Place, written: Option<(&Written, Option<Vec<u8>>)>, earlier: Option<Installed>) {
    if let Some((written, before)) = written {
        let _ = match before {
            Some(bytes) => mainstay_sys::file::write_atomic(&written.path, &bytes, true),
            None => std::fs::remove_file(&written.path),
        };
        remove_empty(written.path.parent());
    }
    let _ = match earlier {
        Some(earlier) => earlier.write(place),
        None => {
            let _ = mainstay_sys::dirs::give_to(&place.dirs, &[]);
            let removed = Installed::remove(place);
            for dir in [&place.dirs.run, &place.dirs.log] {
                remove_empty(Some(dir));
            }
            removed
        }
    };
}

/// A configuration for one program.
#[derive(Debug)]
struct Written {
    name: String,
    path: PathBuf,
    /// Values in TOML.
    command: String,
    working_dir: Option<String>,
    text: String,
}

impl Written {
    fn new(name: &str, program: &Path, arguments: &[String]) -> Result<Written, Failure> {
        let path = mainstay_sys::dirs::config(name).map_err(|error| Failure::usage(error.to_string()))?;
        // Whatever is here is what is meant; a bare name is looked for by the keeper, as any command is.
        let program = if program.exists() || program.components().count() > 1 {
            let absolute = std::path::absolute(program)
                .map_err(|error| Failure::io("find", program.display(), &error))?;
            if !absolute.is_file() {
                return Err(Failure::usage(format!("there is no program {}", absolute.display())));
            }
            absolute
        } else {
            program.to_owned()
        };
        let Some(word) = program.to_str() else {
            return Err(Failure::usage(format!("the path {} is not Unicode", program.display())));
        };
        let words = std::iter::once(word).chain(arguments.iter().map(String::as_str)).map(quoted);
        let directory = program.parent().filter(|_| program.is_absolute()).and_then(Path::to_str);
        let mut written = Written {
            name: name.to_owned(),
            path,
            command: format!("[{}]", words.collect::<Vec<_>>().join(", ")),
            working_dir: directory.map(quoted),
            text: String::new(),
        };
        let settings: String =
            written.settings().iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        written.text = format!(
            "# Made by `mainstay install`. Change it as you like, with `mainstay set {name}` or an editor.\n\
             name = {0}\n\n[service.{0}]\n{settings}",
            quoted(name)
        );
        Ok(written)
    }

    /// Takes over what `mainstay set` has put into the file that is there. What a person has changed is theirs.
    fn over(mut self, place: &Place) -> Result<Written, Failure> {
        let Ok(there) = std::fs::read_to_string(&self.path) else { return Ok(self) };
        let ours = Installed::read(place).and_then(|installed| installed.wrote);
        if there == self.text {
            return Ok(self);
        }
        if ours.as_deref() == Some(there.as_str())
            && let Ok(mut document) = there.parse()
            && self.settings().iter().all(|(key, value)| {
                let path = ["service", &self.name, key].map(str::to_owned);
                edit_toml::set(&mut document, &path, value).is_ok()
            })
        {
            self.text = document.to_string();
            return Ok(self);
        }
        Err(Failure::usage(format!("{} is there and was changed by hand", self.path.display())).hint(
            format!(
                "edit it, and install it with `mainstay install -f {}`; or remove it first",
                self.path.display()
            ),
        ))
    }

    /// What it says of its service.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("command", self.command.clone())];
        settings.extend(self.working_dir.clone().map(|dir| ("working_dir", dir)));
        settings
    }

    fn write(&self) -> Result<(), Failure> {
        if let Some(parent) = self.path.parent() {
            mainstay_sys::dirs::create_private(parent)
                .map_err(|error| Failure::io("make the directory", parent.display(), &error))?;
        }
        mainstay_sys::file::write_atomic(&self.path, self.text.as_bytes(), true)
            .map_err(|error| Failure::io("write", self.path.display(), &error))
    }
}

/// A string of TOML: JSON's escapes are all among its own. What was typed is meant as it is: a `$` is no variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_one_program_means_what_was_typed() {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join("my app.exe");
        std::fs::write(&program, "").expect("a file");
        let arguments = ["--port", "80 80", "a\"b\\c", "", "ü\n", "${HOME}"].map(str::to_owned);
        let written = Written::new("api", &program, &arguments).expect("a text");
        let file = dir.path().join("mainstay.toml");
        std::fs::write(&file, &written.text).expect("a file");
        let loaded = plan_file::load(&[file], &Over::default());
        let plan = loaded.map_err(|failure| format!("{}: {failure:?}", written.text)).expect("sound").plan;
        let service = &plan.services["api"];
        assert_eq!(service.launch.command[0], program.to_str().expect("text"));
        assert_eq!(service.launch.command[1..], arguments, "as typed, variables included");
    }
}
