//! `mainstay logs`

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mainstay_logs::{Follower, LogPos, Step, tail_start};

use crate::args::SelectLong;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::stack::{self, Place};
use crate::tails::Tails;

/// How often files that did not grow are looked at again.
const LOOK: Duration = Duration::from_millis(50);
/// What is shown of the past when following, unless told.
const FOLLOWED: u64 = 10;

/// Show what services wrote
///
/// One service's output is shown exactly as it was written; that of several with their names before the lines.
#[derive(Debug, clap::Args)]
pub struct Logs {
    #[command(flatten)]
    select: SelectLong,

    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,

    /// The last so many lines of each [default: all, with --follow 10]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u64>,

    /// Which services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Shows it.
///
/// # Errors
/// No such stack or service; a log that can't be read.
pub fn run(args: Logs, output: &mut Output) -> Outcome {
    if output.json {
        return Err(Failure::usage("logs are shown as they were written; there is no JSON of them"));
    }
    let place = stack::select(&args.select.into())?;
    let names = names(&place, &args.services)?;
    let lines = args.lines.or(args.follow.then_some(FOLLOWED));
    match names.as_slice() {
        [only] if !args.services.is_empty() => one(&place.dirs.log, only, lines, args.follow, output)?,
        several => many(&place.dirs.log, several, lines, args.follow, output)?,
    }
    Ok(ExitStatus::Done)
}

fn names(place: &Place, wanted: &[String]) -> Result<Vec<String>, Failure> {
    let plan = place.plan()?.plan;
    if wanted.is_empty() {
        return Ok(plan.services.keys().map(ToString::to_string).collect());
    }
    for name in wanted {
        // The log of a service that is in the plan no more is still there to be read.
        let left = || mainstay_logs::is_valid_name(name) && place.log_file(name).exists();
        if !plan.services.contains_key(name.as_str()) && !left() {
            return Err(place.no_such_service(name, plan.services.keys().map(|n| n.as_str())));
        }
    }
    let mut names = wanted.to_vec();
    names.sort();
    names.dedup();
    Ok(names)
}

fn start(dir: &Path, name: &str, lines: Option<u64>) -> Result<LogPos, Failure> {
    lines.map_or(Ok(LogPos::default()), |n| tail_start(dir, name, n)).map_err(|e| unreadable(dir, name, &e))
}

fn unreadable(dir: &Path, name: &str, error: &io::Error) -> Failure {
    Failure::io("read the log of", format!("{name} in {}", dir.display()), error)
}

/// The bytes of one log, nothing added.
fn one(dir: &Path, name: &str, lines: Option<u64>, follow: bool, output: &mut Output) -> Result<(), Failure> {
    let mut follower = Follower::new(dir, name, start(dir, name, lines)?);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match follower.read(&mut buffer).map_err(|e| unreadable(dir, name, &e))? {
            Step::Data(read) => output.bytes(&buffer[..read])?,
            Step::End if follow => {
                output.flush()?;
                thread::sleep(LOOK);
            }
            Step::End => return output.flush(),
        }
    }
}

/// The lines of several logs, each with its name.
fn many(
    dir: &Path,
    names: &[String],
    lines: Option<u64>,
    follow: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut tails = Tails::new(dir);
    for name in names {
        tails.add(name, start(dir, name, lines)?);
    }
    if !follow {
        tails.finish(output)?;
        return output.flush();
    }
    loop {
        if !tails.pump(output)? {
            output.flush()?;
            thread::sleep(LOOK);
        }
    }
}
