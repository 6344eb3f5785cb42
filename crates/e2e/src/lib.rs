//! Whole stacks with real processes: `mainstay` and `mainstay-fixture` as a user would run them.
//!
//! Every stack has a home of its own (`MAINSTAY_HOME` in a temporary directory) and a copy of the fixture under a name
//! of its own, by which all its processes are found again, whoever their parent is by then.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests panic, and say what they saw")]

mod clock;
pub mod installed;
mod processes;
mod stack;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use clock::Clock;
pub use processes::{end_all, kill, running};
pub use stack::{Outcome, Stack};

/// Long enough for anything on a busy machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer; panics with `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that cargo built beside the tests. `cargo xtask test` builds them; by hand:
/// `cargo build -p mainstay-cli -p mainstay-fixture`.
pub fn program(name: &str) -> PathBuf {
    let mut dir = std::env::current_exe().unwrap();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    let path = dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is missing; build it: cargo build -p mainstay-cli -p mainstay-fixture",
        path.display()
    );
    path
}

/// The Go example, built by `cargo xtask test` to `target/go/<os>/api`.
pub fn go_example() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let built = format!("go/{}/api{}", std::env::consts::OS, std::env::consts::EXE_SUFFIX);
    me.ancestors().map(|dir| dir.join(&built)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("{built} is in no folder above {}; cargo xtask test builds it", me.display())
    })
}

/// A directory of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The whole answer to a GET, head and body; empty if nobody answers.
pub fn get(port: u16, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().unwrap_or_default()
}

/// Whether this runs under Wine, whose gaps are named by the tests that skip them.
pub fn is_wine() -> bool {
    cfg!(windows) && std::env::var_os("WINEPREFIX").is_some()
}

/// Says by name that a test was skipped, and why.
#[macro_export]
macro_rules! skip {
    ($why:expr) => {{
        println!("SKIPPED {}: {}", module_path!(), $why);
        return;
    }};
}
