//! One rule says what a name on a command line means, whatever the command and wherever the stack is from.

mod common;

use std::process::Stdio;

use common::{Done, Home, fixture};

/// Two stacks up, one that was and is down; `shop` is the one of the working directory.
fn three_stacks() -> Home {
    let home = Home::new();
    let fixture = fixture().display().to_string();
    home.ok(&["run", "-n", "job1", "--", &fixture, "sleep"]);
    home.ok(&["run", "-n", "web", "--", &fixture, "sleep"]);
    home.config("name = \"old\"\n[service.relic]\ncommand = [@fixture@, \"sleep\"]\n[service.job1]\ncommand = [@fixture@, \"sleep\"]\n");
    home.ok(&["up", "-d"]);
    home.ok(&["down"]);
    home.config(
        "name = \"shop\"\n[service.web]\ncommand = [@fixture@, \"sleep\"]\n[service.api]\ncommand = [@fixture@, \"sleep\"]\n\
         [service.later]\nstart = \"manual\"\ncommand = [@fixture@, \"sleep\"]\n",
    );
    home.ok(&["up", "-d", "--wait"]);
    home
}

/// In a directory without a configuration.
fn away(home: &Home, arguments: &[&str]) -> Done {
    let mut command = home.command(arguments);
    let done = command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).output();
    done.expect("mainstay runs").into()
}

fn names(done: &Done) -> Vec<String> {
    let value: serde_json::Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    let of = |stack: &serde_json::Value| {
        let services = stack["services"].as_array().cloned().unwrap_or_default();
        let stack = stack["name"].as_str().unwrap_or_default().to_owned();
        services.into_iter().map(move |s| format!("{stack}/{}", s["name"].as_str().unwrap_or_default()))
    };
    value["stacks"]
        .as_array()
        .expect("stacks")
        .iter()
        .flat_map(|stack| of(stack).collect::<Vec<_>>())
        .collect()
}

#[test]
fn the_rule() {
    let home = three_stacks();
    let all_of_shop = ["shop/api", "shop/later", "shop/web"];
    // What is asked, what it means in the directory of shop, and what elsewhere.
    let table: [(&[&str], &[&str], &[&str]); 7] = [
        (&["jobs/web"], &["jobs/web"], &["jobs/web"]),
        (&["web"], &["shop/web"], &[]),
        (&["api"], &["shop/api"], &["shop/api"]),
        (&["shop"], &all_of_shop, &all_of_shop),
        (&["job1"], &["jobs/job1"], &["jobs/job1"]),
        (&["shop", "shop/api"], &all_of_shop, &all_of_shop),
        (&["api", "job1"], &["shop/api", "jobs/job1"], &["shop/api", "jobs/job1"]),
    ];
    for (asked, here, elsewhere) in table {
        let mut arguments = vec!["status", "--json"];
        arguments.extend(asked);
        assert_eq!(names(&home.run(&arguments)), here, "{asked:?} here");
        let done = away(&home, &arguments);
        match elsewhere {
            [] => assert!(done.stderr.contains("choose one: `jobs/web` and `shop/web`"), "{done:?}"),
            _ => assert_eq!(names(&done), elsewhere, "{asked:?} elsewhere"),
        }
    }

    // A stack that is down, by its name and by a service of its own.
    for name in ["old", "relic", "old/relic"] {
        let done = away(&home, &["status", name]);
        assert!(done.code == Some(3) && done.stderr.contains("stack old is not up"), "{name}: {done:?}");
    }
    assert_eq!(away(&home, &["logs", "relic"]).code, Some(0));

    // Slips of the finger.
    for (asked, meant) in
        [("shp", "shop"), ("relik", "relic"), ("shop/wbe", "web"), ("jbo1", "job1"), ("jobs/apii", "api")]
    {
        let done = away(&home, &["explain", asked]);
        assert_eq!(done.code, Some(3), "{asked}: {done:?}");
        assert!(done.stderr.contains(&format!("did you mean `{meant}`")), "{asked}: {done:?}");
    }
    let done = away(&home, &["logs", "shop", "jobs"]);
    assert!(done.code == Some(2) && done.stderr.contains("several stacks: shop and jobs"), "{done:?}");
}

#[test]
fn whole_stacks_are_asked_as_their_services_are() {
    let home = three_stacks();
    let state = |stack: &str, name: &str| home.service(stack, name)["state"].clone();
    let said = home.ok(&["pause", "shop"]);
    assert!(
        said.contains("api: paused") && said.contains("web: paused") && !said.contains("later"),
        "{said}"
    );
    assert_eq!(state("jobs", "web"), "running");
    home.ok(&["continue", "shop"]);
    assert_eq!(state("shop", "web"), "running");
    let said = home.ok(&["stop", "shop", "job1"]);
    assert!(said.contains("web: stopped") && said.contains("job1: stopped"), "{said}");
    // One that does not start by itself stays as it is.
    home.ok(&["start", "shop"]);
    assert_eq!((state("shop", "api"), state("shop", "later")), ("running".into(), "stopped".into()));
    home.ok(&["wait", "--timeout", "30s", "--for", "running", "api", "web"]);
    let said = home.ok(&["events", "-n", "3", "shop"]);
    assert_eq!(said.lines().count(), 3, "{said}");
}
