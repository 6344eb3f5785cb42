//! A stack of its own for a measurement.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running stack; taken down when dropped.
pub struct Stack {
    home: tempfile::TempDir,
    name: String,
}

/// A program beside this one.
pub fn program(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap_or_default();
    me.with_file_name(name)
}

impl Stack {
    /// Writes the file and runs `mainstay up -d`. Returns the time that took.
    pub fn up(config: &str) -> Result<(Stack, Duration), String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let stack = Stack { home, name: "bench".to_owned() };
        std::fs::write(stack.file(), format!("name = \"bench\"\n{config}"))
            .map_err(|error| error.to_string())?;
        let file = stack.file();
        let started = Instant::now();
        let status = stack
            .mainstay(&["up", "-d", "-f", &file.to_string_lossy()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("cannot start mainstay: {error}"))?;
        if status.success() { Ok((stack, started.elapsed())) } else { Err(format!("mainstay up: {status}")) }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("mainstay.toml")
    }

    /// Where the stack's logs are.
    pub fn log(&self, service: &str) -> PathBuf {
        self.home.path().join(&self.name).join("log").join(format!("{service}.log"))
    }

    /// A command of Mainstay on this stack.
    pub fn mainstay(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("mainstay"));
        command.args(args).env("MAINSTAY_HOME", self.home.path()).stdin(Stdio::null());
        command
    }

    /// `mainstay status --json` of this stack.
    pub fn status(&self) -> Result<Value, String> {
        let output = self
            .mainstay(&["status", "--json", "-s", &self.name])
            .output()
            .map_err(|error| error.to_string())?;
        let all: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("status: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        all["stacks"].get(0).cloned().ok_or_else(|| "status shows no stack".to_owned())
    }

    /// The pids of keeper and daemon.
    pub fn own_pids(&self) -> Result<Vec<u32>, String> {
        let status = self.status()?;
        ["keeper", "daemon"]
            .iter()
            .map(|who| {
                status[who]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).ok_or(format!("no {who}"))
            })
            .collect()
    }

    /// The pid of a service's process.
    pub fn pid(&self, service: &str) -> Result<Option<u32>, String> {
        let status = self.status()?;
        let services = status["services"].as_array().cloned().unwrap_or_default();
        Ok(services
            .iter()
            .find(|found| found["name"] == service)
            .and_then(|found| found["pid"].as_u64())
            .and_then(|pid| u32::try_from(pid).ok()))
    }

    /// `mainstay down`, and the time it took.
    pub fn down(&self) -> Result<Duration, String> {
        let started = Instant::now();
        let status = self
            .mainstay(&["down", "-s", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        if status.success() { Ok(started.elapsed()) } else { Err(format!("mainstay down: {status}")) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.down();
    }
}
