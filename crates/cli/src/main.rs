//! `mainstay`: the one program. A client of a stack's daemon most of the time; also the keeper and the daemon
//! themselves, under names that the help does not show.
#![forbid(unsafe_code)]

mod act;
mod args;
mod attached;
mod commands;
mod doctor;
mod edit_toml;
mod entries;
mod event_text;
mod excerpt;
mod explain;
mod failure;
mod feed;
mod habits;
mod history;
mod host;
mod installed;
mod launch;
mod limits;
mod log_view;
mod names;
mod native;
mod output;
mod own;
mod own_file;
mod plan_file;
mod reload;
mod runtime;
mod sources;
mod stack;
mod system_log;
mod system_view;
mod tails;
mod view;
mod wait;

#[cfg(test)]
mod testing;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use failure::{ExitStatus, Failure};
use output::Output;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The keeper blocks signals for all of its threads: nothing may come before it.
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("keeper") => return own::keeper(&arguments[2..]),
        Some("daemon") => return own::daemon(&arguments[2..]),
        Some("entry") => return own::entry(&arguments[2..]),
        Some("ctrl-c") => return own::ctrl_c(&arguments[2..]),
        _ => {}
    }
    if commands::completions::answered(&arguments) {
        return ExitStatus::Done.into();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure; a reader that is gone is none either.
            let _ = error.print();
            habits::advise(&error);
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done };
            return status.into();
        }
    };
    let mut output = Output::new(cli.json, cli.color);
    output.quiet = cli.quiet;
    let outcome = commands::dispatch(cli.command, &mut output)
        .and_then(|status| output.flush().map(|()| status))
        .unwrap_or_else(|failure| told(&output, &failure));
    outcome.into()
}

fn told(output: &Output, failure: &Failure) -> ExitStatus {
    output.failure(failure);
    failure.status
}
