//! Limits in whole stacks: a service that wants too much, and what is said of it.

mod common;

use common::{Home, until};
use serde_json::Value;

/// A service of the stack `bound`, as `mainstay status` has it.
fn service(home: &Home, name: &str) -> Value {
    let json: Value = serde_json::from_str(&home.ok(&["status", "-s", "bound", "--json"])).expect("JSON");
    let services = json["stacks"][0]["services"].as_array().expect("services").clone();
    services.into_iter().find(|service| service["name"] == name).expect("it is there")
}

/// The limit either holds, or it is said that it does not.
#[test]
fn a_service_at_its_limits_is_explained_or_it_is_said_that_they_do_not_hold() {
    let home = Home::new();
    let hog = if cfg!(unix) { "[\"tail\", \"/dev/zero\"]" } else { "[@fixture@, \"sleep\"]" };
    home.config(&format!(
        "name = \"bound\"\n\
         [service.hog]\ncommand = {hog}\nrestart = \"never\"\nstart = \"manual\"\nlimits = {{ memory = \"30MB\" }}\n\
         [service.many]\ncommand = [@fixture@, \"tree\", \"--depth\", \"1\", \"--width\", \"20\"]\n\
         restart = \"never\"\nlimits = {{ processes = 12 }}\n\
         [service.well]\ncommand = [@fixture@, \"sleep\"]\n"
    ));
    home.ok(&["up", "--detach"]);
    let many = until("it is started", || {
        Some(service(&home, "many")).filter(|it| !it["run"].is_null() || it["state"] == "failed")
    });
    if many["not_enforced"].as_array().is_some_and(Vec::is_empty) && cfg!(unix) {
        home.until_state("bound", "many", "failed");
        let text = home.ok(&["explain", "-s", "bound", "many"]);
        assert!(text.contains("Too many processes: limit 12 processes"), "{text}");
    } else if !many["not_enforced"].as_array().is_some_and(Vec::is_empty) {
        let text = home.ok(&["status", "-s", "bound", "many"]);
        assert!(text.contains("`processes` does not hold here"), "{text}");
    }
    assert_eq!(service(&home, "well")["not_enforced"], Value::Array(Vec::new()));
    // Not where the limit may fail to hold: the machine has other things to do with its memory.
    if cfg!(unix) && std::path::Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
        home.run(&["start", "-s", "bound", "hog", "--timeout", "30s"]);
        home.until_state("bound", "hog", "failed");
        let text =
            home.ok(&["explain", "-s", "bound", "hog"]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("Out of memory: limit 30 MB, peak 30 MB, killed by the kernel."), "{text}");
        assert!(text.contains("raise `limits.memory`"), "{text}");
    }
    home.ok(&["down", "-s", "bound"]);
}

/// Mainstay raises its own limit as far as it may; what is still too little is told before it hurts.
#[test]
#[cfg(unix)]
fn too_few_descriptors_are_told_before_a_start() {
    let home = Home::new();
    let config = home.config("name = \"few\"\n[service.one]\ncommand = [@fixture@, \"sleep\"]\n");
    let mainstay = home.command(&[]);
    let limited = |words: &str| {
        let program = mainstay.get_program().to_string_lossy();
        let line = format!("ulimit -n 100; exec '{program}' {words} -f '{}'", config.display());
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).current_dir(home.work());
        for (name, value) in mainstay.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        common::Done::from(shell.output().expect("a shell"))
    };
    let up = limited("up --detach");
    assert_eq!(up.code, Some(0), "{up:?}");
    assert!(up.stderr.contains("the stack needs about 106 open files, and Mainstay may have 100"), "{up:?}");
    let doctor = limited("doctor");
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains("106 open files"), "{doctor:?}");
    home.ok(&["down", "-s", "few"]);
}
