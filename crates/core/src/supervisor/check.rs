//! Whether a request can be taken as things are.

use super::Supervisor;
use crate::words::nearest;
use crate::{Control, Refusal, RefusalKind, Request, ServiceName, ServicePlan, StartMode, StateName};

impl Supervisor {
    /// Whether a request can be taken as things are. [`handle`](Self::handle) asks the same and tells
    /// [`EventKind::Refused`](crate::EventKind::Refused) if not.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Up if self.is_resting() => Ok(()),
            Request::Up => self.open(),
            Request::Down | Request::DownAll => Ok(()),
            Request::Start(name) => self.can_start(name),
            Request::Stop(name) => self.known(name).map(drop),
            Request::Restart(name) => self.can_restart(name),
            Request::Pause(name) => self.can_pause(name),
            Request::Continue(name) => self.can_continue(name),
            Request::Add(name, plan) => self.can_add(name, plan),
            Request::Remove(name) => self.can_remove(name),
            Request::Control(control) => self.can_control(*control),
        }
    }

    pub(super) fn open(&self) -> Result<(), Refusal> {
        if self.is_resting() {
            let refusal =
                Refusal::new(RefusalKind::GoingDown, "the stack is down, but for what was left running");
            return Err(refusal.hint("`mainstay up` starts it again"));
        }
        if self.going_down {
            return Err(Refusal::new(
                RefusalKind::GoingDown,
                "the stack is going down; nothing starts any more",
            ));
        }
        Ok(())
    }

    fn can_control(&self, control: Control) -> Result<(), Refusal> {
        let Control::Code(code) = control else { return self.open() };
        if self.plan.services.values().any(|plan| plan.controls.contains_key(&code)) {
            return Ok(());
        }
        let refusal = Refusal::new(RefusalKind::WrongState, format!("the code {code} means nothing here"));
        Err(refusal.hint(format!("`controls = {{ {code} = \"rotate\" }}` of a service gives it a meaning")))
    }

    fn known(&self, name: &ServiceName) -> Result<StateName, Refusal> {
        if let Some(node) = self.nodes.get(name) {
            return Ok(node.service.state());
        }
        let refusal = Refusal::new(RefusalKind::UnknownService, format!("there is no service '{name}'"));
        Err(match nearest(name.as_str(), self.nodes.keys().map(ServiceName::as_str)) {
            Some(near) => refusal.hint(format!("did you mean '{near}'?")),
            None if self.nodes.is_empty() => refusal.hint("the stack has no services"),
            None => refusal.hint("`mainstay status` lists the services"),
        })
    }

    fn can_start(&self, name: &ServiceName) -> Result<(), Refusal> {
        match self.known(name)? {
            StateName::Pausing | StateName::Paused => {
                let refusal = Refusal::new(RefusalKind::WrongState, format!("{name} is paused"));
                Err(refusal.hint(format!("`mainstay continue {name}` lets it go on")))
            }
            StateName::Running | StateName::Ready | StateName::Continuing => self.open(),
            StateName::Stopped
            | StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Failed
            | StateName::Completed => self.startable(name),
        }
    }

    /// A restart needs what a start needs, so that it does not end half-way, with the service down.
    fn can_restart(&self, name: &ServiceName) -> Result<(), Refusal> {
        self.known(name)?;
        self.startable(name)
    }

    fn startable(&self, name: &ServiceName) -> Result<(), Refusal> {
        self.open()?;
        self.stays(name)?;
        if self.plan.services.get(name).is_some_and(|plan| plan.start == StartMode::Disabled) {
            let refusal = Refusal::new(RefusalKind::Disabled, format!("{name} is disabled"));
            return Err(refusal.hint("set its `start` to \"auto\" or \"manual\""));
        }
        self.missing_for(name)
            .map(drop)
            .map_err(|(dependent, disabled)| depends_on_disabled(&dependent, &disabled))
    }

    fn stays(&self, name: &ServiceName) -> Result<(), Refusal> {
        if self.nodes.get(name).is_some_and(|node| node.service.removing) {
            return Err(Refusal::new(RefusalKind::BeingRemoved, format!("{name} is being removed")));
        }
        Ok(())
    }

    /// What is left running is left alone.
    fn looked_after(&self, name: &ServiceName) -> Result<(), Refusal> {
        if self.nodes.get(name).is_some_and(|node| node.service.left) {
            let refusal = Refusal::new(RefusalKind::GoingDown, format!("{name} is left running by itself"));
            return Err(refusal.hint("`mainstay up` looks after it again"));
        }
        Ok(())
    }

    fn can_pause(&self, name: &ServiceName) -> Result<(), Refusal> {
        self.looked_after(name)?;
        let why = match self.known(name)? {
            StateName::Running
            | StateName::Ready
            | StateName::Pausing
            | StateName::Paused
            | StateName::Continuing => return Ok(()),
            StateName::Starting => "is still starting",
            StateName::Stopping => "is stopping",
            StateName::Backoff => "waits for its next start, no process is there",
            StateName::Stopped | StateName::Failed | StateName::Completed => "does not run",
        };
        Err(Refusal::new(RefusalKind::WrongState, format!("{name} {why}")))
    }

    fn can_continue(&self, name: &ServiceName) -> Result<(), Refusal> {
        self.looked_after(name)?;
        match self.known(name)? {
            StateName::Running
            | StateName::Ready
            | StateName::Pausing
            | StateName::Paused
            | StateName::Continuing => Ok(()),
            state @ (StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Stopped
            | StateName::Failed
            | StateName::Completed) => Err(Refusal::new(
                RefusalKind::WrongState,
                format!("{name} is not paused; its state is {state}"),
            )),
        }
    }

    fn can_add(&self, name: &ServiceName, plan: &ServicePlan) -> Result<(), Refusal> {
        self.open()?;
        self.not_applying()?;
        if self.nodes.contains_key(name) {
            let refusal =
                Refusal::new(RefusalKind::NameTaken, format!("there is a service '{name}' already"));
            return Err(refusal.hint("give the new one another name, or remove the old one"));
        }
        if plan.launch.command.first().is_none_or(String::is_empty) {
            return Err(Refusal::new(RefusalKind::BadPlan, format!("{name} has no command")));
        }
        for dependency in plan.depends_on.keys() {
            if dependency == name {
                return Err(Refusal::new(RefusalKind::BadPlan, format!("{name} depends on itself")));
            }
            self.known(dependency).map_err(|refusal| {
                let message = format!("{name} depends on '{dependency}': {}", refusal.message);
                Refusal { message, kind: RefusalKind::BadPlan, ..refusal }
            })?;
            self.stays(dependency)?;
            if plan.start == StartMode::Auto {
                self.addable_on(name, dependency, plan)?;
            }
        }
        Ok(())
    }

    /// Whether a new service that is to start at once could, as far as this dependency goes.
    fn addable_on(
        &self,
        name: &ServiceName,
        dependency: &ServiceName,
        plan: &ServicePlan,
    ) -> Result<(), Refusal> {
        let condition = plan.depends_on.get(dependency).copied();
        if condition.is_none_or(|condition| self.is_met(dependency, condition)) {
            return Ok(());
        }
        let disabled =
            |name| self.plan.services.get(name).is_some_and(|plan| plan.start == StartMode::Disabled);
        if disabled(dependency) {
            return Err(depends_on_disabled(name, dependency));
        }
        self.missing_for(dependency)
            .map(drop)
            .map_err(|(dependent, disabled)| depends_on_disabled(&dependent, &disabled))
    }

    fn can_remove(&self, name: &ServiceName) -> Result<(), Refusal> {
        self.known(name)?;
        self.open()?;
        self.not_applying()?;
        let dependents = self.nodes.get(name).into_iter().flat_map(|node| node.links.dependents.keys());
        let mut names: Vec<&str> = dependents.map(ServiceName::as_str).collect();
        let more = names.len().saturating_sub(5);
        names.truncate(5);
        let mut list = names.join(", ");
        if more > 0 {
            list = format!("{list} and {more} more");
        }
        match names.len() + more {
            0 => Ok(()),
            1 => Err(Refusal::new(RefusalKind::HasDependents, format!("{list} depends on {name}"))),
            _ => Err(Refusal::new(RefusalKind::HasDependents, format!("{list} depend on {name}"))),
        }
        .map_err(|refusal| refusal.hint("remove what depends on it first"))
    }
}

pub(super) fn depends_on_disabled(dependent: &ServiceName, disabled: &ServiceName) -> Refusal {
    let refusal =
        Refusal::new(RefusalKind::Disabled, format!("{dependent} depends on {disabled}, which is disabled"));
    refusal.hint(format!("set the `start` of {disabled} to \"auto\" or \"manual\""))
}
