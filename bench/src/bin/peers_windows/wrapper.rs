//! The three wrappers, set up as their documentation says.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use windows_service::service::{Service, ServiceAccess, ServiceState, ServiceStatus};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

type Done<T = ()> = Result<T, String>;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mainstay,
    Nssm,
    Shawl,
}

/// Where their programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub mainstay: PathBuf,
    pub nssm: PathBuf,
    pub shawl: PathBuf,
}

/// What a service is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The program; this one as `app` if absent.
    pub program: Option<PathBuf>,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(String, String)>,
    /// Rotated at this size, everything kept, in this directory.
    pub rotated: Option<(u64, PathBuf)>,
    /// Killed so long after Ctrl+C, and nothing else tried; each wrapper's own way if absent.
    pub killed_after: Option<Duration>,
    /// So many services of one wrapper, where it can have more than one.
    pub copies: usize,
}

/// An installed service; removed when it goes.
pub struct Installed {
    pub kind: Kind,
    pub name: String,
    programs: Programs,
    dir: tempfile::TempDir,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Mainstay, Kind::Nssm, Kind::Shawl];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Mainstay => "Mainstay",
            Kind::Nssm => "NSSM",
            Kind::Shawl => "Shawl",
        }
    }

    /// How its processes are called.
    pub fn process(self) -> &'static str {
        match self {
            Kind::Mainstay => "mainstay.exe",
            Kind::Nssm => "nssm.exe",
            Kind::Shawl => "shawl.exe",
        }
    }
}

fn run(program: &Path, arguments: &[OsString]) -> Done<String> {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("MAINSTAY_HOME")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{} {arguments:?}: {}", program.display(), String::from_utf8_lossy(&output.stderr)))
}

fn words(text: &[&dyn AsRef<OsStr>]) -> Vec<OsString> {
    text.iter().map(|word| word.as_ref().to_owned()).collect()
}

impl Installed {
    pub fn new(kind: Kind, programs: &Programs, name: &str, wanted: &Wanted) -> Done<Installed> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let installed = Installed { kind, name: format!("bench-{name}"), programs: programs.clone(), dir };
        match kind {
            Kind::Mainstay => installed.mainstay(wanted)?,
            Kind::Nssm => installed.nssm(wanted)?,
            Kind::Shawl => installed.shawl(wanted)?,
        }
        Ok(installed)
    }

    /// The program and its arguments.
    fn line(wanted: &Wanted) -> Done<Vec<OsString>> {
        let mut line = match &wanted.program {
            Some(program) => words(&[program]),
            None => words(&[&std::env::current_exe().map_err(|error| error.to_string())?, &"app"]),
        };
        line.extend(wanted.arguments.iter().cloned());
        Ok(line)
    }

    fn mainstay(&self, wanted: &Wanted) -> Done {
        let plain = wanted.environment.is_empty() && wanted.rotated.is_none();
        if plain && wanted.killed_after.is_none() && wanted.copies == 0 {
            let mut line = words(&[&"install", &"--start", &"manual", &self.name]);
            line.extend(Self::line(wanted)?);
            return run(&self.programs.mainstay, &line).map(drop);
        }
        let text = |word: &OsStr| serde_json::json!(word.to_string_lossy().replace('$', "$$")).to_string();
        let command: Vec<String> = Self::line(wanted)?.iter().map(|word| text(word)).collect();
        let mut file = format!("name = \"{}\"\n", self.name);
        for n in 1..wanted.copies {
            file.push_str(&format!("[service.copy-{n}]\ncommand = [{}]\n", command.join(", ")));
        }
        file.push_str(&format!("[service.{}]\ncommand = [{}]\n", self.name, command.join(", ")));
        if let Some(after) = wanted.killed_after {
            file.push_str(&format!(
                "stop = {{ steps = [{{ ctrl_c = \"{}ms\" }}, {{ kill = \"5s\" }}] }}\n",
                after.as_millis()
            ));
        }
        if let Some((size, _)) = &wanted.rotated {
            file.push_str(&format!(
                "log = {{ rotate = {{ size = \"{size}B\" }}, keep = {{ files = 100000 }}, compress = \"none\" }}\n"
            ));
        }
        let variables: Vec<String> = wanted
            .environment
            .iter()
            .map(|(name, value)| format!("{name} = {}", text(OsStr::new(value))))
            .collect();
        file.push_str(&format!("environment = {{ {} }}\n", variables.join(", ")));
        let path = self.dir.path().join("mainstay.toml");
        std::fs::write(&path, file).map_err(|error| error.to_string())?;
        run(&self.programs.mainstay, &words(&[&"install", &"--start", &"manual", &"-f", &path])).map(drop)
    }

    fn nssm(&self, wanted: &Wanted) -> Done {
        let mut line = words(&[&"install", &self.name]);
        line.extend(Self::line(wanted)?);
        run(&self.programs.nssm, &line)?;
        let set = |key: &str, values: &[String]| {
            let mut line = words(&[&"set", &self.name, &key]);
            line.extend(values.iter().map(OsString::from));
            run(&self.programs.nssm, &line).map(drop)
        };
        set("Start", &["SERVICE_DEMAND_START".to_owned()])?;
        if !wanted.environment.is_empty() {
            let all: Vec<String> =
                wanted.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            set("AppEnvironmentExtra", &all)?;
        }
        if let Some(after) = wanted.killed_after {
            // Windows and threads are passed over.
            set("AppStopMethodSkip", &["6".to_owned()])?;
            set("AppStopMethodConsole", &[after.as_millis().to_string()])?;
        }
        if let Some((size, dir)) = &wanted.rotated {
            set("AppStdout", &[dir.join("app.log").display().to_string()])?;
            for (key, value) in [("AppRotateFiles", 1), ("AppRotateOnline", 1), ("AppRotateBytes", *size)] {
                set(key, &[value.to_string()])?;
            }
        }
        Ok(())
    }

    fn shawl(&self, wanted: &Wanted) -> Done {
        let mut line = words(&[&"add", &"--name", &self.name]);
        let dir = wanted.rotated.as_ref().map_or(self.dir.path(), |(_, dir)| dir.as_path());
        line.extend(words(&[&"--log-dir", &dir]));
        if let Some((size, _)) = &wanted.rotated {
            let rotate = format!("bytes={size}");
            line.extend(words(&[
                &"--log-rotate",
                &rotate,
                &"--log-retain",
                &"100000",
                &"--log-cmd-as",
                &"app",
            ]));
        }
        if let Some(after) = wanted.killed_after {
            line.extend(words(&[&"--stop-timeout", &after.as_millis().to_string()]));
        }
        for (name, value) in &wanted.environment {
            line.extend(words(&[&"--env", &format!("{name}={value}")]));
        }
        line.push("--".into());
        line.extend(Self::line(wanted)?);
        run(&self.programs.shawl, &line).map(drop)
    }

    pub fn open(&self) -> Done<Service> {
        ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
            .and_then(|manager| manager.open_service(&self.name, ServiceAccess::ALL_ACCESS))
            .map_err(|error| format!("{}: {error:?}", self.name))
    }

    pub fn query(&self) -> Done<ServiceStatus> {
        self.open()?.query_status().map_err(|error| format!("{error:?}"))
    }

    /// Waits for a state; how long that took.
    pub fn until(&self, state: ServiceState, most: Duration) -> Done<Duration> {
        let begin = Instant::now();
        let service = self.open()?;
        while service.query_status().map_err(|error| format!("{error:?}"))?.current_state != state {
            if begin.elapsed() > most {
                return Err(format!("{} is not {state:?} after {} s", self.kind.name(), most.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(begin.elapsed())
    }

    /// Asks for its start; until it runs.
    pub fn start(&self) -> Done<Duration> {
        let begin = Instant::now();
        self.open()?
            .start::<&str>(&[])
            .map_err(|error| format!("{} does not start: {error:?}", self.kind.name()))?;
        self.until(ServiceState::Running, Duration::from_secs(60))?;
        Ok(begin.elapsed())
    }

    /// Asks for its stop; until it is over.
    pub fn stop(&self) -> Done<Duration> {
        let begin = Instant::now();
        // Some refuse it or answer late; the state is what counts.
        let _ = self.open()?.stop();
        self.until(ServiceState::Stopped, Duration::from_secs(60))?;
        Ok(begin.elapsed())
    }

    /// What Mainstay says of itself.
    fn mainstay_status(&self) -> Done<serde_json::Value> {
        let said = run(&self.programs.mainstay, &words(&[&"status", &"-s", &self.name, &"--json"]))?;
        let value: serde_json::Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        Ok(value["stacks"][0].clone())
    }

    /// The process of Mainstay that decides.
    pub fn mainstay_daemon(&self) -> Done<u64> {
        self.mainstay_status()?["daemon"]["pid"].as_u64().ok_or_else(|| "no daemon".to_owned())
    }

    /// The directory of Mainstay's logs.
    pub fn mainstay_log(&self) -> Done<PathBuf> {
        let log = self.mainstay_status()?["log_dir"].as_str().map(PathBuf::from);
        log.or_else(|| {
            std::env::var_os("LOCALAPPDATA")
                .map(|base| PathBuf::from(base).join("Mainstay").join(&self.name).join("log"))
        })
        .filter(|path| path.is_dir())
        .or_else(|| {
            let base = std::env::var_os("ProgramData")?;
            Some(PathBuf::from(base).join("Mainstay").join(&self.name).join("log"))
        })
        .ok_or_else(|| "no directory of logs".to_owned())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = match self.kind {
            Kind::Mainstay => {
                run(&self.programs.mainstay, &words(&[&"uninstall", &"--purge", &self.name])).map(drop)
            }
            _ => self.open().and_then(|service| service.delete().map_err(|error| format!("{error:?}"))),
        };
    }
}
