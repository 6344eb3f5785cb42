//! `mainstay man`

use std::path::PathBuf;

use clap::CommandFactory;

use crate::args::Cli;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;

/// Write the manual pages into a directory, such as ~/.local/share/man/man1
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Where to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes them.
///
/// # Errors
/// The directory can't be written.
pub fn run(args: &Man, output: &Output) -> Outcome {
    let failed = |error: std::io::Error| Failure::io("write manual pages into", args.dir.display(), &error);
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(failed)?;
    output.note(&format!("`man -l {}` shows the first", args.dir.join("mainstay.1").display()));
    Ok(ExitStatus::Done)
}
