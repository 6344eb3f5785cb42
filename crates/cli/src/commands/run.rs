//! `mainstay run`

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_api::types::{Action, AddService, Service};
use mainstay_api::{Client, ClientError};
use mainstay_core::{Launch, Plan, RestartPlan, RestartPolicy, ServiceName, ServicePlan, StateName};
use mainstay_daemon::StoredPlan;

use crate::act::watch;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::launch::{self, Hold, Started};
use crate::output::Output;
use crate::runtime::block_on;
use crate::stack::{JOBS, Place};
use crate::wait::{Goal, Verdict};

/// Run a program in the background, beyond the end of this terminal
///
/// It becomes a service of the stack `jobs` (or another one that is up), keeps its output in a log, and needs no
/// configuration.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// What it is called [default: the program's name]
    #[arg(short, long)]
    name: Option<String>,

    /// What follows its end
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    restart: Restart,

    /// Set a variable in its environment, which is otherwise the one of this shell
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Its working directory [default: this one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,

    /// The stack it becomes part of
    #[arg(short, long, value_name = "NAME", default_value = JOBS)]
    stack: String,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// Whether it starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Restart {
    /// It has run once then
    #[default]
    Never,
    /// Again if it failed
    OnFailure,
    /// Again in any case
    Always,
}

/// Variables that speak of the shell itself, or of the service that the shell may be in.
const LEFT_OUT: [&str; 5] = ["_", "SHLVL", "OLDPWD", "NOTIFY_SOCKET", "MAINSTAY_RUN"];

/// How long a service that is over may take to go.
const ROOM_TIME: Duration = Duration::from_secs(10);
/// How long the process of a new one is waited for. It takes milliseconds on a machine that is well.
const START_TIME: Duration = Duration::from_secs(2);

/// Does it.
///
/// # Errors
/// The name is taken, the program cannot be started, the keeper does not come up.
pub fn run(args: Run, output: &mut Output) -> Outcome {
    let name = name(&args)?;
    let plan = service(&args, output)?;
    let place = Place::of(&args.stack)?;
    let service = block_on(async {
        let client = place.client();
        if !place.is_up() {
            begin(&place)?;
        }
        let request = AddService { name: name.clone(), plan };
        match client.add(&request).await {
            Err(ClientError::Refused { status: 409, .. })
                if make_room(&client, &place, &name, output).await? =>
            {
                client.add(&request).await
            }
            other => other,
        }
        .map_err(|e| Failure::api(e, &place.name))?;
        begun(&client, &place, &name).await
    })?;
    if service.state == StateName::Failed && service.last_exit.is_none() {
        return Err(Failure::failed(format!("{name} could not be started: {}", service.reason)).hint(
            format!("it is kept as a service; `mainstay rm --stack {} {name}` takes it away", place.name),
        ));
    }
    if output.json {
        output.json(&service)?;
    } else {
        let pid = service.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        output.line(&format!("{name}: in the background as a service of stack {}{pid}", place.name))?;
        output.note(&format!(
            "`mainstay status -s {0}` shows it, `mainstay logs -s {0} {name}` its output",
            place.name
        ));
    }
    Ok(ExitStatus::Done)
}

/// Takes an earlier service of that name away if it is over. Says whether the name is free now.
async fn make_room(
    client: &Client,
    place: &Place,
    name: &ServiceName,
    output: &Output,
) -> Result<bool, Failure> {
    let refused = |e| Failure::api(e, &place.name);
    let before = client.service(name).await.map_err(refused)?;
    if !before.state.is_down() {
        return Ok(false);
    }
    client.action(name, Action::Remove).await.map_err(refused)?;
    let goals = BTreeMap::from([(name.clone(), Goal::Gone)]);
    let seen = watch(client, place, &goals, ROOM_TIME, output).await?;
    Ok(seen.values().all(|(verdict, _)| *verdict == Verdict::Reached))
}

/// The service once its process is there, or can't be; or after a moment, whatever became of it.
async fn begun(client: &Client, place: &Place, name: &ServiceName) -> Result<Service, Failure> {
    let refused = |e| Failure::api(e, &place.name);
    let begin = Instant::now();
    loop {
        let stack = client.stack().await.map_err(refused)?;
        let service = client.service(name).await.map_err(refused)?;
        let settled = service.pid.is_some() || service.state != StateName::Starting;
        if settled || begin.elapsed() > START_TIME {
            return Ok(service);
        }
        client.changes(stack.revision, START_TIME).await.map_err(refused)?;
    }
}

/// Starts the stack without services; one that somebody else starts at this moment is as good.
fn begin(place: &Place) -> Result<(), Failure> {
    if place.name != JOBS {
        return Err(Failure::not_up(&place.name));
    }
    let plan = match place.plan() {
        // What ran there before stays known: its logs are there, and it can be started again.
        Ok(stored) => manual(stored),
        Err(_) => StoredPlan {
            plan: Plan { stack: place.name.clone(), ..Plan::default() },
            ..StoredPlan::default()
        },
    };
    match launch::start(place, &plan, Hold::Background)? {
        Started::New(leash) => leash.detach(),
        Started::AlreadyUp(_) => Ok(()),
    }
}

/// Jobs of a stack that went down do not all start again because one more is put beside them.
fn manual(mut stored: StoredPlan) -> StoredPlan {
    for service in stored.plan.services.values_mut() {
        service.start = mainstay_core::StartMode::Manual;
    }
    stored
}

fn name(args: &Run) -> Result<ServiceName, Failure> {
    let text = match &args.name {
        Some(name) => name.clone(),
        None => {
            let program = Path::new(&args.command[0]);
            program.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
    };
    ServiceName::new(text.clone()).map_err(|why| {
        Failure::usage(format!("the name `{text}` {why}")).hint("choose one with `--name NAME`")
    })
}

fn service(args: &Run, output: &Output) -> Result<ServicePlan, Failure> {
    let unicode = |text: &OsString| {
        text.clone()
            .into_string()
            .map_err(|bad| Failure::usage(format!("not Unicode: {}", bad.to_string_lossy())))
    };
    let cwd = args.cwd.clone().unwrap_or_else(|| PathBuf::from("."));
    let cwd = std::path::absolute(&cwd).map_err(|e| Failure::io("find", cwd.display(), &e))?;
    if !cwd.is_dir() {
        return Err(Failure::usage(format!("there is no directory {}", cwd.display())));
    }
    let policy = match args.restart {
        Restart::Never => RestartPolicy::Never,
        Restart::OnFailure => RestartPolicy::OnFailure,
        Restart::Always => RestartPolicy::Always,
    };
    Ok(ServicePlan {
        launch: Launch {
            command: args.command.iter().map(unicode).collect::<Result<_, _>>()?,
            working_dir: Some(unicode(&cwd.into_os_string())?),
            environment: environment(&args.env, output)?,
            ..Launch::default()
        },
        restart: RestartPlan { policy, ..RestartPlan::default() },
        ..ServicePlan::default()
    })
}

/// The environment of this shell, as `nohup` would pass it on, and what was set on the command line.
fn environment(set: &[String], output: &Output) -> Result<BTreeMap<String, String>, Failure> {
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let (Ok(name), Ok(value)) = (name.clone().into_string(), value.into_string()) else {
            output
                .warning(&format!("the variable {} is not Unicode and is left out", name.to_string_lossy()));
            continue;
        };
        // Windows keeps the directory of each drive in variables called `=C:`.
        if !LEFT_OUT.contains(&name.as_str()) && !name.starts_with('=') {
            environment.insert(name, value);
        }
    }
    for pair in set {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => environment.insert(name.to_owned(), value.to_owned()),
            _ => return Err(Failure::usage(format!("--env {pair}: it must be NAME=VALUE"))),
        };
    }
    Ok(environment)
}
