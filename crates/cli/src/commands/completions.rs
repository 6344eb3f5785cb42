//! `mainstay completions`, and what the shells ask then.

use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use mainstay_sys::dirs;

use crate::args::{Cli, Select};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::stack::{self, Place};

/// A shell that asks has this in the environment of `mainstay`.
const ASKED: &str = "MAINSTAY_COMPLETE";

/// Print what makes a shell complete commands, options and names of services
///
/// bash: put `source <(mainstay completions bash)` into ~/.bashrc. zsh: the same with zsh into ~/.zshrc, after compinit.
/// fish: `mainstay completions fish > ~/.config/fish/completions/mainstay.fish`. PowerShell: put
/// `mainstay completions powershell | Out-String | Invoke-Expression` into $PROFILE.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that are known.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// Windows PowerShell and PowerShell
    #[value(name = "powershell", alias = "pwsh")]
    Pwsh,
}

/// Prints it.
///
/// # Errors
/// The output can't be written.
pub fn run(args: &Completions, output: &mut Output) -> Outcome {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Pwsh => "powershell",
    };
    let shells = Shells::builtins();
    let unknown = || Failure::failed(format!("there are no completions for {name}"));
    let shell = shells.completer(name).ok_or_else(unknown)?;
    let mut script = Vec::new();
    // By its name, not its path: what is written into a shell's start file outlives a move of the program.
    shell.write_registration(ASKED, "mainstay", "mainstay", "mainstay", &mut script)?;
    output.bytes(&script)?;
    Ok(ExitStatus::Done)
}

/// Answers a shell, if it is one that asks.
pub fn answered(arguments: &[std::ffi::OsString]) -> bool {
    if std::env::var_os(ASKED).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(command).var(ASKED).try_complete(arguments, here.as_deref()).unwrap_or_else(
        |error| {
            // A shell that shows this shows it in the middle of what is being typed.
            let _ = error.print();
            true
        },
    )
}

/// The command line, with names where names are taken.
fn command() -> Command {
    with_names(Cli::command())
}

fn with_names(command: Command) -> Command {
    let takes = |arg: &clap::Arg, name: &str| {
        arg.get_value_names().is_some_and(|names| names.iter().any(|value| value.as_str() == name))
    };
    let command = command.mut_args(|arg| {
        if takes(&arg, "SERVICE") || arg.get_id() == "named" {
            arg.add(ArgValueCandidates::new(services))
        } else if arg.get_id() == "stack" {
            arg.add(ArgValueCandidates::new(stacks))
        } else {
            arg
        }
    });
    command.mut_subcommands(with_names)
}

fn stacks() -> Vec<CompletionCandidate> {
    dirs::stacks().into_iter().map(CompletionCandidate::new).collect()
}

/// The services of the stack that is meant here; those of all that are up if that is not clear.
fn services() -> Vec<CompletionCandidate> {
    let places =
        stack::select(&Select::default()).map_or_else(|_| stack::all_up(), |place: Place| vec![place]);
    let mut names = std::collections::BTreeMap::new();
    for stored in places.iter().filter_map(|place| place.plan().ok()) {
        for (name, plan) in stored.plan.services {
            if let Some(all) = plan.instance_of {
                names.entry(all.to_string()).or_insert(None);
            }
            names.insert(name.to_string(), plan.description);
        }
    }
    let candidate =
        |(name, about): (String, Option<String>)| CompletionCandidate::new(name).help(about.map(Into::into));
    names.into_iter().map(candidate).collect()
}
