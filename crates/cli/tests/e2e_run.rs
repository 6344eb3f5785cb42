//! `mainstay run`: programs in the background without a configuration; and what services say about themselves.

mod common;

use common::{Home, fixture, is_alive, pid, until};

#[test]
fn a_program_in_the_background() {
    let home = Home::new();
    let fixture = fixture().display().to_string();
    let said = home.ok(&["run", "--name", "job1", "--", &fixture, "lines", "--count", "5"]);
    assert!(said.starts_with("job1: in the background"), "{said}");
    let job = pid(&home.until_state("jobs", "job1", "running")["pid"]);
    let table = home.ok(&["status"]);
    assert!(table.starts_with("jobs: up ") && table.contains("job1"), "{table}");
    until("its lines", || (home.ok(&["logs", "job1"]).lines().count() == 5).then_some(()));

    // One that ends, beside it.
    home.ok(&["run", "--name", "job2", "--", &fixture, "exit", "0"]);
    home.until_state("jobs", "job2", "completed");
    home.ok(&["run", "--name", "job3", "--", &fixture, "exit", "4"]);
    home.until_state("jobs", "job3", "failed");
    assert!(is_alive(job));

    // A name that is in use is refused; one of a job that is over is free.
    let complaint = home.fails(1, &["run", "--name", "job1", "--", &fixture, "sleep"]);
    assert!(complaint.contains("job1"), "{complaint}");
    home.ok(&["run", "--name", "job2", "--", &fixture, "sleep"]);
    home.until_state("jobs", "job2", "running");

    let complaint = home.fails(1, &["run", "-n", "no", "--", "no-such-program-anywhere"]);
    assert!(complaint.contains("program not found"), "{complaint}");

    assert_eq!(home.ok(&["rm", "job1"]), "job1: removed\n");
    assert!(!is_alive(job));
    home.ok(&["down", "-s", "jobs"]);
}

#[test]
fn it_gets_the_environment_and_directory_of_the_shell() {
    let home = Home::new();
    let fixture = fixture().display().to_string();
    let sub = home.file("sub dir");
    std::fs::create_dir(&sub).expect("a directory");
    let mut run = home.command(&["run", "-n", "e1", "-e", "SET=a=b c", "-e", "EMPTY=", "--"]);
    run.args([&fixture, "env", "SET", "EMPTY", "OF_THE_SHELL", "MAINSTAY_HOME_X"])
        .env("OF_THE_SHELL", "ü \"quoted\"");
    assert!(run.output().expect("mainstay").status.success());
    home.until_state("jobs", "e1", "completed");
    assert_eq!(
        home.log("jobs", "e1"),
        "[\"SET\",\"a=b c\"]\n[\"EMPTY\",\"\"]\n[\"OF_THE_SHELL\",\"ü \\\"quoted\\\"\"]\n[\"MAINSTAY_HOME_X\",null]\n"
    );
    home.ok(&["run", "-n", "e2", "--cwd", "sub dir", "--", &fixture, "cwd"]);
    home.until_state("jobs", "e2", "completed");
    let cwd: String = serde_json::from_str(home.log("jobs", "e2").trim_end()).expect("JSON");
    assert_eq!(
        std::path::Path::new(&cwd).canonicalize().expect("a path"),
        sub.canonicalize().expect("a path")
    );
}

#[test]
fn arguments_arrive_exactly() {
    let home = Home::new();
    let fixture = fixture().display().to_string();
    let odd = ["a b", "", "\"", "\\", "a\\\"b", "tail\\", "100% %PATH%", "ä€😀", "*", "--flag=x y", "'"];
    let mut arguments = vec!["run", "-n", "args", "--", &fixture, "args"];
    arguments.extend(odd);
    home.ok(&arguments);
    home.until_state("jobs", "args", "completed");
    let log = home.log("jobs", "args");
    let seen: Vec<String> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(seen, odd);
}

#[test]
fn a_service_says_that_it_is_ready() {
    let home = Home::new();
    home.config(
        r#"
        name = "talk"
        [service.talker]
        command = [@fixture@, "call", @mainstay@, "notify"]
        ready = { notify = true }
        "#,
    );
    home.ok(&["up", "-d", "--wait"]);
    assert_eq!(home.service("talk", "talker")["state"], "ready");
    let complaint = home.fails(2, &["notify"]);
    assert!(complaint.contains("neither NOTIFY_SOCKET nor MAINSTAY_RUN is set"), "{complaint}");
}

#[test]
fn a_name_in_another_stack_is_pointed_at() {
    let home = Home::new();
    let fixture = fixture().display().to_string();
    home.ok(&["run", "-n", "job1", "--", &fixture, "sleep"]);
    home.config("name = \"shop\"\n[service.web]\ncommand = [@fixture@, \"sleep\"]\n");
    home.ok(&["up", "-d"]);
    let complaint = home.fails(3, &["stop", "-s", "shop", "job1"]);
    assert!(complaint.contains("did you mean `jobs/job1`, of another stack?"), "{complaint}");
    // The stack of this directory first, then the others.
    let table = home.ok(&["status"]);
    assert!(table.starts_with("shop: ") && table.contains("\njobs: "), "{table}");
}

#[test]
fn the_same_for_programs_as_readers() {
    let home = Home::new();
    let version: serde_json::Value = serde_json::from_str(&home.ok(&["version", "--json"])).expect("JSON");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(home.ok(&["version"]), format!("mainstay {}\n", env!("CARGO_PKG_VERSION")));
    let schema: serde_json::Value = serde_json::from_str(&home.ok(&["config", "schema"])).expect("JSON");
    assert!(schema.is_object());
    let complaint = home.fails(3, &["status", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&complaint).expect("JSON");
    assert_eq!(error["exit"], 3);
    assert!(home.ok(&["--help"]).contains("Usage: mainstay"));
    home.fails(2, &[]);
}
