//! What will go wrong with a stack, found before it does.
//!
//! Pure: somebody else has looked ([`Seen`]), here it is judged. What was not looked at is absent there, and nothing is said
//! of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{NotEnforced, Plan, ServiceName};

mod access;
mod address;
mod machine;
mod network;
mod start;
#[cfg(test)]
mod tests;

pub use access::{Denied, LogOn, LogOnFault, Need};
pub use address::{Contact, contacts};

/// What was looked at.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The machine, and the account that looks.
    pub machine: Machine,
    /// The stack's own directories, and its entry in the service manager.
    pub stack: Own,
    /// Each service that was examined.
    pub services: BTreeMap<ServiceName, Service>,
    /// The addresses that programs of this machine listen on.
    pub listeners: Vec<Listener>,
    /// Names of hosts that cannot be resolved, with the reason.
    pub unresolved: BTreeMap<String, String>,
    /// The other stacks of this machine.
    pub others: Vec<Other>,
}

/// The machine, and the account that looks.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// So many files Mainstay may have open.
    pub open_files: Option<u64>,
    /// Processes that there are, and that there may be.
    pub processes: Option<(u64, u64)>,
    /// Why there are no cgroups for services, where there could be some.
    pub no_cgroups: Option<String>,
    /// Whether something keeps the clock right.
    pub clock_is_synchronised: Option<bool>,
    /// The year that it is.
    pub year: Option<i32>,
    /// Whether rights stand in access lists (Windows) and not in modes.
    pub access_lists: bool,
}

/// The stack's own things.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Directories that it writes to.
    pub directories: Vec<Directory>,
    /// Whether the service manager has marked it for deletion, in its words.
    pub marked_for_deletion: Option<String>,
    /// Its source in the Event Log is missing.
    pub no_event_source: bool,
    /// How the service manager starts it, if blanks in the program's path are not quoted.
    pub unquoted: Option<String>,
    /// It is installed, and does not start with the machine.
    pub not_at_boot: bool,
    /// Secrets for the collector of OpenTelemetry that cannot be read, with the reason.
    pub secrets: BTreeMap<String, String>,
    /// What its account may not do, though it has to.
    pub denied: Vec<Denied>,
    /// Accounts whose rights cannot be found out, with the reason.
    pub unknown: BTreeMap<String, String>,
}

/// A directory that is written to.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Its path.
    pub path: String,
    /// What is written there: `logs`, `state`.
    pub what: &'static str,
    /// Why nothing can be written.
    pub closed: Option<String>,
    /// Free bytes, and all bytes, of its disk.
    pub space: Option<(u64, u64)>,
}

/// One service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Why its process cannot be made.
    pub refused: Option<Refused>,
    /// Words of its command that, with blanks between them, are a file.
    pub unquoted: Option<String>,
    /// Libraries that its program needs and that are nowhere.
    pub libraries: Vec<String>,
    /// The program's file, or a directory above it, that anyone may write to.
    pub writable_by_all: Option<String>,
    /// Whether it runs with all rights of the machine.
    pub privileged: bool,
    /// Secrets that cannot be read, with the reason.
    pub secrets: BTreeMap<String, String>,
    /// Limits that do not hold.
    pub not_enforced: Vec<NotEnforced>,
    /// Whether a process of it lives.
    pub is_up: bool,
    /// What its account may not do, though it has to.
    pub denied: Vec<Denied>,
    /// The account, if it may not log on as a service.
    pub log_on: Option<LogOn>,
    /// The stack's account, if it may not start programs in the session where this one belongs.
    pub no_session: Option<String>,
    /// It runs as whoever is signed in, and was not tried as that.
    pub in_a_session: bool,
}

/// Why a process cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind.
    pub kind: RefusedKind,
    /// In words that name the path at fault.
    pub message: String,
}

/// The kinds of [`Refused`] that have advice of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// There is no such program.
    Missing,
    /// It may not be executed.
    NotExecutable,
    /// It is no program for this system, or lacks its interpreter.
    NotRunnable,
    /// The working directory does not exist.
    NoDirectory,
    /// The working directory is closed to the account.
    ClosedDirectory,
    /// The account is unknown.
    NoAccount,
    /// Whoever looks may not become the account, so that nothing is known.
    NotTried,
    /// Anything else.
    Other,
}

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address, perhaps the one that stands for all.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// The process and its program; none if it is another account's and we may not know.
    pub holder: Option<(u32, String)>,
}

/// Another stack of this machine.
#[derive(Clone, Debug)]
pub struct Other {
    /// What it runs.
    pub plan: Plan,
    /// Whether it is up, or starts with the machine.
    pub is_used: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work, or will not.
    Problem,
    /// Something may go wrong one day.
    Risk,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// A stable word for the kind of finding, such as `program`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The service that it is about; none for the stack or the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// What there is.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// What mends it: a command, or what to change.
    pub mend: String,
    /// What can be done about it at once, without harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A repair that harms nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// Make this directory, for this account if one is named.
    MakeDirectory {
        /// Absolute.
        path: String,
        /// Who is to have it.
        owner: Option<String>,
    },
    /// Register the stack's source in the Event Log.
    RegisterEventSource,
    /// Let an account do what it has to, on this file or directory alone (Windows).
    GrantAccess(Denied),
}

impl Finding {
    fn new(id: &'static str, severity: Severity, what: String, why: &str, mend: String) -> Finding {
        Finding { id, severity, service: None, what, why: why.to_owned(), mend, fix: None }
    }

    fn problem(id: &'static str, what: String, why: &str, mend: String) -> Finding {
        Finding::new(id, Severity::Problem, what, why, mend)
    }

    fn risk(id: &'static str, what: String, why: &str, mend: String) -> Finding {
        Finding::new(id, Severity::Risk, what, why, mend)
    }

    /// One that is not there, and what comes of that.
    fn secret(name: &str, reason: &str, why: &str) -> Finding {
        let mend = format!(
            "`mainstay secret set {name}` puts it into the store; docs/secrets.md has the other places"
        );
        Finding::problem("secret", format!("the secret {name} cannot be read: {reason}"), why, mend)
    }

    fn of(mut self, service: &ServiceName) -> Finding {
        self.service = Some(service.clone());
        self
    }

    fn fixed_by(mut self, fix: Fix) -> Finding {
        self.fix = Some(fix);
        self
    }
}

/// Everything that is wrong: problems first, then in the order of services; the machine's before the services'.
pub fn examine(plan: &Plan, seen: &Seen) -> Vec<Finding> {
    let mut found = machine::examine(plan, seen);
    for (name, service) in &seen.services {
        let Some(planned) = plan.services.get(name) else { continue };
        let own = start::examine(planned, service, &seen.machine)
            .into_iter()
            .chain(network::examine(planned, service, seen));
        found.extend(own.map(|finding| finding.of(name)));
    }
    found.extend(network::fights(plan, seen));
    found.sort_by_key(|finding| finding.severity);
    found
}
