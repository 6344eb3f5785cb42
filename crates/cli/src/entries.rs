//! Services of a stack as entries of their own in services.msc, `sc` and `net`, although one keeper runs them all.
//!
//! Each entry is a small process that shows what its service does and passes on what the entry is asked. Not the keeper
//! itself: a process can only be the services that it names when it starts, and has to live until all of them have
//! stopped, so that a service more would mean to end all of them.

mod follow;
mod process;

use std::time::Duration;

use mainstay_api::types::{EventBody, EventRecord};
use mainstay_core::{EventKind, Plan, ServiceName, StateName};
use mainstay_daemon::Observer;
use mainstay_service::manager::Manager;
use mainstay_service::{Definition, Recovery, Role, Start};

pub use mainstay_api::entry_name as name;
pub use process::run;

/// Before the name of a service, its virtual account.
pub const VIRTUAL: &str = r"NT SERVICE\";

/// The argument of an entry that only shows a service that starts already.
const MIRROR: &str = "mirror";

/// The entries of all services of a plan, beside the service of the stack itself.
///
/// Each is started by the stack when its service starts, and starts the stack when somebody starts it: their accounts get
/// the right to.
pub fn definitions(stack: &mut Definition, plan: &Plan) -> Vec<Definition> {
    let of = |(service, of): (&ServiceName, &mainstay_core::ServicePlan)| {
        definition(stack, service, of.description.as_deref())
    };
    let entries: Vec<Definition> = plan.services.iter().map(of).collect();
    let own = |entry: &&Definition| entry.account != stack.account;
    let accounts: Vec<String> =
        entries.iter().filter(own).filter_map(|entry| entry.account.clone()).collect();
    stack.access.extend(accounts.into_iter().map(|account| (account, Role::Start)));
    entries
}

fn definition(stack: &Definition, service: &ServiceName, description: Option<&str>) -> Definition {
    let mut entry = stack.clone();
    let shown = stack.display_name.as_ref().unwrap_or(&stack.name);
    entry.name = name(&stack.name, service.as_str());
    entry.display_name = Some(format!("{shown}: {service}"));
    entry.description =
        description.map_or_else(|| format!("{service} of the stack {}", stack.name), str::to_owned);
    entry.arguments =
        ["entry", "--stack", &stack.name, "--service", service.as_str()].map(str::to_owned).into();
    // A virtual account is that of one service alone.
    let own = stack.account.as_deref().and_then(|account| account.strip_suffix(stack.name.as_str()));
    if let Some(prefix) = own.filter(|prefix| prefix.eq_ignore_ascii_case(VIRTUAL)) {
        entry.account = Some(format!("{prefix}{}", entry.name));
        entry.access.extend(stack.account.clone().map(|account| (account, Role::Start)));
    }
    // The stack decides when its services start, and what is done when they fail.
    entry.start = Start::Manual;
    entry.depends_on.clear();
    entry.triggers.clear();
    entry.recovery = Recovery { actions: Vec::new(), also_failures: false, ..stack.recovery.clone() };
    entry
}

/// Starts the entry of each service that starts, so that it shows that.
#[derive(Debug)]
pub struct Starter {
    stack: String,
    services: Vec<String>,
    manager: Manager,
}

impl Starter {
    /// For these services of a stack.
    pub fn new(stack: &str, services: Vec<String>, manager: Manager) -> Starter {
        Starter { stack: stack.to_owned(), services, manager }
    }
}

impl Observer for Starter {
    fn event(&mut self, record: EventRecord) {
        let EventBody::Core(event) = record.event else { return };
        let (EventKind::State { from, to, .. }, Some(service)) = (event.kind, event.service) else { return };
        let begins = from.is_down() && to == StateName::Starting;
        if begins && self.services.iter().any(|known| known == service.as_str()) {
            // One that cannot be started shows nothing; the service itself does not need it.
            let _ = self.manager.start_with(&name(&self.stack, service.as_str()), &[MIRROR], Duration::ZERO);
        }
    }

    fn missed(&mut self, _count: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_started_by_its_stack_and_nothing_else() {
        let mut stack = Definition::new("shop", std::env::temp_dir().join("mainstay.exe"));
        stack.depends_on = vec![mainstay_service::Dependency::Service("Tcpip".to_owned())];
        stack.account = Some(r"NT AUTHORITY\LocalService".to_owned());
        let web = ServiceName::new("web").expect("a name");
        let entry = definition(&stack, &web, None);
        assert_eq!((entry.name.as_str(), entry.display_name.as_deref()), ("shop@web", Some("shop: web")));
        assert_eq!(entry.arguments, ["entry", "--stack", "shop", "--service", "web"]);
        assert_eq!(
            (entry.start, entry.depends_on, entry.account),
            (Start::Manual, Vec::new(), stack.account.clone())
        );
        stack.account = Some(r"NT SERVICE\shop".to_owned());
        let entry = definition(&stack, &web, None);
        assert_eq!(entry.account.as_deref(), Some(r"NT SERVICE\shop@web"));
        assert_eq!(entry.access, [(r"NT SERVICE\shop".to_owned(), Role::Start)], "the stack starts it");
        assert!(entry.recovery.actions.is_empty(), "Mainstay restarts it, not Windows");
    }
}
