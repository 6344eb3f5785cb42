//! `mainstay up`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mainstay_core::StartMode;
use mainstay_daemon::StoredPlan;

use crate::act::watch;
use crate::args::{self, Over};
use crate::attached;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::launch::{self, Hold, Leash, Started};
use crate::output::Output;
use crate::output::words;
use crate::runtime::block_on;
use crate::stack::{self, Place};
use crate::wait::{Goal, Verdict};
use crate::{excerpt, limits, plan_file};

/// Start a stack and keep it up
///
/// In the foreground it shows the services' output; Ctrl+C stops all of them in order, a second one at once.
#[derive(Debug, clap::Args)]
pub struct Up {
    /// The configuration, in TOML, YAML or JSON; a further one goes over it [default: ./mainstay.toml]
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    over: Over,

    /// Leave it running in the background
    #[arg(short, long)]
    detach: bool,

    /// With --detach: wait until all services are up, and fail if one is not
    #[arg(long, requires = "detach")]
    wait: bool,

    /// With --wait: give up after this time, `30s` or `2m`
    #[arg(long, value_name = "TIME", requires = "wait", default_value = "2m", value_parser = args::duration)]
    timeout: Duration,
}

/// Does it.
///
/// # Errors
/// The configuration is wrong, the stack is up already, or its keeper does not come up.
pub fn run(args: Up, output: &mut Output) -> Outcome {
    let files = stack::config_paths(&args.files)?;
    let Some(path) = files.first() else {
        return Err(Failure::usage(format!("there is no {} here", stack::CONFIG))
            .hint("`mainstay up -f FILE` takes another one"));
    };
    let loaded = plan_file::load(&files, &args.over)?;
    plan_file::warn(output, &loaded.warnings);
    let place = Place::of(&loaded.plan.stack)?;
    limits::warn_of_files(&loaded.plan, output);
    let config = Some(path.to_string_lossy().into_owned());
    let stored = StoredPlan { plan: loaded.plan, config, source: Some(loaded.source) };
    if !args.detach {
        return attached::run(&place, &stored, output);
    }
    match launch::start(&place, &stored, Hold::Background)? {
        Started::New(leash) => detached(&args, &place, &stored, leash, output),
        Started::AlreadyUp(failure) => Err(failure),
    }
}

fn detached(args: &Up, place: &Place, stored: &StoredPlan, leash: Leash, output: &mut Output) -> Outcome {
    leash.detach()?;
    block_on(async {
        let client = place.client();
        let stack = client.stack().await.map_err(|e| Failure::api(e, &place.name))?;
        if args.wait {
            let wanted = stored.plan.services.iter().filter(|(_, plan)| plan.start == StartMode::Auto);
            let goals: BTreeMap<_, _> = wanted.map(|(name, _)| (name.clone(), Goal::Up)).collect();
            let seen = watch(&client, place, &goals, args.timeout, output).await?;
            let trouble: Vec<String> = seen
                .iter()
                .filter_map(|(name, (verdict, _))| match verdict {
                    Verdict::Reached => None,
                    Verdict::Waiting(why) | Verdict::Missed(why) => Some(format!("{name}: {why}")),
                })
                .collect();
            if let Some((first, _)) = seen.iter().find(|(_, (verdict, _))| *verdict != Verdict::Reached) {
                let count = words::count(trouble.len(), "service");
                return Err(Failure::failed(format!(
                    "stack {} is up, but {count} did not come up",
                    place.name
                ))
                .details(trouble)
                .details(excerpt::last_lines(place, first.as_str()))
                .hint(format!("`mainstay status --stack {}` shows how it goes on", place.name)));
            }
        }
        let stack = limits::told(&client, &stored.plan, stack).await;
        for service in stack.services.iter().filter(|_| !output.json) {
            for limit in &service.not_enforced {
                output.warning(&format!("{}: {}", service.name, limit.words()));
            }
        }
        if output.json {
            output.json(&stack)?;
        } else {
            let services = words::count(stack.services.len(), "service");
            output.line(&format!("{}: up with {services}, keeper {}", place.name, stack.keeper.pid))?;
            output.note("`mainstay status` shows the services, `mainstay logs -f` their output, `mainstay down` stops");
        }
        Ok(ExitStatus::Done)
    })
}
