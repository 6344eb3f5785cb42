//! The worker as systemd and a terminal start it.
#![cfg(unix)]

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const DEADLINE: Duration = Duration::from_secs(60);

struct Worker {
    child: Child,
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Worker {
    fn start(how: &str) -> Worker {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let child = Command::new(env!("CARGO_BIN_EXE_mainstay-service-helper"))
            .args(["--name", "mainstay-test-worker", "--how", how, "--file"])
            .arg(dir.path().join("notes"))
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .env_remove("WATCHDOG_PID")
            .env_remove("MAINSTAY_RUN")
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Worker { child, socket, dir }
    }

    /// Waits for a message that begins so.
    fn expect(&self, start: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while Instant::now() < until {
            let size =
                self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{start}: {error}; {seen:?}"));
            let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
            if text.starts_with(start) {
                return text;
            }
            seen.push(text);
        }
        panic!("no {start}, but {seen:?}");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it can be signalled");
    }

    fn notes(&self) -> String {
        std::fs::read_to_string(self.notes_path()).unwrap_or_default()
    }

    fn notes_path(&self) -> PathBuf {
        self.dir.path().join("notes")
    }

    fn wait_for_note(&self, note: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.notes().contains(note) {
            assert!(Instant::now() < until, "no {note:?} in {:?}", self.notes());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its exit code.
    fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end: {}", self.notes());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn systemd_hears_each_state_and_can_ask_for_everything() {
    let mut worker = Worker::start("");
    worker.expect("READY=1");
    worker.expect("WATCHDOG=1");
    worker.expect("WATCHDOG=1");
    worker.signal(Signal::HUP);
    worker.expect("RELOADING=1\nMONOTONIC_USEC=");
    worker.expect("READY=1");
    worker.signal(Signal::USR1);
    worker.wait_for_note("custom 128");
    worker.signal(Signal::TERM);
    worker.expect("STOPPING=1");
    assert_eq!(worker.end(), Some(0));
    let notes = worker.notes();
    assert!(notes.starts_with("start Systemd [\"--name\", "), "{notes}");
    assert!(notes.ends_with("reload\ncustom 128\nstop Asked\nend\n"), "{notes}");
}

#[test]
fn a_slow_start_shows_signs_of_life_and_can_be_stopped() {
    let mut worker = Worker::start("slow");
    let first = worker.expect("EXTEND_TIMEOUT_USEC=");
    let second = worker.expect("EXTEND_TIMEOUT_USEC=");
    assert_ne!(first, second, "the time asked for rises");
    worker.signal(Signal::TERM);
    worker.expect("STOPPING=1");
    assert_eq!(worker.end(), Some(0));
    assert!(worker.notes().ends_with("stopped while it started\n"), "{}", worker.notes());
}

#[test]
fn a_stop_that_takes_its_time_is_covered() {
    let mut worker = Worker::start("hangs");
    worker.expect("READY=1");
    worker.signal(Signal::TERM);
    worker.expect("STOPPING=1");
    worker.expect("EXTEND_TIMEOUT_USEC=");
    worker.expect("EXTEND_TIMEOUT_USEC=");
    assert_eq!(worker.end(), Some(0));
}

#[test]
fn a_failure_ends_with_its_code() {
    let mut worker = Worker::start("fails");
    assert_eq!(worker.end(), Some(42));
    let mut said = String::new();
    let stderr = worker.child.stderr.take();
    stderr.expect("it was piped").read_to_string(&mut said).expect("text");
    // Under systemd it goes to the journal where there is one.
    assert!(said.is_empty() || said.contains("it was told to fail"), "{said}");
}
