//! `mainstay doctor`

use std::path::Path;

use mainstay_core::doctor::{Finding, Fix, Severity, examine};
use mainstay_core::{Plan, ServiceName};

use crate::args::{Over, Select};
use crate::doctor::{grant, look};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names::{self, Meant};
use crate::output::Output;
use crate::output::style::{self, Paint};
use crate::output::table::wrap;
use crate::output::words::{self, printable};
use crate::own_file::OwnFile;
use crate::{plan_file, stack};

/// Find what will go wrong with services, before they start or after
///
/// Each start is tried up to the program's first instruction, as the account that it will run under: program, interpreter,
/// libraries, directory, rights. Then ports and who has them, names of hosts, disks, limits, the clock, the entry in the
/// service manager, and stacks that want the same thing. Ends with 1 if there is a problem; risks alone are no failure.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    select: Select,

    /// Mend what can be mended without harm
    #[arg(long)]
    fix: bool,

    /// Which services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Looks, and says what was found.
///
/// # Errors
/// No such stack or service; the configuration is wrong.
pub fn run(args: &Doctor, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select, &args.services)?;
    let plan = plan(args, &meant, output)?;
    let services = services(&meant, &plan)?;
    let mut found = examine(&plan, &look(&meant.place, &plan, &services)?);
    let mut mended = Vec::new();
    if args.fix {
        for fix in found.iter().filter_map(|finding| finding.fix.as_ref()) {
            mended.push(mend(fix, &meant)?);
        }
        if !mended.is_empty() {
            found = examine(&plan, &look(&meant.place, &plan, &services)?);
        }
    }
    let problems = found.iter().filter(|finding| finding.severity == Severity::Problem).count();
    if output.json {
        output.json(&serde_json::json!({ "stack": plan.stack, "findings": found, "mended": mended }))?;
    } else {
        for line in &mended {
            output.line(&format!("mended: {line}"))?;
        }
        let text = text(&plan.stack, services.len(), &found, output.paint, output.width);
        output.text(&text)?;
    }
    Ok(if problems > 0 { ExitStatus::Failed } else { ExitStatus::Done })
}

/// The configuration as it is now in the files that were named, else in those of the stack; what runs, if there are none.
fn plan(args: &Doctor, meant: &Meant, output: &Output) -> Result<Plan, Failure> {
    let over = Over { env: args.select.env.clone(), ..Over::default() };
    let loaded = match OwnFile::of(&meant.place) {
        Ok(own) if args.select.files.is_empty() => own.load()?,
        _ => match stack::config_files(&args.select)? {
            Some(files) => plan_file::load(&files, &over)?,
            None => return Ok(meant.place.plan()?.plan),
        },
    };
    plan_file::warn(output, &loaded.warnings);
    Ok(loaded.plan)
}

fn services(meant: &Meant, plan: &Plan) -> Result<Vec<ServiceName>, Failure> {
    if meant.services.is_empty() {
        return Ok(plan.services.keys().cloned().collect());
    }
    let known = || plan.services.keys().map(ServiceName::as_str).collect::<Vec<_>>();
    let named = meant.place.expand(&meant.services);
    let find = |name: &String| match plan.services.get_key_value(name.as_str()) {
        Some((name, _)) => Ok(name.clone()),
        None => Err(meant.place.no_such_service(name, known())),
    };
    named.iter().map(find).collect()
}

/// What was done.
fn mend(fix: &Fix, meant: &Meant) -> Result<String, Failure> {
    match fix {
        Fix::MakeDirectory { path, owner } => {
            mainstay_sys::dirs::create_for(Path::new(path), owner.as_deref())
                .map_err(|error| Failure::io("make", path, &error))?;
            Ok(format!("made the directory {path}"))
        }
        Fix::GrantAccess(denied) => {
            grant(denied, &meant.place)?;
            Ok(format!("let {} at {}", denied.account, denied.path))
        }
        Fix::RegisterEventSource => {
            let name = &meant.place.name;
            // Its resources have the sentences of events.
            mainstay_service::log::register(name, std::env::current_exe().ok().as_deref())
                .map_err(|error| Failure::io("register the Event Log source", name, &error))?;
            Ok(format!("registered the Event Log source {name}"))
        }
    }
}

/// What was found, in paragraphs that fit the screen.
fn text(stack: &str, services: usize, found: &[Finding], paint: Paint, width: Option<usize>) -> String {
    let count = |severity| found.iter().filter(|finding| finding.severity == severity).count();
    let headline = match (count(Severity::Problem), count(Severity::Risk)) {
        (0, 0) => format!("{stack}: nothing is wrong with {}", words::count(services, "service")),
        (problems, risks) => {
            format!("{stack}: {}, {}", words::count(problems, "problem"), words::count(risks, "risk"))
        }
    };
    let mut text = format!("{}\n", paint.apply(style::STRONG, &headline));
    for finding in found {
        text.push('\n');
        let (lead, colour) = match finding.severity {
            Severity::Problem => ("problem", style::BAD),
            Severity::Risk => ("risk", style::UNSURE),
        };
        let of = finding.service.as_ref().map_or(String::new(), |name| format!("{name}: "));
        for (lead, colour, words) in [
            (lead, colour, format!("{of}{}", finding.what)),
            ("  why", style::DIM, finding.why.clone()),
            ("  mend", style::HINT, finding.mend.clone()),
        ] {
            let words = printable(&words);
            for (nth, line) in
                wrap(&words, Some(width.unwrap_or(80).saturating_sub(LEAD))).into_iter().enumerate()
            {
                let lead = if nth == 0 { lead } else { "" };
                let gap = " ".repeat(LEAD - lead.len());
                text.push_str(&format!("{}{gap}{line}\n", paint.apply(colour, lead)));
            }
        }
    }
    text
}

/// What a line begins with has so many columns.
const LEAD: usize = 9;
