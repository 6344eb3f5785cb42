//! What `mainstay doctor` looks at; what it means is judged by `mainstay_core::doctor`.

mod libraries;
mod network;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_core::doctor::{Directory, Machine, Other, Own, Refused, RefusedKind, Seen, Service, contacts};
use mainstay_core::{Launch, Plan, ServiceName, ServicePlan, windows_account};
use mainstay_keeper::{Rehearsal, Stage};
use mainstay_secrets::Secrets;
use mainstay_service::manager::{Fault, NativeState};
use mainstay_sys::spawn::{SpawnError, SpawnErrorKind};
use mainstay_sys::{clock, disk, machine, own, process};

use crate::failure::Failure;
use crate::installed::Installed;
use crate::runtime::block_on;
use crate::stack::Place;

use rights::Accounts;

pub use rights::{grant, log_ons};

/// Looks at everything that matters to these services of a stack.
///
/// # Errors
/// Trees of processes cannot be held together on this machine at all.
pub fn look(place: &Place, plan: &Plan, services: &[ServiceName]) -> Result<Seen, Failure> {
    let stage =
        Stage::new().map_err(|error| Failure::failed(format!("no process can be made here: {error}")))?;
    let secrets = Secrets::new(&place.dirs.state, &plan.secrets);
    let up = up(place);
    let mut accounts = Accounts::of(place);
    let mut seen = Seen {
        machine: Machine { access_lists: accounts.have_sids(), ..machine(&stage) },
        stack: stack(place),
        others: others(place),
        ..Seen::default()
    };
    seen.stack.denied = accounts.denied_to_stack(place);
    if plan.opentelemetry.endpoint.is_some() {
        seen.stack.secrets = unread(plan.opentelemetry.secret_names(), &secrets);
    }
    for name in services {
        let Some(planned) = plan.services.get(name) else { continue };
        let mut service = service(name, planned, &stage, &secrets, &mut accounts)?;
        service.is_up = up.contains(name);
        seen.services.insert(name.clone(), service);
    }
    seen.stack.unknown = accounts.unknown;
    let asked: Vec<_> =
        services.iter().filter_map(|name| plan.services.get(name)).flat_map(contacts).collect();
    seen.listeners = network::listeners(&asked);
    seen.unresolved = network::unresolved(&asked);
    stage.remove().map_err(|error| Failure::failed(format!("what was tried is not wholly gone: {error}")))?;
    Ok(seen)
}

/// The services that have a process.
fn up(place: &Place) -> Vec<ServiceName> {
    let stack = block_on(async { Ok::<_, Failure>(place.client().stack().await.ok()) }).ok().flatten();
    let services = stack.map_or(Vec::new(), |stack| stack.services);
    services.into_iter().filter(|service| service.pid.is_some()).map(|service| service.name).collect()
}

fn machine(stage: &Stage) -> Machine {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(since_epoch).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    Machine {
        open_files: own::most_open_files(),
        processes: machine::processes().map(|share| (share.used, share.total)),
        no_cgroups: stage.without_cgroups(),
        clock_is_synchronised: clock::is_synchronised(),
        access_lists: false,
        year: now.map(|now| i32::from(now.to_zoned(jiff::tz::TimeZone::UTC).year())),
    }
}

fn stack(place: &Place) -> Own {
    let mut own = Own {
        directories: vec![directory(&place.dirs.log, "logs"), directory(&place.dirs.state, "state")],
        ..Own::default()
    };
    let Some(manager) = Installed::read(place).and_then(|installed| installed.manager().ok()) else {
        return own;
    };
    for fault in manager.faults(&place.name) {
        match fault {
            Fault::MarkedForDeletion(words) => own.marked_for_deletion = Some(words),
            Fault::UnquotedPath(line) => own.unquoted = Some(line),
            Fault::NoEventSource => own.no_event_source = true,
        }
    }
    own.not_at_boot = manager
        .status(&place.name)
        .is_ok_and(|status| status.state != NativeState::NotInstalled && status.at_boot == Some(false));
    own
}

/// One that is not there yet is judged by what it will be made in.
fn directory(path: &Path, what: &'static str) -> Directory {
    let there = path.ancestors().find(|part| part.is_dir());
    let closed = there.and_then(|there| try_to_write(there).err()).map(|error| error.to_string());
    let space = there.and_then(|there| Some((disk::free(there).ok()?, disk::total(there).ok()?)));
    Directory { path: path.display().to_string(), what, closed, space }
}

/// Whether something can be made in it.
fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".mainstay-doctor-{}", std::process::id()));
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(&path)
}

fn service(
    name: &ServiceName,
    plan: &ServicePlan,
    stage: &Stage,
    secrets: &Secrets,
    accounts: &mut Accounts,
) -> Result<Service, Failure> {
    let launch = &accounts.as_installed(&plan.launch);
    let value = |text| mainstay_secrets::fill(text, |name| secrets.get(name)).ok();
    let password = launch.password.as_ref().and_then(value);
    let Rehearsal { outcome, program, not_enforced } = stage
        .rehearse(name.as_str(), launch, password.as_ref().map(|password| password.as_str()))
        .map_err(|error| Failure::failed(format!("{name} cannot be tried: {error}")))?;
    let libraries = program.as_deref().map(|file| libraries::missing(file, launch)).unwrap_or_default();
    let writable = program.as_deref().and_then(mainstay_sys::access::open_to_all);
    let who = accounts.account(launch).map_or_else(process::own_user, str::to_owned);
    let in_a_session = !plan.session.is_services() && accounts.run_in_sessions();
    // What the eyes of another account see of rights says nothing there.
    let refused = outcome.err().map(|error| of_error(&error, launch));
    let of_rights = [RefusedKind::NotExecutable, RefusedKind::ClosedDirectory];
    let as_stack = !(in_a_session && plan.session.waits());
    Ok(Service {
        refused: refused.filter(|refused| as_stack || !of_rights.contains(&refused.kind)),
        unquoted: unquoted(&launch.command),
        libraries,
        writable_by_all: writable.map(|path| path.display().to_string()),
        privileged: is_privileged(&who),
        denied: if as_stack { accounts.denied(launch, program.as_deref()) } else { Vec::new() },
        log_on: accounts.log_on(launch),
        no_session: accounts.without_sessions().filter(|_| !plan.session.is_services()),
        in_a_session,
        secrets: unread(plan.all_secret_names(), secrets),
        not_enforced,
        is_up: false,
    })
}

/// Whether an account has all rights of the machine.
fn is_privileged(who: &str) -> bool {
    let name = who.split(':').next().unwrap_or_default();
    ["root", "0"].contains(&name) || windows_account::full_name(who) == "LocalSystem"
}

/// Those of the secrets that cannot be read, with the reason.
fn unread(names: BTreeSet<String>, secrets: &Secrets) -> BTreeMap<String, String> {
    let unread = |name: String| Some((name.clone(), secrets.get(&name).err()?.to_string()));
    names.into_iter().filter_map(unread).collect()
}

fn of_error(error: &SpawnError, launch: &Launch) -> Refused {
    let no_directory = launch.working_dir.as_ref().is_some_and(|path| !Path::new(path).exists());
    let kind = match error.kind {
        SpawnErrorKind::NotFound => RefusedKind::Missing,
        SpawnErrorKind::NotExecutable => RefusedKind::NotExecutable,
        SpawnErrorKind::NoInterpreter | SpawnErrorKind::WrongFormat => RefusedKind::NotRunnable,
        SpawnErrorKind::WorkingDirectory if no_directory => RefusedKind::NoDirectory,
        SpawnErrorKind::WorkingDirectory => RefusedKind::ClosedDirectory,
        SpawnErrorKind::User => RefusedKind::NoAccount,
        SpawnErrorKind::NotAllowed => RefusedKind::NotTried,
        _ => RefusedKind::Other,
    };
    Refused { kind, message: error.message.clone() }
}

/// Words of the command that are a file once they are put together again.
fn unquoted(command: &[String]) -> Option<String> {
    (2..=command.len().min(MOST_WORDS))
        .map(|count| command[..count].join(" "))
        .find(|path| Path::new(path).is_file() || Path::new(&format!("{path}.exe")).is_file())
}

/// A path has no more blanks than that.
const MOST_WORDS: usize = 12;

/// The other stacks.
fn others(own: &Place) -> Vec<Other> {
    let names = mainstay_sys::dirs::stacks();
    let places = names.iter().filter(|name| **name != own.name).filter_map(|name| Place::of(name).ok());
    places
        .filter_map(|place| {
            let is_used = place.is_up() || Installed::read(&place).is_some();
            Some(Other { plan: place.plan().ok()?.plan, is_used })
        })
        .collect()
}
