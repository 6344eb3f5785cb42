//! `mainstay secret`

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Read};

use mainstay_api::types::SecretsChanged;
use mainstay_core::{Plan, SecretSource};
use mainstay_secrets::{MAX_VALUE, SecretError, Secrets, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::args::{Select, Waiting};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::table::{Cell, Column, Table};
use crate::output::{Output, style, words};
use crate::own_file::OwnFile;
use crate::runtime::block_on;
use crate::stack::Place;
use crate::{plan_file, reload, stack};

/// Give secrets their values, and have services take new ones
///
/// `${secret:NAME}` in a service's `environment` means the value. docs/secrets.md has more.
#[derive(Debug, clap::Subcommand)]
pub enum Secret {
    /// Give a secret a value: typed without being shown, or from standard input
    ///
    /// Services take it at their next start, or when `mainstay secret rotate` says so. A value is never an argument: those
    /// are for everybody to read.
    Set {
        #[command(flatten)]
        select: Select,

        /// The value of this variable
        #[arg(long, value_name = "VARIABLE")]
        from_env: Option<String>,

        /// The secret
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the secrets of a stack: where they are kept, who uses them, whether they can be read
    List {
        #[command(flatten)]
        select: Select,
    },
    /// Take a secret's value away
    #[command(visible_alias = "rm")]
    Remove {
        #[command(flatten)]
        select: Select,

        /// The secret
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Restart the services whose secrets have other values by now, and no others
    ///
    /// Each after what it depends on, and each waited for. A service that does not come up with the new value stays as its
    /// restart policy says: the old value is gone.
    Rotate {
        #[command(flatten)]
        select: Select,

        #[command(flatten)]
        waiting: Waiting,

        /// Only show which services these are
        #[arg(long)]
        dry_run: bool,

        /// Of these secrets only
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Does it.
///
/// # Errors
/// The secret cannot be written or removed; a service does not come up with it.
pub fn run(args: &Secret, output: &mut Output) -> Outcome {
    match args {
        Secret::Set { select, from_env, name } => set(&Stack::of(select)?, name, from_env.as_deref(), output),
        Secret::List { select } => list(&Stack::of(select)?, output),
        Secret::Remove { select, name } => remove(&Stack::of(select)?, name, output),
        Secret::Rotate { select, waiting, dry_run, names } => {
            let place = stack::select(select)?;
            let changed =
                SecretsChanged { names: names.clone(), how: "secret rotate".to_owned(), dry_run: *dry_run };
            block_on(async {
                let client = place.client();
                let told = reload::answer(client.secrets_changed(&changed), output)
                    .await
                    .map_err(|error| Failure::api(error, &place.name))?;
                reload::follow(&client, &place, told, *waiting, output).await
            })
        }
    }
}

/// A stack with its secrets.
struct Stack {
    place: Place,
    plan: Plan,
    secrets: Secrets,
}

impl Stack {
    /// As its configuration is by now: a new line in `[secrets]` counts before it is applied.
    fn of(select: &Select) -> Result<Stack, Failure> {
        let place = stack::select(select)?;
        let own = OwnFile::of(&place).and_then(|own| own.load()).ok().map(|loaded| loaded.plan);
        let here = || {
            let files = stack::config_paths(&select.files).ok().filter(|_| select.stack.is_none())?;
            let over = crate::args::Over { env: select.env.clone(), ..Default::default() };
            Some(plan_file::load(&files, &over).ok().filter(|loaded| loaded.plan.stack == place.name)?.plan)
        };
        let plan =
            own.or_else(here).or_else(|| place.plan().ok().map(|stored| stored.plan)).unwrap_or_default();
        let secrets = Secrets::new(&place.dirs.state, &plan.secrets);
        Ok(Stack { place, plan, secrets })
    }

    /// The services that use each secret.
    fn users(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (service, plan) in &self.plan.services {
            for name in plan.all_secret_names() {
                users.entry(name).or_default().insert(service.to_string());
            }
        }
        users
    }
}

fn failed(error: SecretError) -> Failure {
    let failure = Failure::failed(error.to_string());
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn set(stack: &Stack, name: &str, from_env: Option<&str>, output: &mut Output) -> Outcome {
    let value = value(name, from_env)?;
    mainstay_sys::dirs::create_private(&stack.place.dirs.state)
        .map_err(|error| Failure::io("make", stack.place.dirs.state.display(), &error))?;
    stack.secrets.set(name, &value).map_err(failed)?;
    let users = stack.users().remove(name).unwrap_or_default();
    if output.json {
        output.json(&serde_json::json!({ "name": name, "used_by": users }))?;
        return Ok(ExitStatus::Done);
    }
    output.line(&format!("{name} is set, in {}", stack.secrets.source(name)))?;
    if !users.is_empty() && stack.place.is_up() {
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        output.note(&format!(
            "{} takes it at the next start; `mainstay secret rotate {name}` restarts what uses it now",
            words::list(&users)
        ));
    }
    Ok(ExitStatus::Done)
}

/// From the variable, from whoever sits there, or from standard input to its end.
fn value(name: &str, from_env: Option<&str>) -> Result<Value, Failure> {
    if let Some(variable) = from_env {
        return std::env::var(variable)
            .map(Zeroizing::new)
            .map_err(|_| Failure::usage(format!("the variable {variable} is not set, or no text")));
    }
    if std::io::stdin().is_terminal() {
        let ask = |what: &str| {
            let read = mainstay_sys::console::read_hidden(what).map(Zeroizing::new);
            read.map_err(|error| Failure::failed(format!("cannot read what is typed: {error}")))
        };
        let value = ask(&format!("Value of {name}: "))?;
        if *value != *ask("Once more: ")? {
            return Err(Failure::usage("the two are not the same").hint("nothing was changed"));
        }
        return Ok(value);
    }
    // Room for it from the start, so that no copy is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 3));
    std::io::stdin()
        .lock()
        .take(MAX_VALUE as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
    let mut text = match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            return Err(Failure::usage("standard input is no text in UTF-8")
                .hint("encode it, for instance in base64"));
        }
    };
    // As a file of one.
    let length =
        text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(length);
    Ok(text)
}

fn remove(stack: &Stack, name: &str, output: &mut Output) -> Outcome {
    if !stack.secrets.remove(name).map_err(failed)? {
        return Err(Failure::not_there(format!("the secret {name} has no value"))
            .hint("`mainstay secret list` shows those that have one"));
    }
    if output.json {
        output.json(&serde_json::json!({ "name": name }))?;
    } else {
        output.line(&format!("{name} is removed from {}", stack.secrets.source(name)))?;
    }
    Ok(ExitStatus::Done)
}

/// One line of the list.
#[derive(serde::Serialize)]
struct Line {
    name: String,
    source: String,
    used_by: BTreeSet<String>,
    /// Why it cannot be read; none if it can, or if only running a command would tell.
    problem: Option<String>,
}

fn list(stack: &Stack, output: &mut Output) -> Outcome {
    let mut users = stack.users();
    for name in stack.plan.opentelemetry.secret_names() {
        users.entry(name).or_default().insert("opentelemetry".to_owned());
    }
    let stored = stack
        .secrets
        .list()
        .map_err(|error| Failure::io("read", stack.place.dirs.state.join("secrets").display(), &error))?;
    let names: BTreeSet<String> = stored.into_keys().chain(users.keys().cloned()).collect();
    let line = |name: String| {
        let source = stack.secrets.source(&name);
        // Nobody who asks for a list wants programs run.
        let tried = !matches!(source, SecretSource::Command { .. } | SecretSource::Age { .. });
        let problem = if tried { stack.secrets.get(&name).err().map(|error| error.why) } else { None };
        Line { source: source.to_string(), used_by: users.remove(&name).unwrap_or_default(), problem, name }
    };
    let lines: Vec<Line> = names.into_iter().map(line).collect();
    let sound = lines.iter().all(|line| line.problem.is_none() || line.used_by.is_empty());
    let status = if sound { ExitStatus::Done } else { ExitStatus::Failed };
    if output.json {
        output.json(&lines)?;
        return Ok(status);
    }
    if lines.is_empty() {
        output.note(&format!("{} has no secrets", stack.place.name));
        return Ok(status);
    }
    let mut table = Table::new([Column::left("NAME"), Column::left("SOURCE"), Column::left("USED BY")]);
    for line in &lines {
        let users: Vec<&str> = line.used_by.iter().map(String::as_str).collect();
        table.row([
            Cell::new(&line.name),
            Cell::new(words::printable(&line.source)),
            Cell::new(if users.is_empty() { "-".to_owned() } else { users.join(", ") }),
        ]);
        if let Some(problem) = &line.problem {
            table.note(&words::printable(problem), style::BAD);
        }
    }
    output.text(&table.render(output.paint, output.width))?;
    Ok(status)
}
