//! A process has the settings that were asked for, or there is no process and the reason why.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Run, Stack, directory, is_root, stacks};
use mainstay_sys::container::Kind;
use mainstay_sys::spawn::{Rlimit, Settings, SpawnErrorKind};

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {text}")).trim()
}

fn session() -> Stack {
    Stack::open(Kind::Session).expect("sessions can be had everywhere")
}

fn limit(name: &str, soft: u64, hard: u64) -> Rlimit {
    Rlimit { name: name.to_owned(), soft, hard: Some(hard) }
}

/// Nothing may be left of a start that failed.
#[track_caller]
fn refused(run: &Run<'_>, words: &[&str]) {
    let error = run.start(None).expect_err("it cannot start");
    assert_eq!(error.kind, SpawnErrorKind::Setting, "{error}");
    for word in words {
        assert!(error.message.contains(word), "no {word:?} in: {error}");
    }
    // The one before it may be on its way out.
    common::until("the container is empty", || run.container.is_empty().expect("it can be asked"));
}

#[test]
fn priority_processors_limits_and_umask_hold() {
    for stack in stacks() {
        let container = stack.container("a");
        let mut run = Run::helper(&container, &["show"]);
        let plain = run.output();
        run.settings = Settings {
            nice: Some(7),
            cpus: vec![0, 4000],
            rlimits: vec![limit("nofile", 100, 200), limit("core", 0, 0), limit("nproc", 3000, 4000)],
            umask: Some(0o027),
            ..Settings::default()
        };
        let text = run.output();
        assert_eq!(line(&text, "nice "), "7");
        assert_eq!(line(&text, "Cpus_allowed_list:"), "0", "the one that is not there is passed over");
        assert_eq!(line(&text, "Umask:"), "0027");
        assert_eq!(line(&text, "Max open files:"), "100 200");
        assert_eq!(line(&text, "Max core file size:"), "0 0");
        assert_eq!(line(&text, "Max processes:"), "3000 4000");
        // And only for that one.
        run.settings = Settings::default();
        let after = run.output();
        for name in ["nice ", "Cpus_allowed_list:", "Umask:", "Max open files:", "Max processes:"] {
            assert_eq!(line(&after, name), line(&plain, name));
        }
    }
}

#[test]
fn a_soft_limit_alone_leaves_the_hard_one() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    let plain = run.output();
    let hard = line(&plain, "Max open files:").split(' ').nth(1).expect("two numbers").to_owned();
    run.settings.rlimits = vec![Rlimit { name: "nofile".into(), soft: 77, hard: None }];
    assert_eq!(line(&run.output(), "Max open files:"), format!("77 {hard}"));
    run.settings.rlimits = vec![Rlimit { name: "core".into(), soft: 9, hard: Some(8) }];
    refused(&run, &["rlimits.core = 9 (hard 8)", "the soft limit is above the hard one"]);
}

#[test]
fn what_cannot_be_had_is_named() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    run.settings.cpus = vec![4000, 4001];
    refused(&run, &["cpu_affinity: none of the processors 4000-4001 may be used here; there are 0"]);
    run.settings = Settings { rlimits: vec![limit("nofiles", 1, 1)], ..Settings::default() };
    refused(&run, &["rlimits.nofiles: there is no such limit"]);
    run.settings = Settings { rlimits: vec![limit("nofile", u64::MAX, u64::MAX)], ..Settings::default() };
    refused(&run, &["rlimits.nofile = unlimited is refused"]);
    let dir = directory();
    run.settings = Settings { stdin: Some(dir.path().join("none")), ..Settings::default() };
    refused(&run, &["stdin: there is no file", "none"]);
    run.settings = Settings { stdin: Some(dir.path().to_owned()), ..Settings::default() };
    refused(&run, &["is a directory"]);
}

#[test]
fn what_only_root_may_is_refused_to_others() {
    if !is_root() {
        eprintln!("what_only_root_may_is_refused_to_others skipped: only root can become somebody else");
        return;
    }
    // The account comes last, so that root's rights still count for what is set.
    let dir = directory();
    let helper = common::reachable_helper(dir.path());
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &[&helper, "show"]);
    run.user = Some("nobody".to_owned());
    run.settings = Settings { nice: Some(-5), umask: Some(0o77), ..Settings::default() };
    let text = run.output();
    assert_eq!((line(&text, "nice "), line(&text, "Umask:")), ("-5", "0077"));
    assert!(line(&text, "Uid:").starts_with("65534"));
    // The file is opened as the account.
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "for root\n").expect("it can be written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    run.settings = Settings { stdin: Some(secret), ..Settings::default() };
    refused(&run, &["stdin: ", "secret may not be read by nobody"]);
}

#[test]
fn groups_are_those_asked_for() {
    if !is_root() {
        eprintln!("groups_are_those_asked_for skipped: only root can change groups");
        return;
    }
    let dir = directory();
    let helper = common::reachable_helper(dir.path());
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &[&helper, "show"]);
    run.user = Some("nobody".to_owned());
    run.settings.group = Some("daemon".to_owned());
    let text = run.output();
    assert_eq!(line(&text, "Gid:"), "1\t1\t1\t1");
    assert!(line(&text, "Groups:").split(' ').any(|group| group == "1"), "{text}");
    run.settings.supplementary_groups = Some(vec!["54321".into(), "root".into()]);
    let text = run.output();
    assert_eq!(line(&text, "Gid:"), "1\t1\t1\t1");
    assert_eq!(line(&text, "Groups:"), "0 54321");
    run.settings.supplementary_groups = Some(Vec::new());
    assert_eq!(line(&run.output(), "Groups:"), "");
    // Without a user it is ours, in another group.
    run.user = None;
    run.settings = Settings { group: Some("54321".into()), ..Settings::default() };
    let text = run.output();
    assert_eq!((line(&text, "Uid:"), line(&text, "Gid:")), ("0\t0\t0\t0", "54321\t54321\t54321\t54321"));
    run.settings.group = Some("no-such-group".into());
    let error = run.start(None).expect_err("there is none");
    assert_eq!(error.message, "there is no group \"no-such-group\" on this machine");
    run.user = Some("nobody:root".into());
    run.settings.group = Some("daemon".into());
    let error = run.start(None).expect_err("two groups");
    assert_eq!(error.message, "user \"nobody:root\" names a group, and `group` another one, \"daemon\"");
}

#[test]
fn standard_input_is_the_file() {
    let dir = directory();
    let file = dir.path().join("input");
    std::fs::write(&file, "first\nsecond\n").expect("it can be written");
    for stack in stacks() {
        let container = stack.container("a");
        let mut run = Run::helper(&container, &["cat"]);
        assert_eq!(run.output(), "", "it is empty otherwise");
        run.settings.stdin = Some(file.clone());
        assert_eq!(run.output(), "first\nsecond\n");
    }
}

/// Neither the keeper nor the process waits for who writes to a pipe, and its end is no end of the input.
#[test]
fn standard_input_can_be_a_named_pipe() {
    let dir = directory();
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600))
        .expect("it can be made");
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["cat"]);
    run.settings.stdin = Some(pipe.clone());
    let (process, mut output) = run.captured();
    for word in ["one", "two"] {
        std::fs::write(&pipe, format!("{word}\n")).expect("it is read");
        output.until_line(word);
    }
    assert!(mainstay_sys::process::is_alive(&process.id));
    common::kill_and_wait(&container);
}
