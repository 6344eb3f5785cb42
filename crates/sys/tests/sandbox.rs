//! What a sandboxed process cannot do, tried by real processes.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test says why it is skipped")]

mod common;

use common::{Run, Stack, directory, is_root, stacks};
use mainstay_sys::container::Kind;
use mainstay_sys::spawn::{Sandbox, Settings, SpawnErrorKind};

fn session() -> Stack {
    Stack::open(Kind::Session).expect("sessions can be had everywhere")
}

/// What a shell says in this sandbox, as `user`.
#[track_caller]
fn shell(stack: &Stack, user: Option<&str>, sandbox: Sandbox, script: &str) -> String {
    let container = stack.container("a");
    let mut run = Run::new(&container, &["/bin/sh", "-c", script]);
    run.user = user.map(str::to_owned);
    run.settings = Settings { sandbox: Some(sandbox), ..Settings::default() };
    run.working_dir = Some("/".into());
    run.output().trim().to_owned()
}

fn not_root(test: &str) -> bool {
    if !is_root() {
        eprintln!("{test} skipped: only root can close a sandbox of this kind");
    }
    !is_root()
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn paths_are_closed_opened_and_hidden_for_root_too() {
    if not_root("paths_are_closed_opened_and_hidden_for_root_too") {
        return;
    }
    let dir = directory();
    let path = |name: &str| dir.path().join(name).to_str().expect("it is text").to_owned();
    for name in ["closed/open", "hidden"] {
        std::fs::create_dir_all(path(name)).expect("it can be made");
    }
    std::fs::write(path("hidden/secret"), "x").expect("it can be written");
    std::fs::write(path("file"), "x").expect("it can be written");
    let sandbox = Sandbox {
        read_only_paths: vec![path("closed"), "-/nowhere".to_owned()],
        read_write_paths: vec![path("closed/open")],
        inaccessible_paths: vec![path("hidden"), path("file")],
        ..Sandbox::default()
    };
    let script = format!(
        "cd {0}; (echo x > closed/a) 2>/dev/null || echo closed; echo x > closed/open/b && echo open; \
         ls hidden | wc -l; (cat file) 2>/dev/null || echo no file; echo x > beside && echo beside",
        dir.path().display()
    );
    for stack in stacks() {
        let said = shell(&stack, None, sandbox.clone(), &script);
        assert_eq!(said.lines().collect::<Vec<_>>(), ["closed", "open", "0", "no file", "beside"]);
        // The files themselves are as they were, and nothing is mounted for anybody else.
        assert!(!dir.path().join("closed/a").exists() && dir.path().join("closed/open/b").exists());
        assert_eq!(std::fs::read_to_string(path("file")).expect("for us it is there"), "x");
        assert_eq!(std::fs::read_to_string(path("hidden/secret")).expect("for us it is there"), "x");
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("it can be read");
        assert!(!mounts.contains(dir.path().to_str().expect("it is text")), "{mounts}");
    }
}

#[test]
fn a_closed_root_leaves_what_is_opened_and_its_own_tmp() {
    if not_root("a_closed_root_leaves_what_is_opened_and_its_own_tmp") {
        return;
    }
    let name = common::unique("tmp");
    let outside = std::path::Path::new("/tmp").join(&name);
    std::fs::write(&outside, "x").expect("it can be written");
    let sandbox = Sandbox {
        private_tmp: true,
        read_only_paths: owned(&["/"]),
        read_write_paths: owned(&["-/dev", "-/proc", "-/sys"]),
        ..Sandbox::default()
    };
    let script = format!(
        "ls /tmp | wc -l; echo x > /tmp/mine && echo tmp; (echo x > /etc/{name}) 2>/dev/null || echo closed; \
         (echo x > /var/tmp/{name}) && echo var; echo x > /dev/null && echo null; echo 0 > /proc/self/oom_score_adj && echo proc"
    );
    let said = shell(&session(), None, sandbox, &script);
    let mine = std::path::Path::new("/tmp/mine").exists();
    std::fs::remove_file(&outside).expect("it is ours");
    assert_eq!(said.lines().collect::<Vec<_>>(), ["0", "tmp", "closed", "var", "null", "proc"]);
    assert!(!mine && !std::path::Path::new("/var/tmp").join(name).exists());
}

#[test]
fn capabilities_stay_as_asked_for() {
    if not_root("capabilities_stay_as_asked_for") {
        return;
    }
    let stack = session();
    let show = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr -d '\\t' | tr '\\n' ' '";
    let bind = Sandbox { capabilities: Some(owned(&["CAP_NET_BIND_SERVICE"])), ..Sandbox::default() };
    let wanted = "CapInh:0000000000000400 CapPrm:0000000000000400 CapEff:0000000000000400 \
                  CapBnd:0000000000000400 CapAmb:0000000000000400 NoNewPrivs:0 Seccomp:0";
    assert_eq!(shell(&stack, Some("nobody"), bind.clone(), show), wanted, "for another account");
    assert_eq!(shell(&stack, None, bind, show), wanted, "and for root");
    let none = Sandbox { capabilities: Some(Vec::new()), no_new_privileges: true, ..Sandbox::default() };
    let said = shell(&stack, None, none, show);
    assert!(said.contains("CapEff:0000000000000000 CapBnd:0000000000000000"), "{said}");
    assert!(said.contains("NoNewPrivs:1"), "{said}");
}

#[test]
fn administration_is_denied_and_all_else_works() {
    let sandbox = Sandbox { filter_system_calls: true, ..Sandbox::default() };
    let said = shell(
        &session(),
        None,
        sandbox,
        "unshare -m true 2>/dev/null || echo no view; mount -t tmpfs x /mnt 2>/dev/null || echo no mount; \
         ls / > /dev/null && echo works; grep -E '^(NoNew|Seccomp:)' /proc/self/status | tr -d '\\t'",
    );
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["no view", "no mount", "works", "NoNewPrivs:1", "Seccomp:2"]
    );
}

#[test]
fn what_cannot_be_had_is_named() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    for (sandbox, words) in [
        (
            Sandbox { read_only_paths: owned(&["/none"]), ..Sandbox::default() },
            "sandbox.read_only_paths: /none is not there",
        ),
        (
            Sandbox { capabilities: Some(owned(&["CAP_FLY"])), ..Sandbox::default() },
            "there is no capability \"CAP_FLY\"",
        ),
        (
            Sandbox {
                inaccessible_paths: owned(&["/etc"]),
                read_write_paths: owned(&["/etc/passwd"]),
                ..Sandbox::default()
            },
            "/etc/passwd lies below /etc",
        ),
    ] {
        run.settings = Settings { sandbox: Some(sandbox), ..Settings::default() };
        let error = run.start(None).expect_err("it cannot start");
        assert_eq!(error.kind, SpawnErrorKind::Setting, "{error}");
        assert!(error.message.contains(words), "no {words:?} in: {error}");
    }
}
