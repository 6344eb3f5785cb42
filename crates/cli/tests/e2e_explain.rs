//! Why things are as they are, with real processes: explanations, waiting, events, and JSON of the foreground.

mod common;

use common::{Home, fixture, until};
use serde_json::Value;

fn home() -> Home {
    let home = Home::new();
    home.config(
        "name = \"why\"\n\
         [service.db]\ncommand = [@fixture@, \"exit\", \"78\"]\nrestart = \"never\"\n\
         [service.api]\ncommand = [@fixture@, \"sleep\"]\ndepends_on = { mid = \"started\" }\n\
         [service.mid]\ncommand = [@fixture@, \"sleep\"]\ndepends_on = { db = \"completed\" }\n\
         [service.well]\ncommand = [@fixture@, \"sleep\"]\n",
    );
    home
}

#[test]
fn an_explanation_names_the_end_the_root_and_who_asked() {
    let home = home();
    home.ok(&["up", "--detach"]);
    home.until_state("why", "db", "failed");
    let text = home.ok(&["explain", "-s", "why", "db"]);
    assert!(text.contains("exit code 78"), "{text}");
    // What the number means is a convention of Unix.
    assert_eq!(text.contains("its configuration is wrong"), cfg!(unix), "{text}");
    assert!(text.contains("mainstay start --stack why db"), "{text}");

    let json: Value =
        serde_json::from_str(&home.ok(&["explain", "-s", "why", "api", "--json"])).expect("JSON");
    let api = &json["services"][0];
    assert_eq!(api["state"], "starting", "{api:#}");
    let because = api["because"].to_string();
    assert!(because.contains("At the root of it is db: failed: exit code 78"), "{because}");

    // Without a name: those that are not well.
    let json: Value = serde_json::from_str(&home.ok(&["explain", "-s", "why", "--json"])).expect("JSON");
    let names: Vec<&str> = json["services"]
        .as_array()
        .expect("services")
        .iter()
        .filter_map(|it| it["service"].as_str())
        .collect();
    assert_eq!(names, ["api", "db", "mid"]);

    home.ok(&["stop", "-s", "why", "well"]);
    let text = home.ok(&["explain", "-s", "why", "well"]);
    assert!(text.contains("(mainstay, pid ") && text.contains("stop"), "{text}");
    let complaint = home.fails(3, &["explain", "-s", "why", "wel"]);
    assert!(complaint.contains("did you mean `well`?"), "{complaint}");

    home.ok(&["down", "-s", "why"]);
    let text = home.ok(&["explain", "-s", "why", "db"]);
    assert!(text.contains("not up") && text.contains("exit code 78"), "{text}");
}

#[test]
fn waiting_has_an_exit_code_for_each_outcome() {
    let home = home();
    home.ok(&["up", "--detach"]);
    home.ok(&["wait", "-s", "why", "well", "--timeout", "30s"]);
    home.ok(&["wait", "-s", "why", "well", "--for", "healthy", "--timeout", "30"]);
    home.ok(&["wait", "-s", "why", "db", "--for", "stopped", "--timeout", "1m"]);
    let complaint = home.fails(6, &["wait", "-s", "why", "db", "--for", "completed", "--timeout", "30s"]);
    assert!(complaint.contains("exit code 78"), "{complaint}");
    let complaint = home.fails(5, &["wait", "-s", "why", "api", "--timeout", "200ms"]);
    assert!(complaint.contains("not within 200ms"), "{complaint}");
    home.fails(2, &["wait", "-s", "why", "api", "--timeout", "soon"]);
    home.fails(3, &["wait", "-s", "why", "nobody"]);
}

#[test]
fn events_are_chosen_by_time_and_service() {
    let home = home();
    home.ok(&["up", "--detach"]);
    home.until_state("why", "db", "failed");
    let text = home.ok(&["events", "-s", "why", "--since", "10m", "--service", "db"]);
    assert!(!text.is_empty() && text.lines().all(|line| line.contains("  db  ")), "{text}");
    assert_eq!(home.ok(&["events", "-s", "why", "--since", "2200-01-01"]), "");
    home.fails(2, &["events", "-s", "why", "--since", "whenever"]);
}

#[test]
fn the_foreground_speaks_json_too() {
    let home = Home::new();
    home.config("name = \"js\"\n[service.a]\ncommand = [@fixture@, \"exit\", \"3\"]\nrestart = \"never\"\n");
    assert!(fixture().is_file());
    let mut up = home.start(&["up", "--json"]);
    until("the failure is told", || {
        let seen = up.seen().to_owned();
        let whole = seen.rfind('\n').map_or("", |end| &seen[..end]).to_owned();
        let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
        lines.into_iter().find(|line| {
            line["type"] == "event"
                && line["event"]["service"] == "a"
                && line["event"]["kind"]["to"] == "failed"
        })
    });
    home.ok(&["down", "-s", "js"]);
    assert_eq!(up.until_end(), Some(0));
}
