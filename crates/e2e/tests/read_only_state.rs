//! A state directory that cannot be written, from the beginning or from a moment on, or whose disk is full. Linux, with rights to mount.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mainstay_api::types::Stack as Status;
use mainstay_e2e::{Outcome, PATIENCE, Stack, eventually, skip};
use serde::Deserialize;

/// A mount namespace with the stack's state on a file system of its own. It goes with the process that holds it.
struct Mounts {
    stack: Stack,
    holder: Child,
}

#[derive(Deserialize)]
struct StatusOutput {
    stacks: Vec<Status>,
}

impl Mounts {
    fn new(config: &str) -> Option<Mounts> {
        let stack = Stack::new(config);
        let state = stack.state_dir();
        std::fs::create_dir_all(&state).unwrap();
        let script = "mount -t tmpfs -o size=16m,mode=700 tmpfs \"$0\" && echo mounted && exec sleep 3600";
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(&state)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let read = BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line);
        let mounts = Mounts { stack, holder };
        (read.is_ok() && line == "mounted\n").then_some(mounts)
    }

    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount", "--", program]);
        command
    }

    /// Everything that is opened from here on meets a read-only file system; what is open stays so.
    fn make_read_only(&self) {
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
        let done = self.inside("sh").args(["-c", script]).arg(self.stack.state_dir()).status();
        assert!(done.unwrap().success(), "cannot make it read-only");
    }

    fn make_writable(&self) {
        let done = self.inside("umount").arg(self.stack.state_dir()).status();
        assert!(done.unwrap().success(), "cannot make it writable");
    }

    /// Nothing more can be written there, not even what would fit into the last pages of files.
    fn fill(&self) {
        let script = "dd if=/dev/zero of=\"$0/fill\" bs=4096 2>/dev/null
            for file in daemon.log events.jsonl metrics/totals.jsonl; do yes >> \"$0/$file\" 2>/dev/null; done
            df --output=avail \"$0\" | tail -1";
        let done = self.inside("sh").args(["-c", script]).arg(self.stack.state_dir()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "0");
    }

    fn make_space(&self) {
        let done = self.inside("rm").arg(self.stack.state_dir().join("fill")).status();
        assert!(done.unwrap().success());
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let capture = tempfile::tempdir().unwrap();
        let (out, err) = (capture.path().join("out"), capture.path().join("err"));
        let plain = self.stack.command(args);
        let mut command = self.inside(&plain.get_program().to_string_lossy());
        command.args(plain.get_args()).stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        let status = command
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .status()
            .unwrap();
        let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Outcome { code: status.code(), stdout: read(out), stderr: read(err) }
    }

    fn up(&self) -> Outcome {
        self.run(&["up", "-d", "-f", &self.stack.file().to_string_lossy()])
    }

    fn status(&self) -> Option<Status> {
        let outcome = self.run(&["status", "--json", "-s", "t"]);
        let output: StatusOutput = serde_json::from_str(&outcome.stdout).ok()?;
        output.stacks.into_iter().next()
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        self.run(&["down", "-s", "t"]);
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

const CONFIG: &str = "[service.a]\ncommand = [\"FIXTURE\", \"sleep\"]\n\
    [service.b]\ncommand = [\"FIXTURE\", \"exit\", \"1\", \"--after\", \"200\"]\n";

#[test]
fn a_start_is_refused_in_words_and_a_running_stack_goes_on() {
    if cfg!(windows) {
        skip!("it needs Linux's mounts");
    }
    let Some(mounts) = Mounts::new(CONFIG) else { skip!("mounting is not allowed here") };

    mounts.make_read_only();
    let refused = mounts.up();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("state") && refused.stderr.contains("Read-only"), "{refused:?}");
    assert_eq!(mainstay_e2e::running(mounts.stack.fixture()), Vec::<u32>::new());

    mounts.make_writable();
    mounts.up().expect_success();
    let a = |status: &Status| status.services.iter().find(|s| s.name.as_str() == "a").unwrap().pid;
    let restarts =
        |status: &Status| status.services.iter().find(|s| s.name.as_str() == "b").unwrap().restarts;
    let before = eventually("a runs", || mounts.status().filter(|status| a(status).is_some()));

    mounts.make_read_only();
    // Restarts go on, commands work, a daemon is replaced: nothing of it needs the disk.
    eventually("b is restarted", || mounts.status().filter(|now| restarts(now) > restarts(&before)));
    mounts.run(&["stop", "b", "-s", "t"]).expect_success();
    mounts.run(&["start", "b", "--no-wait", "-s", "t"]).expect_success();
    mainstay_e2e::kill(before.daemon.pid);
    let after = eventually("a new daemon", || mounts.status().filter(|now| now.daemons_before == 1));
    assert_eq!(a(&after), a(&before), "a was restarted; waited up to {PATIENCE:?}");
    mounts.run(&["down", "-s", "t"]).expect_success();
    assert_eq!(mainstay_e2e::running(mounts.stack.fixture()), Vec::<u32>::new());
}

#[test]
fn a_full_disk_costs_no_daemon_and_events_go_on_when_there_is_space() {
    if cfg!(windows) {
        skip!("it needs Linux's mounts");
    }
    let Some(mounts) = Mounts::new(CONFIG) else { skip!("mounting is not allowed here") };
    mounts.up().expect_success();
    let restarts =
        |status: &Status| status.services.iter().find(|s| s.name.as_str() == "b").unwrap().restarts;
    let events = || mounts.run(&["events", "-s", "t", "-n", "100000"]).stdout.lines().count();
    eventually("b is restarted", || mounts.status().filter(|now| restarts(now) > 0));
    // Now there is a file of counters.
    mounts.run(&["metrics", "-s", "t"]).expect_success();

    mounts.fill();
    // The daemon has something to write, and then to say that it cannot.
    let before = mounts.status().unwrap();
    eventually("b is restarted on", || {
        mounts.run(&["metrics", "-s", "t"]);
        mounts.status().filter(|now| restarts(now) > restarts(&before) + 2)
    });
    let full = mounts.status().unwrap();
    assert_eq!(full.daemons_before, 0, "{}", full.daemon_reason);
    let told = events();

    mounts.make_space();
    eventually("events are written again", || (events() > told).then_some(()));
    assert_eq!(mounts.status().unwrap().daemons_before, 0);
    mounts.run(&["down", "-s", "t"]).expect_success();
}
