//! What the accounts of a stack may do that they have to: its own, as the service manager has it, and those of its services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_core::doctor::{Denied, Need};
use mainstay_core::{Launch, windows_account};
use mainstay_service::manager::{FactValue, Manager, Scope};
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
    /// Each account's SID and rights, if they can be asked for.
    rights: BTreeMap<String, Option<Rights>>,
    /// Those that could not be found out, with the reason.
    pub(super) unknown: BTreeMap<String, String>,
}

impl Accounts {
    pub(super) fn of(place: &Place) -> Accounts {
        let installed = Installed::read(place).and_then(|installed| installed.manager().ok());
        let facts =
            installed.as_ref().and_then(|manager| manager.facts(&place.name).ok()).unwrap_or_default();
        let account = facts.into_iter().find(|fact| fact.name == "account");
        let stack = account.and_then(|fact| match fact.value {
            FactValue::Text(name) => Some(name),
            _ => None,
        });
        let path = installed.as_ref().filter(|_| stack.is_some()).and_then(Manager::search_path);
        let manager = installed.or_else(|| Manager::native(Scope::System).ok());
        Accounts { manager, stack, path, rights: BTreeMap::new(), unknown: BTreeMap::new() }
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
        self.lacks(&account, program.into_iter().chain(directory))
    }

    /// What the stack's account may not do with its configuration and directories.
    pub(super) fn denied_to_stack(&mut self, place: &Place) -> Vec<Denied> {
        let Some(account) = self.stack.clone() else { return Vec::new() };
        let files = Installed::read(place).map(|installed| installed.inputs.files).unwrap_or_default();
        let files = files.into_iter().map(|path| (path, Need::Configuration));
        let dirs = [&place.dirs.run, &place.dirs.state, &place.dirs.log].map(|dir| (dir.clone(), Need::Keep));
        self.lacks(&account, files.chain(dirs))
    }

    fn lacks(&mut self, account: &str, needs: impl Iterator<Item = (PathBuf, Need)>) -> Vec<Denied> {
        let Some(rights) = self.rights(account) else { return Vec::new() };
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

    fn rights(&mut self, account: &str) -> Option<&Rights> {
        if !self.rights.contains_key(account) {
            let found = match self.sid(account) {
                Ok(sid) => sid.map_or(Ok(None), |sid| Rights::of(&sid)).map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            let found = found.unwrap_or_else(|why| {
                self.unknown.insert(account.to_owned(), why);
                None
            });
            self.rights.insert(account.to_owned(), found);
        }
        self.rights.get(account)?.as_ref()
    }

    fn sid(&self, account: &str) -> Result<Option<String>, String> {
        let Some(manager) = &self.manager else { return Ok(None) };
        manager.sid_of(&windows_account::full_name(account)).map_err(|error| error.text)
    }

    /// The account of a service, if it has no right of its own to log on as one.
    pub(super) fn without_logon_right(&self, launch: &Launch) -> Option<String> {
        let account = self.account(launch)?;
        let may = self.manager.as_ref()?.may_log_on(&windows_account::full_name(account));
        may.is_ok_and(|may| !may).then(|| account.to_owned())
    }

    /// The stack's account, if it may not become who is signed in.
    pub(super) fn without_sessions(&self) -> Option<String> {
        self.stack.clone().filter(|account| windows_account::full_name(account) != "LocalSystem")
    }
}

fn wish(need: Need) -> Wish {
    match need {
        Need::Run => Wish::Run,
        Need::Enter => Wish::Enter,
        Need::Configuration => Wish::Read,
        Need::Keep => Wish::Write,
    }
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
