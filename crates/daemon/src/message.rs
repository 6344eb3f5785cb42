//! What other threads say to the driver.

use std::time::Duration;

use mainstay_api::types::{Configuration, Problem, Revision};
use mainstay_core::leak::Growth;
use mainstay_core::reload::{ReloadPlan, ReloadSettings};
use mainstay_core::{
    LeakAction, LimitHits, Limits, NotEnforced, OpenTelemetryPlan, Plan, Refusal, RefusalKind, Request,
    RunId, ServiceName, ServiceStatus, StopAction, WhenMainstayStops,
};
use mainstay_link::{Queues, Tally, Whom};
use tokio::sync::oneshot;

use crate::files::Moved;
use crate::plan_store::StoredPlan;
use crate::probes::{Answer, StepDone};
use crate::revisions::Revisions;
use crate::secrets::Read;

/// Something for the driver.
pub(crate) enum ToDriver {
    /// Somebody asks over the API.
    Ask(Ask),
    /// A probe's question was answered.
    Probed(Answer),
    /// A request of a stop has ended.
    StepEnded(StepDone),
    /// A step of a change of files is done.
    Files(Moved),
    /// What a run uses grows, or does not any more.
    Leak(RunId, mainstay_core::leak::Change),
    /// What this run uses grows, and it is the time of the day to restart it.
    LeakWindow(RunId, Growth),
    /// The secrets of a preparation were read.
    SecretsRead(RunId, Read),
    /// Secrets that something waits for were read.
    SecretsThere,
    /// Something about Mainstay itself that belongs into the events.
    Note(String),
    /// The plan is on disk as it was at this count of changes.
    PlanWritten(u64),
}

/// How a question is answered. Nobody waiting any more is no failure.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// A request of the API.
pub(crate) enum Ask {
    /// All services, as they are.
    Stack(Reply<StackView>),
    /// All services, by name, for the look at what they use.
    Running(Reply<Vec<Running>>),
    /// One service, as it is.
    Service(ServiceName, Reply<ServiceView>),
    /// Something for the core. Answered when it is as good as done: the keeper has the transaction.
    Request { by: String, request: Request, reply: Reply<Taken> },
    /// A service says something about itself.
    Notify { service: ServiceName, run: RunId, text: String, reply: Reply<Taken> },
    /// A signal is to be sent.
    Send { by: String, service: ServiceName, action: StopAction, whom: Whom, reply: Reply<u32> },
    /// Another program is to be the daemon.
    Upgrade { by: String, exe: String, reply: Reply<Taken> },
    /// A stack that is down, but for what was left running, is to come up with this plan.
    TakeOver { by: String, plan: Box<StoredPlan>, exe: String, leash: Option<u32>, reply: Reply<Taken> },
    /// The recording of inputs goes on or off.
    Record { on: bool, reply: Reply<mainstay_api::types::Recording> },
    /// The plan as it is, for its file, with its count of changes; and the list of configurations.
    Plan(Reply<(u64, StoredPlan, Revisions)>),
    /// What applying a plan would do, and the revision that runs. Refused if it can't be applied.
    Diff(Box<Plan>, Reply<(ReloadPlan, u64)>),
    /// What parts of the daemon follow in the plan.
    Settings(Reply<Followed>),
    /// A configuration that was read by itself was taken or refused; its digest.
    Tried(u64, Reply<Taken>),
    /// A number for a configuration.
    Number(Reply<u64>),
    /// This configuration is to be applied.
    Apply { by: String, revision: u64, same_as: Option<u64>, plan: Box<Plan>, reply: Reply<Taken> },
    /// A configuration was read that can't be applied.
    Refused { by: String, reason: String, reply: Reply<Taken> },
    /// The configurations that were applied, and the one to go back to.
    Revisions(Reply<(Vec<Revision>, Option<u64>)>),
}

/// What parts of the daemon follow in the plan.
pub(crate) struct Followed {
    pub reload: ReloadSettings,
    /// Where `/metrics` is served.
    pub listen: Option<String>,
    pub opentelemetry: OpenTelemetryPlan,
    /// The digest of the configuration that was last read by itself; 0: none was.
    pub tried: u64,
}

/// A request was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The stack's revision after it.
    pub revision: u64,
    /// The plan's count of changes after it.
    pub plan: u64,
}

/// All services at one moment.
pub(crate) struct StackView {
    pub revision: u64,
    pub going_down: bool,
    pub configuration: Configuration,
    pub resting: bool,
    pub services: Vec<ServiceView>,
    /// What waits in the keeper.
    pub queues: Queues,
}

/// A service, as far as a look at what it uses has to know it.
pub(crate) struct Running {
    pub name: ServiceName,
    /// Its run and the run's process; none: it does not run.
    pub run: Option<(u64, u32)>,
    /// For how long it has run.
    pub uptime: Duration,
    pub limits: Limits,
    pub leak: LeakAction,
    /// What grows in the present run.
    pub grows: Option<Growth>,
    /// How much output came since the keeper's start.
    pub log: Tally,
}

/// One service at one moment.
pub(crate) struct ServiceView {
    pub status: ServiceStatus,
    pub description: Option<String>,
    pub when_mainstay_stops: WhenMainstayStops,
    pub log_dropped: u64,
    /// Limits that do not hold here.
    pub not_enforced: Vec<NotEnforced>,
    /// Limits that the run which ended last came up against.
    pub limit_hits: LimitHits,
    /// What grows without end in the present run.
    pub leaks: Vec<Growth>,
}

/// Why a request is not done.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The HTTP status that fits.
    pub status: u16,
    pub problem: Problem,
}

impl Refused {
    pub fn new(status: u16, message: impl Into<String>) -> Refused {
        Refused { status, problem: Problem { message: message.into(), hint: None } }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Refused {
        self.problem.hint = Some(hint.into());
        self
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let status = match refusal.kind {
            RefusalKind::UnknownService => 404,
            RefusalKind::BadPlan => 400,
            RefusalKind::Disabled
            | RefusalKind::GoingDown
            | RefusalKind::BeingRemoved
            | RefusalKind::NameTaken
            | RefusalKind::HasDependents
            | RefusalKind::WrongState => 409,
        };
        Refused { status, problem: Problem { message: refusal.message, hint: refusal.hint } }
    }
}
