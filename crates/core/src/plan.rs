//! The plan: validated configuration, as the rest of Mainstay works with it.
//!
//! `config` makes it from text. The core reads the policy in it; [`Launch`] and [`LogPlan`] it only passes on.

mod launch;
mod log;
mod restart;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::launch::{Launch, PASSWORD};
pub use self::log::{Compress, LogEncoding, LogFormat, LogPlan, OnFull};
pub use self::restart::{ExitAction, RestartPlan, RestartPolicy, StartLimit};
pub(crate) use self::stop::show_command;
pub use self::stop::{StopAction, StopPlan, StopStep};
use crate::reload::ReloadSettings;
use crate::{
    Check, ControlAction, DailyWindow, FileNotes, Hooks, OpenTelemetryPlan, ProbeKind, ProgramConfig,
    SecretMarks, SecretSource, ServiceName, Session, names_in,
};

/// All services of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The stack's name; the rules of [`ServiceName`] hold for it.
    pub stack: String,
    /// The services, by name. Dependencies are known to exist and to have no cycle.
    pub services: BTreeMap<ServiceName, ServicePlan>,
    /// What is measured is shown to others like this.
    #[serde(default, skip_serializing_if = "MetricsPlan::is_default")]
    pub metrics: MetricsPlan,
    /// What is sent to a collector of OpenTelemetry.
    #[serde(default, skip_serializing_if = "OpenTelemetryPlan::is_default")]
    pub opentelemetry: OpenTelemetryPlan,
    /// How a changed configuration is applied.
    #[serde(default, skip_serializing_if = "ReloadSettings::is_default")]
    pub reload: ReloadSettings,
    /// Where the values of secrets are read from; those that are not here are in the stack's own store.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
}

/// How others see what is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsPlan {
    /// Where `/metrics` is served, `host:port`; nowhere if absent.
    pub listen: Option<String>,
}

impl MetricsPlan {
    /// Whether nobody sees anything.
    pub fn is_default(&self) -> bool {
        *self == MetricsPlan::default()
    }
}

impl Plan {
    /// So many files Mainstay has open at the most for all services: for each its cgroup and what tells of it, its
    /// output's pipe, its log and a socket, and some for itself.
    pub fn open_files_needed(&self) -> u64 {
        100 + 6 * self.services.len() as u64
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServicePlan {
    /// What a person wants to read about it.
    pub description: Option<String>,
    /// A name for several services: commands and dependencies take it for all of them. Instances of one service
    /// have its name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_of: Option<ServiceName>,
    /// How its process is made.
    pub launch: Launch,
    /// When it starts.
    pub start: StartMode,
    /// What has to be there first.
    pub depends_on: BTreeMap<ServiceName, Condition>,
    /// What follows the end of its process.
    pub restart: RestartPlan,
    /// How its process is ended.
    pub stop: StopPlan,
    /// Holds the other probes back until it has succeeded once; failing too often restarts the service.
    pub startup: Option<ProbePlan>,
    /// Marks the service ready or not ready; nothing else follows from it.
    pub ready: Option<ProbePlan>,
    /// Restarts the service when it fails too often.
    pub live: Option<ProbePlan>,
    /// What is run at the moments of its life.
    #[serde(skip_serializing_if = "Hooks::is_none")]
    pub hooks: Hooks,
    /// What codes of the service manager mean to it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, ControlAction>")]
    pub controls: BTreeMap<u8, ControlAction>,
    /// What its program reads, beside its command line and environment.
    #[serde(skip_serializing_if = "ProgramConfig::is_default")]
    pub config: ProgramConfig,
    /// Where its output goes.
    pub log: LogPlan,
    /// What follows when what it uses grows without end.
    pub leak: LeakAction,
    /// What becomes of it when the stack goes down.
    #[serde(skip_serializing_if = "WhenMainstayStops::is_stop")]
    pub when_mainstay_stops: WhenMainstayStops,
    /// In which session it runs. Windows.
    #[serde(skip_serializing_if = "Session::is_services")]
    pub session: Session,
}

impl Default for ServicePlan {
    fn default() -> Self {
        ServicePlan {
            description: None,
            instance_of: None,
            launch: Launch::default(),
            start: StartMode::Auto,
            depends_on: BTreeMap::new(),
            restart: RestartPlan::default(),
            stop: StopPlan::default(),
            startup: None,
            ready: None,
            live: None,
            hooks: Hooks::default(),
            controls: BTreeMap::new(),
            config: ProgramConfig::default(),
            log: LogPlan::default(),
            leak: LeakAction::default(),
            when_mainstay_stops: WhenMainstayStops::default(),
            session: Session::default(),
        }
    }
}

impl ServicePlan {
    /// The secrets that its process is made with, and its files.
    pub fn secret_names(&self) -> BTreeSet<String> {
        let mut names = self.launch.secret_names();
        names.extend(self.config.secret_names());
        names
    }

    /// With which values of its secrets its process was made, and its files. Where these are not the same that of its
    /// process counts.
    pub fn marks(&self) -> SecretMarks {
        let mut marks = self.config.secrets.clone();
        marks.extend(self.launch.secrets.clone());
        marks
    }

    /// Notes with which values its process and its files were made. Whether that is something new.
    pub fn set_marks(&mut self, marks: &SecretMarks) -> bool {
        let of = |names: BTreeSet<String>| {
            names.into_iter().filter_map(|name| Some((name.clone(), marks.get(&name)?.clone()))).collect()
        };
        let launch: SecretMarks = of(self.launch.secret_names());
        let files: SecretMarks = of(self.config.secret_names());
        let new = self.launch.secrets != launch || self.config.secrets != files;
        (self.launch.secrets, self.config.secrets) = (launch, files);
        new
    }

    /// Forgets with which values its process and its files were made.
    pub fn forget_marks(&mut self) {
        self.set_marks(&SecretMarks::new());
        self.config.notes = FileNotes::default();
    }

    /// The secrets that its files are made with, and nothing of its process. Their values from before are in the files.
    pub(crate) fn only_in_files(&self) -> impl Iterator<Item = String> {
        let of_process = names_in(self.launch.secret_environment.values());
        self.config.secret_names().into_iter().filter(move |name| !of_process.contains(name))
    }

    /// The secrets that its process and its probes use.
    pub fn all_secret_names(&self) -> BTreeSet<String> {
        let mut names = self.secret_names();
        for kind in [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live] {
            if let Some(Check::Http(http)) = self.probe(kind).map(|probe| &probe.check) {
                names.extend(names_in(http.secret_headers.values()));
            }
        }
        names
    }

    /// Whether something has to be done before its process can be made.
    pub fn is_prepared(&self) -> bool {
        self.hooks.precede_start()
            || !self.config.files.is_empty()
            || !self.launch.secret_environment.is_empty()
            || self.launch.password.is_some()
    }

    /// The longest time from the wish that it stops to the kill of its tree, without what it waits for and without what its
    /// program asks for itself.
    pub fn stop_time(&self) -> Duration {
        let hook = self.hooks.before_stop.as_ref().map_or(Duration::ZERO, |hook| hook.timeout);
        hook.saturating_add(self.stop.timeout)
    }

    /// One of its probes.
    pub fn probe(&self, kind: ProbeKind) -> Option<&ProbePlan> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Ready => self.ready.as_ref(),
            ProbeKind::Live => self.live.as_ref(),
        }
    }
}

/// When a service starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// With the stack.
    #[default]
    Auto,
    /// When somebody asks for it, or a service that depends on it starts.
    Manual,
    /// Never; a start by hand is refused.
    Disabled,
}

/// What follows when the memory, handles, threads or processes of a service grow without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeakAction {
    /// It is told.
    #[default]
    Tell,
    /// It is told, and the service restarted at once.
    Restart,
    /// It is told, and the service restarted when it is that time of the day; if it still grows then.
    RestartIn(DailyWindow),
}

impl LeakAction {
    /// Whether a restart waits for a time of the day.
    pub const fn is_in_window(&self) -> bool {
        matches!(self, LeakAction::RestartIn(_))
    }
}

/// What becomes of a service when the stack goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenMainstayStops {
    /// It is stopped.
    #[default]
    Stop,
    /// If it is up it goes on, and is taken over by the next `up`; nobody restarts or probes it until then. Only
    /// [`Request::DownAll`](crate::Request::DownAll) stops it.
    Leave,
}

impl WhenMainstayStops {
    fn is_stop(&self) -> bool {
        *self == WhenMainstayStops::Stop
    }
}

/// What a dependency must have reached before the dependent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its process runs (and its startup probe, if it has one, has succeeded). A service that has completed has
    /// been there, so it counts as started too.
    Started,
    /// It is ready; without a readiness probe the same as started. A service that is paused is not ready.
    Ready,
    /// It has run to its end with success.
    Completed,
}

/// A repeated question to a service, with Kubernetes' semantics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbePlan {
    /// What is asked.
    pub check: Check,
    /// From the start of the process, or for readiness and liveness from the success of the startup probe, to the
    /// first question.
    pub initial_delay: Duration,
    /// From one question to the next.
    pub interval: Duration,
    /// No answer in this time is a failure.
    pub timeout: Duration,
    /// So many failures in a row make it fail. At least 1.
    pub failures: u32,
    /// So many successes in a row make it succeed. At least 1.
    pub successes: u32,
}
