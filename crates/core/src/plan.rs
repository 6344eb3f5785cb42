//! The plan: validated configuration, as the rest of Mainstay works with it.
//!
//! `config` makes it from text. The core reads the policy in it; [`Launch`] and [`LogPlan`] it only passes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reload::ReloadSettings;
use crate::{
    Check, ControlAction, DailyWindow, FileNotes, Hooks, Limits, OpenTelemetryPlan, ProbeKind, ProgramConfig,
    SecretMarks, SecretSource, SecretText, ServiceName, Session, Settings, names_in, signal_name,
    signal_number,
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

/// How a process is made. The core passes it on unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Launch {
    /// The program and its arguments, each passed exactly as written. Never empty in a valid plan.
    pub command: Vec<String>,
    /// The working directory, absolute.
    pub working_dir: Option<String>,
    /// Set over the environment that Mainstay itself was started with.
    pub environment: BTreeMap<String, String>,
    /// Variables in whose values secrets stand. The values are read before each start, and are in no plan.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_environment: BTreeMap<String, SecretText>,
    /// With which values of its secrets the process was made.
    #[serde(skip_serializing_if = "SecretMarks::is_empty")]
    pub secrets: SecretMarks,
    /// The account it runs under; Mainstay's own if absent.
    pub user: Option<String>,
    /// The password of that account, which is a secret. Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// What else it is given of the system.
    #[serde(skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
    /// What it may use.
    #[serde(skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

/// Under this name the password of an account is among [`Launch::secret_texts`]: no variable has such a name.
pub const PASSWORD: &str = "=password";

impl Launch {
    /// What has to be filled with the values of secrets before the process can be made: variables, and the
    /// [`PASSWORD`].
    pub fn secret_texts(&self) -> BTreeMap<String, SecretText> {
        let mut texts = self.secret_environment.clone();
        texts.extend(self.password.clone().map(|password| (PASSWORD.to_owned(), password)));
        texts
    }

    /// The secrets that the process is made with.
    pub fn secret_names(&self) -> BTreeSet<String> {
        names_in(self.secret_environment.values().chain(&self.password))
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

/// Whether an ended service starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// After every end.
    Always,
    /// After an end that was no success (an exit code other than 0, a signal, a failed liveness probe).
    OnFailure,
    /// Never.
    Never,
}

/// What follows an exit with a certain code, whatever the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitAction {
    /// Start again after the back-off.
    Restart,
    /// Start again at once, without a back-off; the crash-loop count still rises.
    RestartNow,
    /// Take it as a wanted end: the service is `completed`.
    Stop,
    /// Take it as final: the service is `failed` until somebody starts it.
    Fail,
}

/// At most so many automatic restarts in a time; one more makes the service `failed`. Starts by hand do not count,
/// and clear what was counted. A restart counts from the moment it is decided, before its back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartLimit {
    /// Automatic restarts allowed in the window. Numbers above 1,000 count as 1,000.
    pub starts: u32,
    /// The window's length.
    pub window: Duration,
}

/// What follows the end of a service's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestartPlan {
    /// Whether it starts again.
    pub policy: RestartPolicy,
    /// The second restart in a row waits so long (the first goes at once), each later one twice as long as the
    /// one before.
    pub delay: Duration,
    /// The longest wait, jitter included.
    pub max_delay: Duration,
    /// A run healthy for so long sets the count of restarts in a row back to zero.
    pub reset_after: Duration,
    /// Gives up beyond it; tries for ever if absent.
    pub limit: Option<StartLimit>,
    /// Exceptions by exit code, before the policy is asked.
    #[schemars(with = "BTreeMap<String, ExitAction>")]
    pub on_exit: BTreeMap<i64, ExitAction>,
}

impl Default for RestartPlan {
    fn default() -> Self {
        RestartPlan {
            policy: RestartPolicy::Always,
            delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            reset_after: Duration::from_secs(60),
            limit: None,
            on_exit: BTreeMap::new(),
        }
    }
}

/// One way to ask a process to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopAction {
    /// Ctrl+C to its console on Windows; SIGTERM to its process group on Linux.
    CtrlC,
    /// WM_CLOSE to its windows; does nothing on Linux.
    CloseWindow,
    /// A Linux signal by its number, to its process group; does nothing on Windows.
    Signal(i32),
    /// Ends the whole tree at once.
    Kill,
    /// Ctrl+Break to its console on Windows; does nothing on Linux.
    CtrlBreak,
    /// Nothing is sent: it counts as ready no more, and has time to finish what it was given.
    Drain,
    /// This command is run beside it, with its environment, directory and account. It is killed at the end of the
    /// step; a failure brings the next step at once.
    Command(Vec<String>),
    /// An HTTP request is made; an answer other than 200 to 399 is a failure and brings the next step at once.
    Http {
        /// Where to.
        url: String,
        /// GET, POST and the like.
        method: String,
        /// Connect here instead: the path of a Unix socket, or a named pipe's name on Windows.
        #[serde(default)]
        socket: Option<String>,
    },
}

impl fmt::Display for StopAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopAction::CtrlC => f.write_str("ctrl_c"),
            StopAction::CloseWindow => f.write_str("close_window"),
            StopAction::Signal(number) => match signal_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "signal {number}"),
            },
            StopAction::Kill => f.write_str("kill"),
            StopAction::CtrlBreak => f.write_str("ctrl_break"),
            StopAction::Drain => f.write_str("drain"),
            StopAction::Command(words) => show_command(f, words),
            StopAction::Http { url, method, .. } => show_request(f, method, url),
        }
    }
}

/// Without its arguments: they may hold what is not for everybody's eyes.
pub(crate) fn show_command(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    write!(f, "command {}", words.first().map_or("", String::as_str))
}

/// Without what follows the path, for the same reason.
pub(crate) fn show_request(f: &mut fmt::Formatter<'_>, method: &str, url: &str) -> fmt::Result {
    write!(f, "{method} {}", url.split(['?', '#']).next().unwrap_or(url))
}

impl StopAction {
    /// Whether it does something on Windows, or else on Linux.
    pub const fn works(&self, on_windows: bool) -> bool {
        match self {
            StopAction::CtrlC
            | StopAction::Kill
            | StopAction::Drain
            | StopAction::Command(_)
            | StopAction::Http { .. } => true,
            StopAction::CloseWindow | StopAction::CtrlBreak => on_windows,
            StopAction::Signal(_) => !on_windows,
        }
    }

    /// The signal that somebody names by hand: `HUP`, `sighup` or `1` on Linux; `ctrl_c`, `ctrl_break`,
    /// `close_window` or `kill` on Windows.
    ///
    /// # Errors
    /// What is wrong with it, and what can be sent instead.
    pub fn by_hand(word: &str, on_windows: bool) -> Result<StopAction, (String, &'static str)> {
        const CONSOLE: &str = "what can be sent is ctrl_c, ctrl_break, close_window and kill";
        let plain = word.to_ascii_lowercase().replace('-', "_");
        let of_windows = match plain.as_str() {
            "ctrl_c" => Some(StopAction::CtrlC),
            "ctrl_break" => Some(StopAction::CtrlBreak),
            "close_window" => Some(StopAction::CloseWindow),
            _ => None,
        };
        let number = word.parse().ok().filter(|number| (1..=64).contains(number)).or(signal_number(word));
        match (on_windows, of_windows, number) {
            (true, Some(action), _) => Ok(action),
            (true, None, Some(9)) => Ok(StopAction::Kill),
            (true, None, Some(_)) => Err((format!("{word} is a signal of Linux; Windows has none"), CONSOLE)),
            (true, None, None) => Err((format!("nothing is called {word} that could be sent"), CONSOLE)),
            (false, None, Some(number)) => Ok(StopAction::Signal(number)),
            (false, Some(action), _) => Err((
                format!("{action} is a thing of Windows"),
                "SIGTERM asks a program to end, SIGINT is Ctrl+C",
            )),
            (false, None, None) => Err((
                format!("no signal is called {word}"),
                "such as HUP, SIGUSR1, TERM, KILL, or a number to 64",
            )),
        }
    }

    /// Whether the daemon does it itself and tells how it went, rather than the keeper.
    pub const fn is_answered(&self) -> bool {
        matches!(self, StopAction::Command(_) | StopAction::Http { .. })
    }
}

impl StopPlan {
    /// Drops the steps that do nothing on a platform, so that nobody waits for their effect.
    pub fn fit(&mut self, on_windows: bool) {
        self.steps.retain(|step| step.action.works(on_windows));
    }
}

/// One step of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopStep {
    /// What is done.
    pub action: StopAction,
    /// How long its effect is waited for before the next step.
    pub wait: Duration,
}

/// How a service's process is ended. The whole tree is killed after the last step or at the deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StopPlan {
    /// Taken in order, each until the tree is gone or its time is over.
    pub steps: Vec<StopStep>,
    /// From the first step to the kill of the whole tree, at the most.
    pub timeout: Duration,
}

impl Default for StopPlan {
    fn default() -> Self {
        let step = |action, secs| StopStep { action, wait: Duration::from_secs(secs) };
        StopPlan {
            steps: vec![step(StopAction::CtrlC, 10), step(StopAction::CloseWindow, 3)],
            timeout: Duration::from_secs(15),
        }
    }
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

/// Where a service's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogPlan {
    /// A segment is closed at the first line end at or after this size, in bytes.
    pub rotate_size: u64,
    /// A segment is closed when it is this old.
    pub rotate_age: Option<Duration>,
    /// So many closed segments of each stream are kept.
    pub keep_files: u32,
    /// Closed segments that were last written to before so long are deleted.
    pub keep_age: Option<Duration>,
    /// The service's closed segments together have so many bytes at the most.
    pub keep_total: Option<u64>,
    /// How closed segments are compressed.
    pub compress: Compress,
    /// Below so many free bytes on the disk old segments are deleted, and then the disk counts as full.
    pub min_free: Option<u64>,
    /// What happens to output while the disk is full.
    pub on_full: OnFull,
    /// Whether stderr has a log of its own, `<service>.err.log`.
    pub separate_stderr: bool,
    /// What each line has besides its text.
    pub format: LogFormat,
    /// What the output's bytes are, if they are to become UTF-8.
    pub encoding: LogEncoding,
}

/// What a log has besides the text of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Nothing: it is exactly what was written.
    #[default]
    Raw,
    /// The time before each line.
    Timestamps,
    /// Each line is a JSON object.
    Json,
}

/// What the bytes of a service's output are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogEncoding {
    /// Whatever they are, so they stay.
    #[default]
    Raw,
    /// To be recognised: UTF-16, UTF-8, else the console's code page.
    Auto,
    /// UTF-16, the lower byte first.
    Utf16le,
    /// UTF-16, the higher byte first.
    Utf16be,
    /// The console's code page on Windows.
    Console,
}

/// How closed segments are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compress {
    /// zstd.
    #[default]
    Zstd,
    /// gzip.
    Gzip,
    /// Not.
    None,
}

/// What happens to output while the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// The service waits in its write.
    Block,
}

impl Default for LogPlan {
    fn default() -> Self {
        LogPlan {
            rotate_size: 100_000_000,
            rotate_age: None,
            keep_files: 10,
            keep_age: None,
            keep_total: None,
            compress: Compress::Zstd,
            min_free: None,
            on_full: OnFull::Drop,
            separate_stderr: false,
            format: LogFormat::Raw,
            encoding: LogEncoding::Raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_hand_are_those_of_the_platform() {
        let linux = |word| StopAction::by_hand(word, false);
        for word in ["HUP", "hup", "SIGHUP", "1"] {
            assert_eq!(linux(word), Ok(StopAction::Signal(1)), "{word}");
        }
        assert_eq!(linux("34"), Ok(StopAction::Signal(34)));
        for word in ["0", "65", "-1", "sneeze", "", "ctrl_c", "close-window"] {
            assert!(linux(word).is_err(), "{word}");
        }
        let windows = |word| StopAction::by_hand(word, true);
        assert_eq!(windows("ctrl-break"), Ok(StopAction::CtrlBreak));
        assert_eq!(windows("CTRL_C"), Ok(StopAction::CtrlC));
        assert_eq!(windows("close_window"), Ok(StopAction::CloseWindow));
        for word in ["kill", "KILL", "SIGKILL", "9"] {
            assert_eq!(windows(word), Ok(StopAction::Kill), "{word}");
        }
        assert_eq!(windows("SIGHUP").unwrap_err().0, "SIGHUP is a signal of Linux; Windows has none");
        assert!(windows("sneeze").is_err());
    }

    #[test]
    fn steps_that_do_nothing_on_a_platform_are_dropped() {
        let step = |action| StopStep { action, wait: Duration::from_secs(1) };
        let all =
            [StopAction::CtrlC, StopAction::CloseWindow, StopAction::Signal(1), StopAction::Kill].map(step);
        let on = |on_windows| {
            let mut plan = StopPlan { steps: all.to_vec(), ..StopPlan::default() };
            plan.fit(on_windows);
            plan.steps.into_iter().map(|step| step.action).collect::<Vec<_>>()
        };
        assert_eq!(on(true), [StopAction::CtrlC, StopAction::CloseWindow, StopAction::Kill]);
        assert_eq!(on(false), [StopAction::CtrlC, StopAction::Signal(1), StopAction::Kill]);
    }
}
