//! Hooks: commands at the moments of a service's life.

mod common;

use common::{Home, is_alive, kill, pid, until};

const SHOP: &str = r#"
name = "hooked"

[service.api]
command = [@fixture@, "graceful", "0"]

[service.api.hooks]
before_start = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_SERVICE", "MAINSTAY_STACK"]
after_ready = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_REASON"]
after_exit = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_EXIT_CODE"]
"#;

#[test]
fn each_moment_has_its_command_and_the_log_its_output() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d", "--wait"]);
    let log = until("after_ready", || {
        let log = home.log("hooked", "api");
        log.contains(r#"["MAINSTAY_HOOK","after_ready"]"#).then_some(log)
    });
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text} in {log}"));
    assert!(at(r#"["MAINSTAY_SERVICE","api"]"#) < at("started"), "{log}");
    at(r#"["MAINSTAY_STACK","hooked"]"#);
    // The stack is down only when the last hook has ended.
    home.ok(&["down"]);
    let log = home.log("hooked", "api");
    assert!(log.contains(r#"["MAINSTAY_HOOK","after_exit"]"#), "{log}");
    let events = home.ok(&["events", "-s", "hooked"]);
    for words in ["before_start succeeded: exit code 0", "after_ready succeeded", "after_exit succeeded"] {
        assert!(events.contains(words), "no {words:?} in {events}");
    }
}

const LEAVING: &str = r#"
name = "leaving"

[service.api]
command = [@fixture@, "graceful", "0"]

[service.api.hooks]
before_stop = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_PID", "MAINSTAY_RAN_MS", "MAINSTAY_TIMEOUT_MS"]
after_exit = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_RAN_MS"]

[service.slow]
command = [@fixture@, "graceful", "0"]
hooks.before_stop = { command = [@fixture@, "--pid", "sleep"], timeout = "300ms" }
"#;

#[test]
fn a_stop_waits_for_its_hook_but_no_longer_than_that_may_take() {
    let home = Home::new();
    home.config(LEAVING);
    home.ok(&["up", "-d", "--wait"]);
    let process = pid(&home.service("leaving", "api")["pid"]);
    home.ok(&["stop", "api"]);
    let log = home.log("leaving", "api");
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text} in {log}"));
    assert!(at(r#"["MAINSTAY_HOOK","before_stop"]"#) < at("stopping"), "{log}");
    assert!(at(&format!(r#"["MAINSTAY_PID","{process}"]"#)) < at("stopping"), "{log}");
    assert!(at(r#"["MAINSTAY_TIMEOUT_MS","60000"]"#) < at("stopping"), "{log}");
    assert!(at("stopping") < at(r#"["MAINSTAY_HOOK","after_exit"]"#), "{log}");
    assert_eq!(log.matches(r#"["MAINSTAY_RAN_MS",""#).count(), 2, "{log}");

    home.ok(&["stop", "slow"]);
    assert_eq!(home.service("leaving", "slow")["state"], "stopped");
    let events = home.ok(&["events", "-s", "leaving"]);
    for words in ["before_stop succeeded: exit code 0", "before_stop failed: "] {
        assert!(events.contains(words), "no {words:?} in {events}");
    }
    home.ok(&["down"]);
}

const FAILING: &str = r#"
name = "failing"

[service.strict]
command = [@fixture@, "sleep"]
restart = "never"
hooks.before_start = [@fixture@, "exit", "3"]

[service.lenient]
command = [@fixture@, "sleep"]
hooks.before_start = { command = [@fixture@, "exit", "3"], required = false }

[service.slow]
command = [@fixture@, "sleep"]
restart = "never"
hooks.before_start = { command = [@fixture@, "sleep"], timeout = "300ms" }

[service.missing]
command = ["./no-such-program"]
restart = "never"
hooks.on_failure = [@fixture@, "env", "MAINSTAY_HOOK"]
"#;

#[test]
fn a_failure_is_told_and_keeps_from_the_start_if_it_is_required() {
    let home = Home::new();
    home.config(FAILING);
    home.ok(&["up", "-d"]);
    let reason = |name: &str| {
        let service = home.until_state("failing", name, "failed");
        service["reason"].as_str().expect("a reason").to_owned()
    };
    assert!(reason("strict").contains("before_start: exit code 3"), "{}", reason("strict"));
    assert!(reason("slow").contains("before_start: did not end in 300ms"), "{}", reason("slow"));
    reason("missing");
    home.until_state("failing", "lenient", "running");
    let failed = "before_start failed: exit code 3";
    until("the lenient one's event", || {
        home.ok(&["events", "--service", "lenient"]).contains(failed).then_some(())
    });
    until("on_failure", || {
        home.log("failing", "missing").contains(r#"["MAINSTAY_HOOK","on_failure"]"#).then_some(())
    });
    let explained = home.ok(&["explain", "strict"]);
    assert!(explained.contains("before_start"), "{explained}");
    home.ok(&["down"]);
}

const HANGING: &str = r#"
name = "hanging"

[service.api]
command = [@fixture@, "graceful", "0"]
start = "manual"
hooks.before_start = { command = [@fixture@, "--pid", "sleep"], timeout = "10m" }

[service.late]
command = [@fixture@, "graceful", "0"]
start = "manual"
hooks.before_start = [@fixture@, "--pid", "sleep", "--until", '@work@/go']
"#;

/// The processes of a service's hooks, as they said themselves.
fn hooks(home: &Home, service: &str) -> Vec<u32> {
    home.log("hanging", service).lines().filter_map(|line| line.strip_prefix("pid ")?.parse().ok()).collect()
}

#[test]
fn a_stop_ends_the_hook_and_a_new_daemon_runs_it_again() {
    let home = Home::new();
    let work = home.work();
    home.config(&HANGING.replace("@work@", &work.display().to_string()));
    home.ok(&["up", "-d"]);
    home.ok(&["start", "api", "--no-wait"]);
    let hook = until("the hook", || hooks(&home, "api").first().copied());
    assert!(is_alive(hook));
    let status = home.service("hanging", "api");
    assert_eq!(status["state"], "starting");
    assert!(status["waiting_for"].to_string().contains("hooks"), "{status}");
    home.ok(&["stop", "api"]);
    until("the hook's end", || (!is_alive(hook)).then_some(()));

    home.ok(&["start", "late", "--no-wait"]);
    until("the hook", || hooks(&home, "late").first().copied());
    kill(pid(&home.stack("hanging").expect("up")["daemon"]["pid"]));
    let all = until("the hook of the new daemon", || Some(hooks(&home, "late")).filter(|all| all.len() == 2));
    assert!(!is_alive(all[0]));
    std::fs::write(work.join("go"), "").expect("written");
    home.until_state("hanging", "late", "running");
    assert_eq!(hooks(&home, "late").len(), 2, "it was run again once");
    home.ok(&["down"]);
}

const ROTATING: &str = r#"
name = "rotating"

[service.api]
command = [@fixture@, "lines", "--count", "500"]
restart = "never"
log = { rotate = { size = "1KiB" }, keep = { files = 1000 }, compress = "none" }
hooks.on_rotation = [@fixture@, "env", "MAINSTAY_HOOK", "MAINSTAY_ROTATION", "MAINSTAY_LOG_FILE",
    "MAINSTAY_LOG_FIRST", "MAINSTAY_LOG_NUMBER"]
"#;

/// What hooks have said of closed files: from which number to which, and the path of the last one.
fn told_of_files(home: &Home) -> Vec<(u64, u64, String)> {
    let mut files: Vec<_> =
        std::fs::read_dir(home.log_dir("rotating")).expect("a directory").flatten().collect();
    // Closed ones in order, the active one last.
    files.sort_by_key(|file| (file.file_name() == "api.log", file.file_name()));
    let text: Vec<String> = files
        .iter()
        .filter(|file| file.path().extension().is_none_or(|ending| ending != "idx"))
        // One that is just being closed is read the next time.
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .collect();
    let value = |name: &str| -> Vec<String> {
        let start = format!("[\"{name}\",");
        let lines = text.iter().flat_map(|text| text.lines());
        lines
            .filter_map(|line| serde_json::from_str(line.strip_prefix(&start)?.strip_suffix(']')?).ok())
            .collect()
    };
    let number = |text: &String| text.parse().expect("a number");
    let (firsts, lasts) = (value("MAINSTAY_LOG_FIRST"), value("MAINSTAY_LOG_NUMBER"));
    let ranges = firsts.iter().map(number).zip(lasts.iter().map(number));
    ranges.zip(value("MAINSTAY_LOG_FILE")).map(|((first, last), file)| (first, last, file)).collect()
}

#[test]
fn each_closed_file_is_told_once_and_a_hooks_own_words_run_none() {
    let home = Home::new();
    home.config(ROTATING);
    home.ok(&["up", "-d"]);
    let told = until("files to be told of", || {
        let told = told_of_files(&home);
        told.last().is_some_and(|(_, last, _)| *last >= 2).then_some(told)
    });
    assert!(told.iter().all(|(.., file)| std::path::Path::new(file).is_file()), "{told:?}");
    // It is down when the last hook has ended, so none of them runs for ever.
    home.ok(&["down"]);
    let mut next = 1;
    for (first, last, file) in told_of_files(&home) {
        assert!(first == next && last >= first, "{first} to {last}, and {next} comes next");
        assert!(file.ends_with(&format!("api.log.{last:06}")), "{file}");
        next = last + 1;
    }
    let events = home.ok(&["events", "-s", "rotating"]);
    assert!(events.contains("on_rotation succeeded: exit code 0"), "{events}");
}

#[cfg(unix)]
const IMPATIENT: &str = r#"
name = "impatient"

[service.api]
command = [@fixture@, "graceful", "0"]
hooks.before_stop = [@fixture@, "sleep"]

[service.web]
command = [@fixture@, "graceful", "0"]
depends_on = { api = "started" }
hooks.before_stop = [@fixture@, "sleep"]
"#;

/// Ctrl+C once stops in order, and once more ends everything; who asks later why is told.
#[test]
#[cfg(unix)]
fn a_hook_that_a_second_ctrl_c_leaves_out_is_told() {
    let home = Home::new();
    home.config(IMPATIENT);
    let mut up = home.start(&["up"]);
    until("the stack", || home.stack("impatient"));
    home.until_state("impatient", "web", "running");
    common::signal(up.child.id(), "INT");
    until("the hook of web runs, and api waits for web", || {
        home.ok(&["events"]).contains("its before_stop hook comes first").then_some(())
    });
    common::signal(up.child.id(), "INT");
    up.until_end();
    let events = home.ok(&["events", "-s", "impatient"]);
    let forced = "everything is ended by force, mainstay up was told so twice; its before_stop hook is";
    for words in ["not run", "broken off"] {
        assert!(events.contains(&format!("{forced} {words}")), "no {words:?} in {events}");
    }
    let explained = home.run(&["explain", "api", "-s", "impatient"]).stdout;
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(explained.contains("its before_stop hook is not run"), "{explained}");
}
