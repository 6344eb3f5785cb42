//! What the API asks of the driver.

use mainstay_api::types::{EventBody, Recording};
use mainstay_core::reload::ReloadPlan;
use mainstay_core::{Event, EventKind, Input, Plan, ReloadStage, Request, RunId, ServiceName, ServiceStatus};
use mainstay_link::Command;
use tokio::sync::oneshot;

use crate::driver::{Driver, now};
use crate::message::{Ask, Followed, Refused, Reply, Running, ServiceView, StackView, Taken};
use crate::plan_store::{MAX_PLAN, StoredPlan};
use crate::secrets::keep_marks;

/// So many changes of the plan may wait for the disk; the keeper holds them until then.
const MAX_UNWRITTEN: usize = 16;
/// So long are two plans together, of which one takes the place of the other.
const MAX_CHANGE: usize = 12 << 20;

impl Driver {
    /// Answers, or does it and answers when it is on its way.
    pub fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Stack(reply) => answer(reply, Ok(self.stack())),
            Ask::Running(reply) => answer(reply, Ok(self.running())),
            Ask::Service(name, reply) => answer(reply, self.service(&name)),
            Ask::Request { by, request, reply } => match self.check(&request) {
                Ok(()) => {
                    self.request(by, request);
                    self.reply_later(reply);
                }
                Err(refused) => answer(reply, Err(refused)),
            },
            Ask::Notify { service, run, text, reply } => match self.check_run(&service, run) {
                Ok(()) => {
                    self.input(Input::Notify { run, text });
                    self.reply_later(reply);
                }
                Err(refused) => answer(reply, Err(refused)),
            },
            Ask::Send { by, service, action, whom, reply } => {
                self.send_by_hand(by, service, action, whom, reply);
            }
            Ask::Upgrade { by, exe, reply } => {
                if self.ended || self.core.is_going_down() {
                    return answer(reply, Err(Refused::new(409, "the stack is going down")));
                }
                self.events.stage_own(format!("{by} wants {exe} as the daemon"));
                self.out.command(Command::Replace { exe });
                self.reply_later(reply);
            }
            Ask::TakeOver { by, plan, exe, leash, reply } => {
                match self.come_up_again(by, *plan, exe, leash) {
                    Ok(()) => self.reply_later(reply),
                    Err(refused) => answer(reply, Err(refused)),
                }
            }
            Ask::Record { on, reply } => answer(reply, self.record(on)),
            Ask::Plan(reply) => {
                // On disk there is never more than the keeper has.
                let (config, source) = (self.config.clone(), self.source.clone());
                let stored = StoredPlan { plan: self.core.plan().clone(), config, source };
                let (count, revisions) = (*self.watched.plan.borrow(), self.revisions.clone());
                self.replies.push(Box::new(move |_| answer(reply, Ok((count, stored, revisions)))));
            }
            Ask::Diff(plan, reply) => answer(reply, self.diff(*plan)),
            Ask::Settings(reply) => {
                let plan = self.core.plan();
                let followed = Followed {
                    reload: plan.reload.clone(),
                    listen: plan.metrics.listen.clone(),
                    opentelemetry: plan.opentelemetry.clone(),
                    tried: self.revisions.tried,
                };
                answer(reply, Ok(followed));
            }
            Ask::Tried(digest, reply) => {
                self.revisions.tried = digest;
                self.note_revisions();
                self.reply_later(reply);
            }
            Ask::Number(reply) => {
                let number = self.revisions.next();
                self.note_revisions();
                self.replies.push(Box::new(move |_| answer(reply, Ok(number))));
            }
            Ask::Apply { by, revision, same_as, plan, reply } => {
                match self.apply(by, revision, same_as, plan) {
                    Ok(()) => self.reply_later(reply),
                    Err(refused) => answer(reply, Err(refused)),
                }
            }
            Ask::Refused { by, reason, reply } => {
                self.refused(&reason, format!("{reason}; asked by {by}"));
                self.reply_later(reply);
            }
            Ask::Revisions(reply) => answer(reply, Ok((self.revisions.list(), self.revisions.before()))),
        }
    }

    /// The stack was started with the plan of before, because this is wrong with the configuration of now.
    pub(crate) fn config_refused(&mut self, reason: &str) {
        self.refused(reason, reason.to_owned());
    }

    fn refused(&mut self, reason: &str, detail: String) {
        let revision = self.revisions.refused(reason);
        self.note_revisions();
        let kind = EventKind::Reload { revision, stage: ReloadStage::Refused, detail };
        self.events.stage(EventBody::Core(Event { service: None, run: None, kind }));
    }

    fn reply_later(&mut self, reply: Reply<Taken>) {
        self.replies.push(Box::new(move |taken| answer(reply, Ok(taken))));
    }

    fn check(&self, request: &Request) -> Result<(), Refused> {
        self.core.check(request)?;
        let Request::Add(name, plan) = request else { return Ok(()) };
        if self.overlay.len() >= MAX_UNWRITTEN {
            return Err(Refused::new(503, "services added before this one are not yet on disk")
                .hint("if it stays so, the stack's log says why"));
        }
        // All spawns of a plan have to fit into one frame.
        let length = serde_json::to_vec(self.core.plan()).map_or(0, |plan| plan.len())
            + serde_json::to_vec(plan).map_or(0, |plan| plan.len());
        if length > MAX_PLAN {
            let message = format!("with {name} the plan would be longer than {} MiB", MAX_PLAN >> 20);
            return Err(Refused::new(413, message).hint("put large environments into files"));
        }
        Ok(())
    }

    fn request(&mut self, by: String, mut request: Request) {
        if request == Request::Down {
            request = self.down(false);
        }
        if let Request::Add(_, plan) = &mut request {
            plan.stop.fit(mainstay_sys::IS_WINDOWS);
        }
        self.input(Input::Request { by, request });
    }

    /// What applying a plan would do.
    fn diff(&self, mut plan: Plan) -> Result<(ReloadPlan, u64), Refused> {
        self.core.check_apply(&plan)?;
        keep_marks(&mut plan, self.core.plan());
        let plan = &plan;
        // Both are kept until it is done, and so is what has changed.
        let length = |plan: &Plan| serde_json::to_vec(plan).map_or(0, |plan| plan.len());
        if length(self.core.plan()) + length(plan) > MAX_CHANGE {
            let message =
                format!("the old and the new plan together have more than {} MiB", MAX_CHANGE >> 20);
            return Err(Refused::new(413, message).hint("put large environments into files"));
        }
        Ok((ReloadPlan::of(self.core.plan(), plan), self.revisions.configuration(&self.core).revision))
    }

    fn apply(
        &mut self,
        by: String,
        revision: u64,
        same_as: Option<u64>,
        mut plan: Box<Plan>,
    ) -> Result<(), Refused> {
        self.core.check_apply(&plan)?;
        self.vault.were_read_for(&plan);
        keep_marks(&mut plan, self.core.plan());
        self.revisions.add(revision, by.clone(), same_as);
        self.input(Input::Apply { by, revision, plan });
        Ok(())
    }

    fn check_run(&self, service: &ServiceName, run: RunId) -> Result<(), Refused> {
        let status = self.status(service)?;
        match status.run {
            Some(present) if present == run => Ok(()),
            Some(present) => {
                Err(Refused::new(409, format!("run {run} of {service} is over, it is in run {present}")))
            }
            None => Err(Refused::new(409, format!("{service} does not run"))),
        }
    }

    pub(crate) fn status(&self, name: &ServiceName) -> Result<ServiceStatus, Refused> {
        if let Some(status) = self.core.service_status(name.as_str()) {
            return Ok(status);
        }
        // The core knows the names that are near.
        self.core.check(&Request::Start(name.clone()))?;
        Err(Refused::new(404, format!("there is no service '{name}'")))
    }

    fn service(&self, name: &ServiceName) -> Result<ServiceView, Refused> {
        self.status(name).map(|status| self.view(status))
    }

    fn view(&self, status: ServiceStatus) -> ServiceView {
        let plan = self.core.plan().services.get(&status.name);
        let description = plan.and_then(|plan| plan.description.clone());
        let is_limited = plan.is_some_and(|plan| !plan.launch.limits.is_default());
        let known = self.limits.get(&status.name).cloned().unwrap_or_default();
        let not_enforced = if is_limited { known.not_enforced } else { Vec::new() };
        let log_dropped = self.outputs.dropped_of(&status.name);
        let leaks = self.leaks.get(&status.name).filter(|(run, _)| status.run == Some(*run));
        let leaks = leaks.map(|(_, leaks)| leaks.clone()).unwrap_or_default();
        let when_mainstay_stops = plan.map(|plan| plan.when_mainstay_stops).unwrap_or_default();
        ServiceView {
            status,
            description,
            when_mainstay_stops,
            log_dropped,
            not_enforced,
            limit_hits: known.hits,
            leaks,
        }
    }

    fn running(&self) -> Vec<Running> {
        let running = self.core.processes().map(|(name, process)| {
            let plan = self.core.plan().services.get(name);
            let run = process.map(|(run, ..)| run);
            let grows = self.leaks.get(name).filter(|(of, _)| run == Some(*of));
            Running {
                name: name.clone(),
                run: process.map(|(run, pid, _)| (run.0, pid)),
                uptime: process.map(|(.., started)| now().since(started)).unwrap_or_default(),
                limits: plan.map(|plan| plan.launch.limits.clone()).unwrap_or_default(),
                leak: plan.map(|plan| plan.leak).unwrap_or_default(),
                grows: grows.and_then(|(_, growths)| growths.first().copied()),
                log: self.outputs.of(name),
            }
        });
        running.collect()
    }

    fn stack(&self) -> StackView {
        StackView {
            revision: *self.watched.revision.borrow(),
            going_down: self.core.is_going_down(),
            configuration: self.revisions.configuration(&self.core),
            resting: self.core.is_resting(),
            queues: self.queues,
            services: self.core.status().into_iter().map(|status| self.view(status)).collect(),
        }
    }

    fn record(&mut self, on: bool) -> Result<Recording, Refused> {
        if !on {
            self.recorder.stop();
        } else if let Err(error) = self.recorder.start(&self.core, self.last_run, now()) {
            return Err(Refused::new(500, format!("can't record: {error}")));
        }
        Ok(self.recorder.state())
    }
}

fn answer<T>(reply: oneshot::Sender<Result<T, Refused>>, with: Result<T, Refused>) {
    // Whoever asked may have gone.
    let _ = reply.send(with);
}
