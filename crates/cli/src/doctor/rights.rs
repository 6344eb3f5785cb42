//! What the accounts of a stack may do that they have to: its own, as the service manager has it, and those of its services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_core::doctor::{Denied, Finding, LogOn, LogOnFault, Need};
use mainstay_core::{Launch, Plan, ServiceName, windows_account};
use mainstay_service::manager::{Fact, FactValue, LogOnRights, Manager, Scope};
use mainstay_sys::access::{self, Rights, Wish};
use mainstay_sys::process;

use crate::failure::Failure;
use crate::installed::Installed;
use crate::stack::Place;

/// The accounts of a stack.
pub(super) struct Accounts {
    manager: Option<Manager>,
    /// What the service manager starts the stack under; none if it is not installed.
    stack: Option<String>,
    /// What it then has as its PATH.
    path: Option<String>,
    /// The SID of its service, if what runs under its account is in that group.
    service_sid: Option<String>,
    /// Who may log on as a service, if that can be asked for.
    log_on: Option<LogOnRights>,
    /// Each account's rights, if they can be asked for; the stack's own account apart, because its service may have a SID.
    rights: BTreeMap<(String, bool), Option<Rights>>,
    /// Those that could not be found out, with the reason.
    pub(super) unknown: BTreeMap<String, String>,
}

impl Accounts {
    pub(super) fn of(place: &Place) -> Accounts {
        let installed = Installed::read(place).and_then(|installed| installed.manager().ok());
        let facts =
            installed.as_ref().and_then(|manager| manager.facts(&place.name).ok()).unwrap_or_default();
        let stack = text(&facts, "account");
        let path = installed.as_ref().filter(|_| stack.is_some()).and_then(Manager::search_path);
        let manager = installed.or_else(|| Manager::native(Scope::System).ok());
        let log_on = manager.as_ref().and_then(|manager| manager.log_on_rights().ok().flatten());
        Accounts {
            manager,
            stack,
            path,
            service_sid: service_sid(&facts),
            log_on,
            rights: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Whether this system knows accounts by SIDs, and keeps rights in access lists.
    pub(super) fn have_sids(&self) -> bool {
        self.manager.as_ref().is_some_and(Manager::wants_passwords)
    }

    /// What a service is started with once its stack is: with the PATH of the service manager, and where we may become
    /// anybody, as the stack's account.
    pub(super) fn as_installed(&self, launch: &Launch) -> Launch {
        let mut launch = launch.clone();
        let is_path = |name: &&String| name.eq_ignore_ascii_case("PATH");
        let has_path = launch.environment.keys().any(|name| is_path(&name));
        if launch.user.is_none()
            && !has_path
            && let Some(path) = &self.path
        {
            launch.environment.insert("PATH".to_owned(), path.as_str().into());
        }
        let other = self.stack.as_ref().filter(|_| !self.have_sids() && launch.user.is_none());
        if let Some(other) = other.filter(|other| *other != "root" && process::own_user() == "root") {
            launch.user = Some(other.clone());
        }
        launch
    }

    /// The account of a service; none if it is that of whoever brings the stack up.
    pub(super) fn account<'a>(&'a self, launch: &'a Launch) -> Option<&'a str> {
        launch.user.as_deref().or(self.stack.as_deref())
    }

    /// What a service's account may not do with its program and its directory.
    pub(super) fn denied(&mut self, launch: &Launch, program: Option<&Path>) -> Vec<Denied> {
        let Some(account) = self.account(launch).map(str::to_owned) else { return Vec::new() };
        let program = program.map(|path| (path.to_owned(), Need::Run));
        let directory = launch.working_dir.as_ref().map(|path| (PathBuf::from(path), Need::Enter));
        self.lacks(&account, launch.user.is_none(), program.into_iter().chain(directory))
    }

    /// What the stack's account may not do with its configuration and directories.
    pub(super) fn denied_to_stack(&mut self, place: &Place) -> Vec<Denied> {
        let Some(account) = self.stack.clone() else { return Vec::new() };
        let files = Installed::read(place).map(|installed| installed.inputs.files).unwrap_or_default();
        let files = files.into_iter().map(|path| (path, Need::Configuration));
        let dirs = [&place.dirs.run, &place.dirs.state, &place.dirs.log].map(|dir| (dir.clone(), Need::Keep));
        self.lacks(&account, true, files.chain(dirs))
    }

    fn lacks(
        &mut self,
        account: &str,
        is_stack: bool,
        needs: impl Iterator<Item = (PathBuf, Need)>,
    ) -> Vec<Denied> {
        let Some(rights) = self.rights(account, is_stack) else { return Vec::new() };
        // What is not there, or closed to us, is found otherwise.
        let lacks = |(path, need): &(PathBuf, Need)| rights.allow(path, wish(*need)).is_ok_and(|may| !may);
        needs
            .filter(lacks)
            .map(|(path, need)| Denied {
                account: account.to_owned(),
                path: path.display().to_string(),
                need,
            })
            .collect()
    }

    fn rights(&mut self, account: &str, is_stack: bool) -> Option<&Rights> {
        let key = (account.to_owned(), is_stack);
        if !self.rights.contains_key(&key) {
            let also: Vec<&str> = self.service_sid.iter().filter(|_| is_stack).map(String::as_str).collect();
            let found = match self.sid(account) {
                Ok(sid) => {
                    sid.map_or(Ok(None), |sid| Rights::of(&sid, &also)).map_err(|error| error.to_string())
                }
                Err(why) => Err(why),
            };
            let found = found.unwrap_or_else(|why| {
                self.unknown.insert(account.to_owned(), why);
                None
            });
            self.rights.insert(key.clone(), found);
        }
        self.rights.get(&key)?.as_ref()
    }

    fn sid(&self, account: &str) -> Result<Option<String>, String> {
        let Some(manager) = &self.manager else { return Ok(None) };
        manager.sid_of(&windows_account::full_name(account)).map_err(|error| error.text)
    }

    /// Why the account of a service may not log on as one.
    pub(super) fn log_on(&mut self, launch: &Launch) -> Option<LogOn> {
        let account = self.account(launch).filter(|account| !windows_account::is_own(account))?.to_owned();
        let sid = self.sid(&account).ok().flatten()?;
        // Before it is logged on it is in no group that its service makes.
        self.rights(&account, false);
        let groups = self.rights.get(&(account.clone(), false))?.as_ref();
        let includes = |other: &str| {
            other.eq_ignore_ascii_case(&sid)
                || groups.is_some_and(|groups| groups.include(other).unwrap_or(false))
        };
        let fault = fault(self.log_on.as_ref()?, includes, groups.is_some())?;
        let fault = match fault {
            LogOnFault::Denied(to) if to.eq_ignore_ascii_case(&sid) => LogOnFault::Denied(account.clone()),
            LogOnFault::Denied(to) => LogOnFault::Denied(access::name_of(&to)),
            // It has the right by the group of all services.
            LogOnFault::NoneOfItsOwn if windows_account::is_virtual(&account) => return None,
            fault => fault,
        };
        Some(LogOn { account, fault })
    }

    /// Whether what belongs to a session runs as whoever is signed in there, and not as who looks.
    pub(super) fn run_in_sessions(&self) -> bool {
        self.stack.is_some() && self.have_sids()
    }

    /// The stack's account, if it may not become who is signed in.
    pub(super) fn without_sessions(&self) -> Option<String> {
        self.stack.clone().filter(|account| windows_account::full_name(account) != "LocalSystem")
    }
}

fn text(facts: &[Fact], name: &str) -> Option<String> {
    facts.iter().find(|fact| fact.name == name).and_then(|fact| match &fact.value {
        FactValue::Text(text) => Some(text.clone()),
        _ => None,
    })
}

/// The SID of a service, if Windows puts it into the groups of its process.
fn service_sid(facts: &[Fact]) -> Option<String> {
    text(facts, "service_sid").filter(|kind| kind != "none").and_then(|_| text(facts, "sid"))
}

/// Why whoever includes these SIDs may not log on as a service; `are_all` if these are all that there are. Who is denied is
/// told by the SID.
fn fault(rights: &LogOnRights, includes: impl Fn(&str) -> bool, are_all: bool) -> Option<LogOnFault> {
    if let Some(denied) = rights.denied.iter().find(|sid| includes(sid)) {
        return Some(LogOnFault::Denied(denied.clone()));
    }
    let granted = rights.granted.iter().any(|sid| includes(sid));
    (!granted).then_some(if are_all { LogOnFault::None } else { LogOnFault::NoneOfItsOwn })
}

fn wish(need: Need) -> Wish {
    match need {
        Need::Run => Wish::Run,
        Need::Enter => Wish::Enter,
        Need::Configuration => Wish::Read,
        Need::Keep => Wish::Write,
    }
}

/// Why services with a `user` may not log on, once a plan is applied to a stack that is installed: `install` alone grants that
/// right. Each with its name.
pub fn log_ons(place: &Place, plan: &Plan) -> Vec<(ServiceName, Finding)> {
    let mut services = plan.services.iter().filter(|(_, service)| service.launch.user.is_some()).peekable();
    if !mainstay_sys::IS_WINDOWS || services.peek().is_none() || Installed::read(place).is_none() {
        return Vec::new();
    }
    let mut accounts = Accounts::of(place);
    let mut found = Vec::new();
    for (name, service) in services {
        found.extend(accounts.log_on(&service.launch).map(|log_on| (name.clone(), log_on.finding())));
    }
    found
}

/// Lets an account do what it has to.
///
/// # Errors
/// There is no such account any more, or the access list is not ours to change.
pub fn grant(denied: &Denied, place: &Place) -> Result<(), Failure> {
    let told =
        |why: String| Failure::failed(format!("cannot let {} at {}: {why}", denied.account, denied.path));
    let accounts = Accounts::of(place);
    let sid = accounts.sid(&denied.account).map_err(told)?;
    let sid = sid.ok_or_else(|| told("accounts have no SIDs here".to_owned()))?;
    access::grant(&sid, Path::new(&denied.path), wish(denied.need)).map_err(|error| told(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_stronger_than_the_right() {
        let sids = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let of = |granted: &str, denied: &str, are_all: bool| {
            let rights = LogOnRights { granted: sids(granted), denied: sids(denied) };
            fault(&rights, |sid| ["bob", "staff"].contains(&sid), are_all)
        };
        assert_eq!(of("bob", "", true), None);
        assert_eq!(of("staff", "", true), None, "a group of it has the right");
        assert_eq!(of("bob", "guests", true), None, "others are denied");
        assert_eq!(of("bob", "guests staff", true), Some(LogOnFault::Denied("staff".to_owned())));
        assert_eq!(of("ann", "", true), Some(LogOnFault::None));
        assert_eq!(of("", "", false), Some(LogOnFault::NoneOfItsOwn), "its groups are not known");
    }

    #[test]
    fn the_sid_of_a_service_counts_if_it_has_one() {
        let facts = |kind: &str| {
            let fact = |name, value: &str| Fact { name, value: FactValue::Text(value.to_owned()) };
            [fact("service_sid", kind), fact("sid", "S-1-5-80-1")]
        };
        assert_eq!(service_sid(&facts("unrestricted")).as_deref(), Some("S-1-5-80-1"));
        assert_eq!(service_sid(&facts("none")), None);
        assert_eq!(service_sid(&[]), None);
    }
}
