//! A process has the settings that were asked for, or there is no process and the reason why.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version")]

mod windows;

use mainstay_sys::spawn::{Integrity, Privileges, Settings, SpawnErrorKind};
use windows::{Run, stack};

fn said(run: &Run<'_>) -> String {
    String::from_utf8_lossy(&run.output()).trim().to_owned()
}

#[test]
fn the_priority_class_and_processors_hold() {
    let root = stack();
    let container = root.container("a").expect("a container");
    let mut run = Run::helper(&container, &["class"]);
    // Documented for CreateProcessW; Wine takes the flags and forgets them.
    let skipped = windows::skipped_under_wine("priority classes are not given at creation");
    for (nice, class) in [(19, 0x40), (10, 0x4000), (0, 0x20), (-7, 0x8000), (-14, 0x80)] {
        run.settings = Settings { nice: Some(nice), ..Settings::default() };
        if skipped {
            run.start().expect("it starts all the same");
            continue;
        }
        assert_eq!(said(&run), format!("{class}"), "nice {nice}");
    }
    let mut run = Run::helper(&container, &["cpus"]);
    run.settings.cpus = vec![0, 63, 4000];
    assert_eq!(said(&run), "1", "those that are not there are passed over");
    run.settings.cpus = vec![4000];
    let error = run.start().expect_err("there is none");
    assert_eq!(error.kind, SpawnErrorKind::Setting);
    assert!(error.message.contains("cpu_affinity: none of the processors [4000]"), "{error}");
    windows::until("all have ended", || container.is_empty().expect("it can be asked"));
}

#[test]
fn standard_input_is_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("input");
    std::fs::write(&file, "first\nsecond\n").expect("written");
    let root = stack();
    let container = root.container("a").expect("a container");
    let mut run = Run::helper(&container, &["cat"]);
    assert_eq!(said(&run), "", "it is empty otherwise");
    run.settings.stdin = Some(file);
    assert_eq!(run.output(), b"first\nsecond\n");
    for (path, words) in
        [(dir.path().join("none"), "is not there"), (dir.path().to_owned(), "is a directory")]
    {
        run.settings.stdin = Some(path);
        let error = run.start().expect_err("it cannot be read");
        assert_eq!(error.kind, SpawnErrorKind::Setting);
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn privileges_are_gone_before_the_first_instruction() {
    let root = stack();
    let container = root.container("a").expect("a container");
    let mut run = Run::helper(&container, &["privileges"]);
    let all: Vec<String> = said(&run).split(' ').map(str::to_owned).collect();
    let (always, one) = ("SeChangeNotifyPrivilege".to_owned(), all.last().expect("one").clone());
    assert!(all.contains(&always) && one != always, "{all:?}");

    run.settings.privileges = Some(Privileges::Remove(vec![one.clone()]));
    let left: Vec<String> = said(&run).split(' ').map(str::to_owned).collect();
    assert_eq!(left, all.iter().filter(|name| **name != one).cloned().collect::<Vec<_>>());

    run.settings.privileges = Some(Privileges::Keep(vec!["SeNoSuchThingPrivilege".to_owned()]));
    assert_eq!(said(&run), always);
    run.rehearse().expect("it would start");
    windows::until("all have ended", || container.is_empty().expect("it can be asked"));
}

#[test]
fn a_level_that_the_account_has_not_is_refused_before_and_at_the_start() {
    let root = stack();
    let container = root.container("a").expect("a container");
    let mut run = Run::helper(&container, &["privileges"]);
    // No test runs as a service of the system.
    run.settings.integrity = Some(Integrity::System);
    for refused in [run.rehearse().err(), run.start().err()] {
        let error = refused.expect("refused");
        assert_eq!(error.kind, SpawnErrorKind::Setting);
        assert!(error.message.starts_with("integrity: \"system\" is above"), "{error}");
    }
    run.settings.integrity = Some(Integrity::Low);
    run.settings.privileges = Some(Privileges::Keep(Vec::new()));
    assert_eq!(said(&run), "SeChangeNotifyPrivilege");
}

#[test]
fn another_account_is_refused_where_the_own_one_may_not_and_that_says_what_is_missing() {
    let root = stack();
    let container = root.container("a").expect("a container");
    let mut run = Run::helper(&container, &["privileges"]);
    // No test runs as LocalSystem, and administrators do not have this privilege.
    for user in ["LocalService", r"NT SERVICE\shop@web", r"CORP\web$", r".\bob"] {
        run.user = Some(user.to_owned());
        for refused in [run.rehearse().err(), run.start().err()] {
            let error = refused.expect("refused");
            assert_eq!(error.kind, SpawnErrorKind::NotAllowed, "{user}: {error}");
            assert!(error.message.starts_with(&format!("cannot run as {user}: that takes Se")), "{error}");
            assert!(error.message.contains("SeAssignPrimaryTokenPrivilege"), "{error}");
        }
    }
    run.user = Some("LocalSystem".to_owned());
    let error = run.start().expect_err("it is not ours");
    assert_eq!(error.kind, SpawnErrorKind::User);
}
