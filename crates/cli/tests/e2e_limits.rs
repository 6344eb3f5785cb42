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
