//! Links, endpoints, and Mainstay's own processes.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{HELPER, PATIENCE, Stack, directory, is_root, until};
use mainstay_sys::container::Kind;
use mainstay_sys::dirs::{self, Dirs};
use mainstay_sys::{endpoint, link, own, process};

fn arguments(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

#[test]
fn a_keeper_talks_over_its_link() {
    let dir = directory();
    let log = dir.path().join("log");
    let (mut ours, theirs) = link::pair().expect("a pair can be had");
    let stderr = File::create(&log).expect("it can be made");
    let id = own::spawn_keeper(Path::new(HELPER), &arguments(&["link"]), theirs, stderr).expect("it starts");
    let mut line = || ours.read_line(PATIENCE).expect("a line comes");
    assert_eq!(line().as_deref(), Some("stdin /dev/null"), "the link does not stay where children find it");
    ours.write_all(b"one\ntwo\n").expect("it is taken");
    let mut line = || ours.read_line(PATIENCE).expect("a line comes");
    assert_eq!(line().as_deref(), Some("heard one"));
    assert_eq!(line().as_deref(), Some("heard two"));
    assert!(process::is_alive(&id));
    let session = std::fs::read_to_string(format!("/proc/{}/stat", id.pid)).expect("it is there");
    let fields: Vec<&str> =
        session[session.rfind(')').expect("a name") + 1..].split_ascii_whitespace().collect();
    assert_eq!(fields[3], id.pid.to_string(), "it has a session of its own");
    // Nobody answers in time.
    let start = Instant::now();
    let error = ours.read_line(Duration::from_millis(50)).expect_err("nothing comes");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(process::kill(&id).expect("it can be killed"));
    assert_eq!(ours.read_line(PATIENCE).expect("the end is no error"), None);
    ours.wait_closed();
    until("it is gone", || !process::is_alive(&id));
    assert!(!process::kill(&id).expect("gone is no error"));
}

#[test]
fn a_daemon_is_our_child_and_belongs_to_no_run() {
    let (mut ours, theirs) = link::pair().expect("a pair can be had");
    let stack = Stack::open(Kind::Session).expect("sessions can be had everywhere");
    let null = File::options().write(true).open("/dev/null").expect("it is there");
    let daemon = own::spawn_daemon(Path::new(HELPER), &arguments(&["link"]), theirs, null, stack.root());
    let daemon = daemon.expect("it starts");
    assert!(ours.read_line(PATIENCE).expect("a line comes").is_some());
    let environment = std::fs::read(format!("/proc/{}/environ", daemon.pid)).expect("it is ours");
    assert!(!environment.split(|&byte| byte == 0).any(|entry| entry.starts_with(b"MAINSTAY_RUN=")));
    drop(ours);
    until("it ends with its link", || !process::is_alive(&daemon.id));
    let (_ours, theirs) = link::pair().expect("a pair can be had");
    let null = File::options().write(true).open("/dev/null").expect("it is there");
    let error = own::spawn_daemon(Path::new("/no/such/program"), &[], theirs, null, stack.root());
    assert_eq!(error.expect_err("it cannot start").kind(), io::ErrorKind::NotFound);
}

#[test]
fn lines_are_bounded() {
    let (mut ours, theirs) = link::pair().expect("a pair can be had");
    let mut theirs = theirs.into_link().expect("it is a link");
    theirs.write_all(&vec![b'x'; link::MAX_LINE + 10]).expect("it is taken");
    let error = ours.read_line(PATIENCE).expect_err("it does not end");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let (mut ours, theirs) = link::pair().expect("a pair can be had");
    let mut theirs = theirs.into_link().expect("it is a link");
    theirs.write_all(b"\xff\n").expect("it is taken");
    let error = ours.read_line(PATIENCE).expect_err("it is no text");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// All three, several times; and an ignored one stays ignored.
#[test]
fn signals_that_ask_to_end() {
    let mut child = Command::new(HELPER)
        .arg("terminate")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut line = || lines.next().expect("a line comes").expect("it is text");
    assert_eq!(line(), "ready");
    let send = |name: &str| {
        let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(sent.expect("it can be sent").success());
    };
    for name in ["TERM", "INT", "HUP", "TERM", "TERM"] {
        send(name);
        assert_eq!(line(), format!("SIG{name}"));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");

    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" terminate", HELPER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut line = || lines.next().expect("a line comes").expect("it is text");
    assert_eq!(line(), "ready");
    for name in ["HUP", "TERM"] {
        let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(sent.expect("it can be sent").success());
    }
    assert_eq!(line(), "SIGTERM");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had")
}

fn dirs_in(base: &Path) -> Dirs {
    Dirs { run: base.join("run"), state: base.join("state"), log: base.join("log") }
}

#[test]
fn the_endpoint_answers_its_owner() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = directory();
    // Longer than a socket's path may be.
    let dirs = dirs_in(&dir.path().join("x".repeat(120)));
    let address = endpoint::address(&dirs, "shop");
    assert_eq!(address.to_string(), dirs.run.join("api.sock").display().to_string());
    runtime().block_on(async {
        let error = endpoint::connect(&address).await.expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        dirs::create_private(&dirs.run).expect("it can be made");
        let error = endpoint::connect(&address).await.expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        // Twice: the second replaces what the first one, killed, has left.
        for _ in 0..2 {
            let mut listener = endpoint::Listener::bind(&address).expect("it can be bound");
            let client = tokio::spawn({
                let address = address.clone();
                async move {
                    let mut stream = endpoint::connect(&address).await.expect("somebody is there");
                    assert!(stream.peer().starts_with(&process::own_user()), "{}", stream.peer());
                    stream.write_all(b"hello").await.expect("it is taken");
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).await.expect("it answers");
                    answer
                }
            });
            let mut stream = listener.accept().await.expect("somebody comes");
            assert!(stream.peer().starts_with(&process::own_user()), "{}", stream.peer());
            let mut question = [0; 5];
            stream.read_exact(&mut question).await.expect("it asks");
            assert_eq!(&question, b"hello");
            stream.write_all(b"world").await.expect("it is taken");
            stream.shutdown().await.expect("it can be ended");
            drop(stream);
            assert_eq!(client.await.expect("it ends"), b"world");
        }
        let error = endpoint::connect(&address).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dirs.run.join("api.sock")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files: Vec<_> = std::fs::read_dir(&dirs.run).expect("it is there").collect();
        assert_eq!(files.len(), 1, "nothing else is left: {files:?}");
    });
}

/// Where somebody has opened the directory up, the socket still answers its owner only.
#[test]
fn the_endpoint_drops_strangers() {
    if !is_root() {
        eprintln!("the_endpoint_drops_strangers skipped: only root can become somebody else");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let dirs = dirs_in(dir.path());
    let address = endpoint::address(&dirs, "shop");
    dirs::create_private(&dirs.run).expect("it can be made");
    let helper = common::reachable_helper(dir.path());
    let stack = Stack::open(Kind::Session).expect("sessions can be had everywhere");
    let container = stack.container("a");
    runtime().block_on(async {
        let mut listener = endpoint::Listener::bind(&address).expect("it can be bound");
        for (path, mode) in [(dirs.run.clone(), 0o755), (dirs.run.join("api.sock"), 0o666)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        let socket = dirs.run.join("api.sock").display().to_string();
        let mut run = common::Run::new(&container, &[&helper, "connect", &socket]);
        run.user = Some("nobody".to_owned());
        let (_, mut output) = run.captured();
        let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(accepted.is_err(), "a stranger is no connection");
        assert_eq!(output.until_end(), "connected\nclosed\n");
        let client =
            tokio::spawn(async move { endpoint::connect(&address).await.map(|stream| stream.peer()) });
        listener.accept().await.expect("we come");
        assert_eq!(client.await.expect("it ends").expect("it connects"), "root");
    });
}

#[test]
fn directories() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let path = dir.path().join("a/b/c");
    dirs::create_private(&path).expect("it can be made");
    for made in [&path, path.parent().expect("one above")] {
        let mode = std::fs::metadata(made).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", made.display());
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    dirs::create_private(&path).expect("it is there");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "it is made private");
    std::fs::write(dir.path().join("file"), "").expect("it can be written");
    assert!(dirs::create_private(&dir.path().join("file")).is_err());
    std::os::unix::fs::symlink(&path, dir.path().join("link")).expect("it can be made");
    let error = dirs::create_private(&dir.path().join("link")).expect_err("it is a link");
    assert!(error.to_string().contains("must be a directory of"), "{error}");
    for name in ["", ".", "..", "a/b", "a b", ".x", "ä", &"x".repeat(65)] {
        assert!(dirs::stack(name).is_err(), "{name:?}");
    }
}

/// The variables must be set before this process starts: so it starts itself again.
#[test]
fn directories_of_a_stack() {
    const CASE: &str = "MAINSTAY_SYS_TEST_CASE";
    let dir = directory();
    let Some(case) = std::env::var_os(CASE) else {
        let again = |case: &str, variables: &[(&str, &Path)]| {
            let own = std::env::current_exe().expect("we run");
            let mut command = Command::new(own);
            command.args(["--exact", "directories_of_a_stack", "--nocapture"]).env(CASE, case);
            for name in ["MAINSTAY_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
                command.env_remove(name);
            }
            assert!(command.envs(variables.iter().copied()).status().expect("it starts").success(), "{case}");
        };
        again("home", &[("MAINSTAY_HOME", dir.path())]);
        again("system", &[]);
        return;
    };
    let found = dirs::stack("shop").expect("there are some");
    if case == "home" {
        let base = std::path::PathBuf::from(std::env::var_os("MAINSTAY_HOME").expect("it was set"));
        assert_eq!(found, dirs_in(&base.join("shop")));
        for stack in ["zoo", "shop"] {
            dirs::create_private(&dirs::stack(stack).expect("there are some").state).expect("it can be made");
        }
        std::fs::create_dir(base.join("other")).expect("it can be made");
        assert_eq!(dirs::stacks(), ["shop", "zoo"]);
    } else if is_root() {
        let below = |base: &str| Path::new(base).join("mainstay/shop");
        assert_eq!(found, Dirs { run: below("/run"), state: below("/var/lib"), log: below("/var/log") });
    } else {
        assert!(found.state.ends_with(".local/state/mainstay/shop"));
        assert_eq!(found.run, found.state.join("run"));
    }
}

#[test]
fn files_are_replaced_whole() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let path = dir.path().join("plan.json");
    mainstay_sys::file::write_atomic(&path, b"one", true).expect("it can be written");
    mainstay_sys::file::write_atomic(&path, b"two", true).expect("it can be written");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"two");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let open = dir.path().join("open");
    mainstay_sys::file::write_atomic(&open, b"", false).expect("it can be written");
    assert_ne!(std::fs::metadata(&open).expect("it is there").permissions().mode() & 0o044, 0);
    let error = mainstay_sys::file::write_atomic(&dir.path().join("no/file"), b"", true);
    assert!(error.expect_err("there is no directory").to_string().starts_with("cannot write "));
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 2, "nothing else is left");
}

#[test]
fn identities() {
    let own = process::identity(std::process::id()).expect("we run");
    assert!(process::is_alive(&own));
    assert_eq!(own.boot, mainstay_sys::clock::boot_id());
    let other = process::ProcessId { start: own.start + 1, ..own.clone() };
    assert!(!process::is_alive(&other));
    assert!(!process::kill(&other).expect("it is not us"));
    let other = process::ProcessId { boot: "another".to_owned(), ..own };
    assert!(!process::is_alive(&other));
    assert!(!process::kill(&other).expect("it is not us"));
    assert!(process::identity(u32::MAX).is_none());
    let before = mainstay_sys::clock::monotonic_nanos();
    assert!(mainstay_sys::clock::monotonic_nanos() >= before);
}
