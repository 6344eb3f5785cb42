//! systemd where it runs, an init script elsewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::facts::{Fact, Facts};
use super::files::{Step, perform};
use super::{
    Done, Error, ErrorKind, Fault, LogOnRights, NativeState, Scope, Status, commands, unit, unit_facts,
};
use crate::definition::Definition;

#[derive(Clone, Debug)]
pub(super) struct Native {
    kind: Kind,
    /// Where units or scripts lie.
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Systemd { user: bool },
    Init,
}

/// A question to the service manager is answered within this.
const ANSWER: Duration = Duration::from_secs(30);

/// systemd looks for units of others here.
const UNITS: [&str; 4] = [
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

impl Native {
    pub(super) fn new(scope: Scope) -> Done<Native> {
        // What sd_booted(3) looks at.
        let systemd = Path::new("/run/systemd/system").is_dir();
        match (scope, systemd) {
            (Scope::System, true) => {
                Ok(Native { kind: Kind::Systemd { user: false }, directory: "/etc/systemd/system".into() })
            }
            (Scope::System, false) => Ok(Native { kind: Kind::Init, directory: "/etc/init.d".into() }),
            (Scope::User, true) => {
                let config = std::env::var_os("XDG_CONFIG_HOME")
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute())
                    .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
                    .ok_or_else(|| {
                        Error::new(ErrorKind::Failed, "neither HOME nor XDG_CONFIG_HOME is set")
                    })?;
                Ok(Native { kind: Kind::Systemd { user: true }, directory: config.join("systemd/user") })
            }
            (Scope::User, false) => Err(Error::new(
                ErrorKind::Failed,
                "services of a user need systemd, which does not run here; start the program from your crontab: \
                 @reboot PROGRAM",
            )),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Systemd { .. } => "systemd",
            Kind::Init => "init",
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        match self.kind {
            Kind::Systemd { .. } => self.directory.join(format!("{name}.service")),
            Kind::Init => self.directory.join(name),
        }
    }

    /// A command line of systemctl.
    fn systemctl<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["systemctl"];
        if self.kind == (Kind::Systemd { user: true }) {
            all.push("--user");
        }
        all.extend(words);
        all
    }

    /// What is there under this name; an error if it is somebody else's.
    fn ours(&self, name: &str) -> Done<Option<String>> {
        let path = self.path(name);
        let foreign = |path: &Path| {
            Error::new(
                ErrorKind::Foreign,
                format!(
                    "{} is there and was not made by mainstay-service; choose another name",
                    path.display()
                ),
            )
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if text.lines().take(2).any(|line| line.starts_with(unit::MARK)) => Ok(Some(text)),
            Ok(_) => Err(foreign(&path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = format!("{name}.service");
                let other = UNITS.iter().map(|dir| Path::new(dir).join(&file)).find(|path| path.exists());
                match other {
                    Some(path) if self.kind == (Kind::Systemd { user: false }) => Err(foreign(&path)),
                    _ => Ok(None),
                }
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Failed, format!("cannot read {}: {error}", path.display())))
            }
        }
    }

    /// In words who has to do it; before half of it is done.
    fn allowed(&self, what: &str) -> Done {
        if self.kind == (Kind::Systemd { user: true }) || rustix::process::geteuid().is_root() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Denied, format!("{what} takes root: run it again with sudo")))
    }

    pub(super) fn check_rights(&self) -> Done {
        self.allowed("installing a service")
    }

    pub(super) fn install(&self, definition: &Definition, dry_run: bool) -> Done<Vec<String>> {
        let before = self.ours(&definition.name)?;
        let steps = self.steps_to_install(definition, before.as_deref());
        if !dry_run && !steps.is_empty() {
            self.allowed("installing a service")?;
        }
        perform(&steps, dry_run)
    }

    fn steps_to_install(&self, definition: &Definition, before: Option<&str>) -> Vec<Step> {
        let name = definition.name.as_str();
        let mut steps = Vec::new();
        let (text, executable) = match self.kind {
            Kind::Systemd { user } => (unit::unit(definition, user), false),
            Kind::Init => (unit::init_script(definition), true),
        };
        let changed = before != Some(text.as_str());
        if changed {
            steps.push(Step::Write { path: self.path(name), text, executable });
        }
        let boot = unit::at_boot(definition);
        match self.kind {
            Kind::Systemd { .. } => {
                let reload = self.systemctl(&["daemon-reload"]);
                if changed {
                    steps.push(Step::run(&reload, Some(&reload)));
                }
                let state = self.property(name, "UnitFileState").unwrap_or_default();
                // systemd masks only units that are not files of /etc: one that is disabled is just not started at boot.
                let wanted = if boot { "enabled" } else { "disabled" };
                if before.is_none() || state != wanted {
                    match (boot, before.is_some()) {
                        (true, _) => steps.push(Step::run(
                            &self.systemctl(&["enable", name]),
                            Some(&self.systemctl(&["disable", name])),
                        )),
                        // Nothing starts a new one.
                        (false, false) => {}
                        (false, true) => steps.push(Step::run(&self.systemctl(&["disable", name]), None)),
                    }
                }
            }
            Kind::Init => steps.extend(init_links(name, boot, changed)),
        }
        if self.kind == (Kind::Systemd { user: true }) && boot && before.is_none() && !lingers() {
            let text = "tell you: it starts when you log in; `loginctl enable-linger` lets it start at boot";
            steps.push(Step::Tell(text.to_owned()));
        }
        steps
    }

    pub(super) fn uninstall(&self, name: &str, wait: Duration, dry_run: bool) -> Done<Vec<String>> {
        if self.ours(name)?.is_none() {
            return Ok(Vec::new());
        }
        if !dry_run {
            self.allowed("removing a service")?;
            self.stop(name, wait)?;
        }
        let path = self.path(name);
        let mut steps = Vec::new();
        match self.kind {
            Kind::Systemd { .. } => {
                steps.push(Step::run(
                    &self.systemctl(&["disable", name]),
                    Some(&self.systemctl(&["enable", name])),
                ));
                steps.push(Step::Remove { path });
                let reload = self.systemctl(&["daemon-reload"]);
                steps.push(Step::run(&reload, Some(&reload)));
            }
            Kind::Init => {
                steps.extend(init_links(name, false, true));
                steps.push(Step::Remove { path });
            }
        }
        let mut texts = if dry_run { vec![format!("stop {name}")] } else { Vec::new() };
        texts.extend(perform(&steps, dry_run)?);
        if !dry_run && matches!(self.kind, Kind::Systemd { .. }) {
            // Otherwise systemd goes on showing that it failed once. It does not mind if it did not.
            let _ = commands::run(&self.systemctl(&["reset-failed", name]), ANSWER);
        }
        Ok(texts)
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "accounts of Windows have SIDs")]
    pub(super) fn sid_of(&self, _account: &str) -> Done<Option<String>> {
        Ok(None)
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Windows has such a right")]
    pub(super) fn let_log_on(&self, _name: &str, _accounts: &[String], _dry_run: bool) -> Done<Vec<String>> {
        Ok(Vec::new())
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Windows has such rights")]
    pub(super) fn log_on_rights(&self) -> Done<Option<LogOnRights>> {
        Ok(None)
    }

    /// An init script passes on what it is started with.
    pub(super) fn search_path(&self) -> Option<String> {
        let Kind::Systemd { .. } = self.kind else { return None };
        let said = commands::run(&self.systemctl(&["show-environment"]), ANSWER).ok()?.stdout;
        said.lines().find_map(|line| line.strip_prefix("PATH=")).map(str::to_owned)
    }

    pub(super) fn control(&self, name: &str, code: u32) -> Done {
        let signal = match (self.kind, code) {
            (Kind::Systemd { .. }, 6) => "--signal=HUP",
            (Kind::Systemd { .. }, 128) => "--signal=USR1",
            (Kind::Systemd { .. }, 129) => "--signal=USR2",
            (kind, _) => {
                let why = if kind == Kind::Init {
                    "an init script takes none"
                } else {
                    "systemd knows 6, 128 and 129"
                };
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("there is no control {code} for {name} here: {why}"),
                ));
            }
        };
        self.must_be_there(name)?;
        self.allowed("sending a control to a service")?;
        commands::succeed(&self.systemctl(&["kill", "--kill-who=main", signal, name]), ANSWER).map(drop)
    }

    pub(super) fn facts(&self, name: &str) -> Done<Vec<Fact>> {
        let missing = || Error::new(ErrorKind::NotInstalled, format!("there is no service {name}"));
        match self.kind {
            Kind::Systemd { .. } => {
                let said =
                    commands::succeed(&self.systemctl(&["show", unit_facts::PROPERTIES, name]), ANSWER)?;
                unit_facts::read(&said).ok_or_else(missing)
            }
            Kind::Init => {
                let status = self.status(name)?;
                if status.state == NativeState::NotInstalled {
                    return Err(missing());
                }
                let mut facts = Facts::default();
                facts.add("name", name);
                facts.add("state", status.state.as_str());
                facts.add_some("process", status.pid);
                facts.add("file", self.path(name).display().to_string());
                Ok(facts.0)
            }
        }
    }

    pub(super) fn start(&self, name: &str, _arguments: &[&str], wait: Duration) -> Done {
        self.must_be_there(name)?;
        self.allowed("starting a service")?;
        match self.kind {
            Kind::Systemd { .. } => {
                // Returns when it is ready, or has failed.
                commands::succeed(&self.systemctl(&["start", name]), wait).map(drop)
            }
            Kind::Init => {
                // The script looks itself whether it stays, and shows what the program says.
                let script = self.path(name).to_string_lossy().into_owned();
                let done = commands::run(&[&script, "start"], wait)?;
                if done.code == 0 {
                    return Ok(());
                }
                let said = done.stderr.trim_end();
                Err(Error::new(ErrorKind::Failed, format!("{name} does not stay up; it says:\n{said}")))
            }
        }
    }

    pub(super) fn stop(&self, name: &str, wait: Duration) -> Done {
        self.must_be_there(name)?;
        self.allowed("stopping a service")?;
        let path = self.path(name).to_string_lossy().into_owned();
        let words = match self.kind {
            Kind::Systemd { .. } => self.systemctl(&["stop", name]),
            Kind::Init => vec![path.as_str(), "stop"],
        };
        commands::succeed(&words, wait).map(drop)
    }

    fn must_be_there(&self, name: &str) -> Done {
        match self.ours(name) {
            Ok(None) => Err(Error::new(ErrorKind::NotInstalled, format!("there is no service {name}"))),
            // Whoever may start a service may start it with us, too.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    fn property(&self, name: &str, property: &str) -> Done<String> {
        let property = format!("--property={property}");
        let text = commands::succeed(&self.systemctl(&["show", "--value", &property, name]), ANSWER)?;
        Ok(text.trim().to_owned())
    }

    #[expect(clippy::unused_self, reason = "Windows' has to look")]
    pub(super) fn faults(&self, _name: &str) -> Vec<Fault> {
        Vec::new()
    }

    pub(super) fn status(&self, name: &str) -> Done<Status> {
        match self.kind {
            Kind::Systemd { .. } => {
                let words =
                    ["show", "--property=LoadState,ActiveState,MainPID,ExecMainStatus,UnitFileState", name];
                Ok(read_status(&commands::succeed(&self.systemctl(&words), ANSWER)?))
            }
            Kind::Init => {
                let path = self.path(name);
                let mut status =
                    Status { state: NativeState::NotInstalled, pid: None, code: None, at_boot: None };
                if path.exists() {
                    let output = commands::run(&[&path.to_string_lossy(), "status"], ANSWER)?;
                    status.state = if output.code == 0 { NativeState::Running } else { NativeState::Stopped };
                    status.pid =
                        output.stdout.split_whitespace().next_back().and_then(|pid| pid.parse().ok());
                }
                Ok(status)
            }
        }
    }
}

/// Whether this user's services run without a login; `loginctl enable-linger` leaves a file of the user's name.
fn lingers() -> bool {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    !user.is_empty() && Path::new("/var/lib/systemd/linger").join(user).exists()
}

/// By the system's own tool, whichever it has.
fn init_links(name: &str, boot: bool, changed: bool) -> Vec<Step> {
    if !changed {
        return Vec::new();
    }
    let has = |program: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    let step = |on: &[&str], off: &[&str]| {
        if boot { Step::run(on, Some(off)) } else { Step::run(off, None) }
    };
    if has("update-rc.d") {
        vec![step(&["update-rc.d", name, "defaults"], &["update-rc.d", "-f", name, "remove"])]
    } else if has("chkconfig") {
        vec![step(&["chkconfig", "--add", name], &["chkconfig", "--del", name])]
    } else if has("rc-update") {
        vec![step(&["rc-update", "add", name, "default"], &["rc-update", "del", name, "default"])]
    } else {
        // Whatever starts the machine can call the script.
        let script = format!("/etc/init.d/{name}");
        let what = if boot { "let" } else { "no more let" };
        vec![Step::Tell(format!("{what} your init run `{script} start` at boot, such as from /etc/rc.local"))]
    }
}

fn read_status(text: &str) -> Status {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let state = match (value("LoadState"), value("ActiveState")) {
        ("not-found", "inactive" | "") => NativeState::NotInstalled,
        (_, "active" | "reloading" | "refreshing") => NativeState::Running,
        (_, "activating") => NativeState::Starting,
        (_, "deactivating") => NativeState::Stopping,
        (_, "failed") => NativeState::Failed,
        _ => NativeState::Stopped,
    };
    let number = |name: &str| value(name).parse::<u32>().ok();
    Status {
        state,
        pid: number("MainPID").filter(|pid| *pid != 0),
        code: number("ExecMainStatus"),
        at_boot: match value("UnitFileState") {
            "enabled" | "enabled-runtime" => Some(true),
            "" => None,
            _ => Some(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(kind: Kind, directory: &Path) -> Native {
        Native { kind, directory: directory.to_owned() }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let native = native(Kind::Systemd { user: true }, dir.path());
        std::fs::write(dir.path().join("other.service"), "[Service]\nExecStart=/bin/true\n").expect("a unit");
        let definition = Definition::new("other", "/bin/true");
        let error = native.install(&definition, true).expect_err("it is somebody else's");
        assert_eq!(error.kind, ErrorKind::Foreign, "{error}");
        let error = native.uninstall("other", ANSWER, false).expect_err("it is somebody else's");
        assert_eq!(error.kind, ErrorKind::Foreign, "{error}");
        assert_eq!(native.uninstall("none", ANSWER, false), Ok(Vec::new()));
    }

    #[test]
    fn a_second_install_has_no_file_to_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let native = native(Kind::Init, dir.path());
        let definition = Definition::new("mine", "/bin/true");
        let steps = native.steps_to_install(&definition, None);
        assert!(matches!(&steps[0], Step::Write { executable: true, .. }), "{steps:?}");
        let text = unit::init_script(&definition);
        assert_eq!(native.steps_to_install(&definition, Some(&text)), Vec::new());
    }

    #[test]
    fn states_of_systemd() {
        let state = |load: &str, active: &str| {
            read_status(&format!(
                "LoadState={load}\nActiveState={active}\nMainPID=0\nExecMainStatus=3\nUnitFileState=enabled\n"
            ))
        };
        assert_eq!(state("not-found", "inactive").state, NativeState::NotInstalled);
        assert_eq!(state("loaded", "activating").state, NativeState::Starting);
        assert_eq!(state("loaded", "failed").code, Some(3));
        assert_eq!((state("loaded", "active").pid, state("loaded", "active").at_boot), (None, Some(true)));
    }
}
