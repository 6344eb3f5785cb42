//! `set`, `get` and `edit`: the configuration of a stack, changed from the command line.

mod common;

use std::fs;

use common::Home;

const SHOP: &str = r#"# The shop.
name = "shop"

[service.web]
command = [@fixture@, "sleep"]   # what runs
limits = { processes = 50 }

# Behind it.
[service.api]
command = [@fixture@, "sleep"]
instances = 2
"#;

fn shop() -> Home {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d"]);
    home
}

fn file(home: &Home) -> String {
    fs::read_to_string(home.file("mainstay.toml")).expect("the configuration")
}

#[test]
fn a_setting_is_changed_and_nothing_else() {
    let home = shop();
    let before = file(&home);
    let settings = ["limits.processes=60", "environment.PORT=8080", "stop.timeout=7s"];
    let said = home.ok(&["set", "--dry-run", "web", settings[0], settings[1], settings[2]]);
    assert!(said.starts_with("would change ") && said.contains("- limits = { processes = 50 }"), "{said}");
    assert!(said.contains("+ environment.PORT = 8080") && !said.contains("what runs"), "{said}");
    assert_eq!(file(&home), before);
    let pid = home.service("shop", "web")["pid"].clone();
    home.ok(&["set", "--no-apply", "web", settings[0]]);
    assert_eq!(home.service("shop", "web")["pid"], pid);
    let said = home.ok(&["set", "web", settings[0], settings[1], settings[2]]);
    assert!(said.contains("web  restart"), "{said}");
    assert_ne!(home.service("shop", "web")["pid"], pid, "it runs as the file says");
    let after = file(&home);
    for part in ["# The shop.", "# what runs", "# Behind it.", "processes = 60", "PORT = 8080"] {
        assert!(after.contains(part), "{part} in {after}");
    }
    assert!(home.ok(&["set", "web", settings[0], settings[1], settings[2]]).contains("is so already"));
    assert_eq!(file(&home), after);

    // Instances are changed together; the whole file by its own keys.
    home.ok(&["set", "api-2", "start=manual"]);
    assert_eq!(home.ok(&["get", "api", "start"]), "manual\n");
    home.ok(&["set", "shop", "service.web.description=The front"]);
    assert_eq!(home.ok(&["get", "shop", "service.web.description"]), "The front\n");
    home.ok(&["set", "shop", "web.description=The door"]);
    assert_eq!(home.ok(&["get", "shop", "web.description"]), "The door\n", "the stack's service is meant");
    home.ok(&["set", "web", "--unset", "description", "--unset", "environment"]);
    assert_eq!(home.ok(&["get", "web", "stop.timeout"]), "7s\n");
    let said = home.fails(3, &["get", "web", "description"]);
    assert!(said.contains("no setting `description`"), "{said}");
    let said = home.ok(&["get", "--origin", "web", "limits"]);
    assert!(said.starts_with("limits.processes = 60 ") && said.contains("mainstay.toml:"), "{said}");
    let said: serde_json::Value =
        serde_json::from_str(&home.ok(&["get", "--json", "web", "limits.processes"])).expect("JSON");
    assert_eq!(said["values"][0]["value"], 60, "{said}");
}

#[test]
fn what_is_wrong_changes_nothing() {
    let home = shop();
    let before = file(&home);
    for (arguments, words) in [
        (["set", "web", "limits.memroy=1GB"], "did you mean `memory`"),
        (["set", "web", "start=sometimes"], "sometimes"),
        (["set", "web", "limits.processes.most=1"], "the file has processes = 50"),
        (["set", "shop", "name=other"], "would rename stack shop"),
        (["set", "shop", "wbe.start=auto"], "wbe"),
        (["set", "web", "limits"], "is no KEY=VALUE"),
        (["set", "wbe", "start=auto"], "did you mean `web`"),
        (["set", "web", "command=[\"x\""], "no list or table"),
    ] {
        let done = home.run(&arguments);
        assert!(matches!(done.code, Some(2 | 3)), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
        assert_eq!(file(&home), before, "{arguments:?}");
    }
    // What does not come up is taken back, in the file too.
    let done = home.run(&["set", "web", "command=[\"there-is-no-such-program\"]"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("is as it was before"), "{done:?}");
    assert_eq!(file(&home), before);
    home.until_state("shop", "web", "running");

    // YAML has its comments, too, and is left to a person.
    home.ok(&["down"]);
    fs::remove_file(home.file("mainstay.toml")).expect("it was there");
    let program = common::fixture();
    let program = program.display().to_string().replace('\\', "\\\\");
    fs::write(
        home.file("mainstay.yaml"),
        format!("name: yard\nservice:\n  web:\n    command: [\"{program}\", sleep]\n"),
    )
    .expect("a file");
    home.ok(&["up", "-d"]);
    let said = home.fails(2, &["set", "yard", "start=manual"]);
    assert!(said.contains("set changes TOML only") && said.contains("mainstay edit yard"), "{said}");
    assert_eq!(home.ok(&["get", "yard", "start"]), "auto\n");
}

/// A program that edits as it is told by the name that it is copied under.
#[cfg(unix)]
#[test]
fn an_editor_works_on_a_copy_until_it_is_right() {
    use std::os::unix::fs::PermissionsExt;
    let home = shop();
    let before = file(&home);
    let editor = home.file("my editor");
    let edit = |script: &str| {
        fs::write(&editor, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("ours");
        let mut command = home.command(&["edit", "web"]);
        command.env_remove("VISUAL").env("EDITOR", &editor);
        common::Done::from(command.output().expect("mainstay runs"))
    };
    let done = edit("true");
    assert!(done.code == Some(0) && done.stdout.contains("is so already"), "{done:?}");
    let done = edit("sed -i 's/processes = 50/processs = 50/' \"$1\"");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("did you mean `processes`"), "{done:?}");
    assert!(done.stderr.contains("your text is kept in"), "{done:?}");
    assert_eq!(file(&home), before);
    let done = edit("sed -i 's/processes = 50/processes = 70/' \"$1\"");
    assert!(done.code == Some(0) && done.stdout.contains("+ limits = { processes = 70 }"), "{done:?}");
    assert_eq!(file(&home), before.replace("processes = 50", "processes = 70"));
    let done = edit("exit 1");
    assert!(done.code == Some(1) && done.stderr.contains("set EDITOR"), "{done:?}");
}
