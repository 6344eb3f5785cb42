//! `mainstay logs`

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_core::Plan;
use mainstay_logs::{Follower, LogPos, Step, stderr_name, tail_start};
use regex::bytes::{Regex, RegexBuilder};

use crate::args::SelectLong;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::log_view::{Filter, Shape, Source, View};
use crate::names;
use crate::output::Output;
use crate::stack::Place;

/// How often files that did not grow are looked at again.
const LOOK: Duration = Duration::from_millis(50);
/// What is shown of the past when following, unless told.
const FOLLOWED: u64 = 10;
/// A pattern may need so much memory.
const MAX_PATTERN: usize = 10 << 20;

/// Show what services wrote
///
/// One service's output is shown exactly as it was written; that of several with their names before the lines, in
/// order of time.
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

    /// Only what was written since then: `10m`, `2026-11-22 19:00`, `19:00`
    #[arg(long, value_name = "TIME", value_parser = crate::args::time)]
    since: Option<Timestamp>,

    /// Only what was written until then
    #[arg(long, value_name = "TIME", value_parser = crate::args::time, conflicts_with = "follow")]
    until: Option<Timestamp>,

    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "REGEX", value_parser = pattern)]
    grep: Option<Regex>,

    /// Only what this run wrote; `mainstay status SERVICE` and events tell the number
    #[arg(long, value_name = "N")]
    run: Option<u64>,

    /// Only standard error, of services that keep it apart (`log.stderr`)
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,

    /// Only standard output, of services that keep standard error apart
    #[arg(long)]
    stdout: bool,

    /// With the time before each line
    #[arg(short, long)]
    timestamps: bool,

    /// Which services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN).build().map_err(|e| e.to_string())
}

/// Shows it.
///
/// # Errors
/// No such stack or service; a log that can't be read.
pub fn run(mut args: Logs, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select.clone().into(), &args.services)?;
    let place = meant.place;
    args.services = meant.services;
    let names = args.logs(&place)?;
    let dir = &place.dirs.log;
    let filter = args.filter();
    let lines = args.lines.or((args.follow && args.since.is_none()).then_some(FOLLOWED));
    let as_written = filter.is_open() && !args.timestamps && !output.json;
    match names.as_slice() {
        [only] if !args.services.is_empty() && as_written => {
            one(dir, &only.name, lines, args.follow, output)?
        }
        names => {
            let one = !args.services.is_empty() && names.iter().all(|log| log.service == names[0].service);
            let mut view = View::new(dir, filter, Shape { names: !one, times: args.timestamps });
            for log in names {
                view.add(log, lines).map_err(|e| unreadable(dir, &log.name, &e))?;
            }
            view.explain(output);
            several(view, args.follow, output)?;
        }
    }
    Ok(ExitStatus::Done)
}

impl Logs {
    fn filter(&self) -> Filter {
        let millis = |time: Timestamp| u64::try_from(time.as_millisecond()).unwrap_or(0);
        Filter {
            since: self.since.map(millis),
            until: self.until.map(millis),
            run: self.run,
            grep: self.grep.clone(),
        }
    }
}

impl Logs {
    /// The logs that are wanted: one for each service, two if it keeps standard error apart.
    fn logs(&self, place: &Place) -> Result<Vec<Source>, Failure> {
        let plan = place.plan()?.plan;
        let names = services(place, &plan, &place.expand(&self.services))?;
        let mut logs = Vec::new();
        for service in &names {
            let apart = keeps_apart(place, &plan, service);
            let log = |name: &str, stream| Source { service: service.clone(), name: name.to_owned(), stream };
            if !self.stderr {
                logs.push(log(service, apart.then_some("stdout")));
            }
            if apart && !self.stdout {
                logs.push(log(&stderr_name(service), Some("stderr")));
            }
        }
        if logs.is_empty() {
            return Err(Failure::failed("standard error is in the same log as standard output")
                .hint("`log = { stderr = \"separate\" }` keeps it apart from the next start on"));
        }
        Ok(logs)
    }
}

/// Whether a service's standard error has a log of its own, by the plan or from earlier.
fn keeps_apart(place: &Place, plan: &Plan, service: &str) -> bool {
    let apart = plan.services.get(service).is_some_and(|plan| plan.log.separate_stderr);
    let name = stderr_name(service);
    apart || !plan.services.contains_key(name.as_str()) && place.log_file(&name).exists()
}

fn services(place: &Place, plan: &Plan, wanted: &[String]) -> Result<Vec<String>, Failure> {
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

fn unreadable(dir: &Path, name: &str, error: &io::Error) -> Failure {
    Failure::io("read the log of", format!("{name} in {}", dir.display()), error)
}

/// The bytes of one log, nothing added.
fn one(dir: &Path, name: &str, lines: Option<u64>, follow: bool, output: &mut Output) -> Result<(), Failure> {
    let start = lines.map_or(Ok(LogPos::default()), |n| tail_start(dir, name, n));
    let mut follower = Follower::new(dir, name, start.map_err(|e| unreadable(dir, name, &e))?);
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

/// Lines of one or several logs.
fn several(mut view: View, follow: bool, output: &mut Output) -> Result<(), Failure> {
    if !follow {
        view.finish(output)?;
        return output.flush();
    }
    loop {
        if !view.pump(output)? {
            output.flush()?;
            thread::sleep(LOOK);
        }
    }
}
