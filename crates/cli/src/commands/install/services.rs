//! The services of the system that a stack is: its own, and the entries of its services.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_core::{Plan, windows_account};
use mainstay_service::Definition;
use mainstay_service::manager::{Manager, NativeState};
use mainstay_sys::dirs::{Given, Right};

use crate::entries;
use crate::failure::Failure;
use crate::installed::{self, Installed};

/// What was just made has not run, and goes at once.
const UNDO_TIME: Duration = Duration::from_secs(10);

/// All of them.
pub struct Services<'a> {
    manager: &'a Manager,
    plan: &'a Plan,
    wanted: Vec<Definition>,
    /// Entries of an earlier installation that are not wanted any more.
    unwanted: Vec<String>,
}

impl<'a> Services<'a> {
    /// The stack's own, in the place of an earlier installation.
    pub fn new(
        manager: &'a Manager,
        stack: Definition,
        plan: &'a Plan,
        earlier: Option<&Installed>,
    ) -> Services<'a> {
        let unwanted = earlier.map(|earlier| earlier.entries.clone()).unwrap_or_default();
        Services { manager, plan, wanted: vec![stack], unwanted }
    }

    /// Adds the entries, if that is wanted; whose they are.
    ///
    /// # Errors
    /// This service manager has none.
    pub fn entries(&mut self, wanted: bool) -> Result<Vec<String>, Failure> {
        if !wanted {
            return Ok(Vec::new());
        }
        if self.manager.name() != "SCM" {
            return Err(Failure::usage("--entries is for Windows: nothing here lists services of a stack")
                .hint("`mainstay status` does, and `mainstay stop STACK/SERVICE` stops one of them"));
        }
        let entries = entries::definitions(&mut self.wanted[0], self.plan);
        self.wanted.extend(entries);
        let names: Vec<String> = self.plan.services.keys().map(ToString::to_string).collect();
        self.unwanted.retain(|name| !names.contains(name));
        Ok(names)
    }

    /// The accounts that the stack's directories have to be given to: its own, and to look those of its entries.
    ///
    /// # Errors
    /// There is no such account.
    pub fn accounts(&self) -> Result<Vec<Given>, Failure> {
        let mut accounts: Vec<Given> = Vec::new();
        for (number, definition) in self.wanted.iter().enumerate() {
            let Some(account) = &definition.account else { continue };
            let right = if number == 0 { Right::All } else { Right::Read };
            let sid = self.manager.sid_of(account).map_err(installed::failure)?;
            let new = sid.filter(|sid| accounts.iter().all(|known| known.sid != *sid));
            accounts.extend(new.map(|sid| Given { sid, right }));
        }
        Ok(accounts)
    }

    /// Makes and changes what has to be, and says so, or with `dry_run` would. What was made is taken back if something
    /// else cannot be.
    ///
    /// # Errors
    /// The service manager refuses.
    pub fn install(&self, dry_run: bool) -> Result<Vec<String>, Failure> {
        let (mut lines, mut made) = (Vec::new(), Vec::new());
        for definition in &self.wanted {
            let name = definition.name.as_str();
            let new = !dry_run && self.is_new(name)?;
            let done = self.manager.install(definition, dry_run);
            lines.extend(done.map_err(|error| self.taken_back(&made, installed::failure(error)))?);
            made.extend(new.then_some(name));
        }
        let stack = self.wanted[0].name.as_str();
        let granted = self.manager.let_log_on(stack, &self.logged_on(), dry_run);
        lines.extend(granted.map_err(|error| self.taken_back(&made, installed::failure(error)))?);
        for service in &self.unwanted {
            let done = self.manager.uninstall(&entries::name(stack, service), UNDO_TIME, dry_run);
            lines.extend(done.map_err(installed::failure)?);
        }
        Ok(lines)
    }

    /// The accounts of services below that of the stack, which logs them on as services.
    fn logged_on(&self) -> Vec<String> {
        let own = self.plan.services.values().filter_map(|service| service.launch.user.as_deref());
        own.map(windows_account::full_name).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn is_new(&self, name: &str) -> Result<bool, Failure> {
        let status = self.manager.status(name).map_err(installed::failure)?;
        Ok(status.state == NativeState::NotInstalled)
    }

    fn taken_back(&self, made: &[&str], mut failure: Failure) -> Failure {
        for name in made.iter().rev() {
            match self.manager.uninstall(name, UNDO_TIME, false) {
                Ok(_) => failure.details.push(format!("{name} was made, and is removed again")),
                Err(error) => {
                    failure.details.push(format!("{name} was made, and could not be removed: {error}"))
                }
            }
        }
        failure
    }
}
