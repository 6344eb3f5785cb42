//! The command line as shells, pipes and people use it.

mod common;

use common::Home;
use std::io::Write;
use std::process::{Command, Stdio};

const SHOP: &str = r#"
name = "shop"

[service.web]
command = [@fixture@, "graceful", "0"]
instances = 2

[service.lines]
command = [@fixture@, "lines", "--count", "20000"]
restart = "never"
environment = { GREETING = "Grüße" }

[service.extra]
command = [@fixture@, "graceful", "0"]
profiles = ["more"]
"#;

const OVER: &str = "[service.web]\ninstances = 3\n";
const PROD: &str = "[service.web]\ndescription = \"in production\"\n";

fn names(home: &Home) -> Vec<String> {
    let stack = home.stack("shop").expect("the stack is up");
    let services = stack["services"].as_array().expect("services").clone();
    services.iter().filter_map(|service| service["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn several_files_an_environment_settings_and_a_profile() {
    let home = Home::new();
    home.config(SHOP);
    std::fs::write(home.file("over.toml"), OVER).expect("over.toml");
    std::fs::write(home.file("mainstay.prod.toml"), PROD).expect("mainstay.prod.toml");
    let over = ["-f", "mainstay.toml", "-f", "over.toml", "--env", "prod"];
    let more = ["--set", "service.lines.restart=on-failure", "--profile", "more"];
    let with = |words: &[&'static str]| [words, &over[..], &more[..]].concat();

    let shown = home.ok(&with(&["config", "show", "--origin"]));
    for (value, origin) in [("in production", "mainstay.prod.toml"), ("on-failure", "--set")] {
        assert!(shown.lines().any(|line| line.contains(value) && line.contains(origin)), "{value}: {shown}");
    }

    home.ok(&with(&["up", "-d", "--wait"]));
    assert_eq!(names(&home), ["extra", "lines", "web-1", "web-2", "web-3"]);
    assert_eq!(home.service("shop", "web-1")["description"], "in production");

    // Other commands find the stack by the same words.
    let selected = [&["status", "web"][..], &over[..]].concat();
    let text = home.ok(&selected);
    assert!(text.contains("web-1") && text.contains("web-3") && !text.contains("extra"), "{text}");

    // The common name is all of them.
    home.ok(&["stop", "-s", "shop", "web"]);
    for name in ["web-1", "web-2", "web-3"] {
        assert_eq!(home.service("shop", name)["state"], "stopped");
    }
    assert_ne!(home.service("shop", "extra")["state"], "stopped");
    let events = home.ok(&["events", "-s", "shop", "web"]);
    assert!(events.contains("web-3") && !events.contains("extra"), "{events}");
    home.ok(&["logs", "-s", "shop", "web"]);
}

#[test]
fn a_wrong_stack_and_a_word_of_habit_are_understood() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d"]);
    let complaint = home.fails(3, &["status", "-s", "shpo"]);
    assert!(complaint.contains("did you mean `shop`?"), "{complaint}");
    let complaint = home.fails(2, &["tail"]);
    assert!(complaint.contains("`mainstay logs -f SERVICE`"), "{complaint}");
}

#[test]
fn shells_complete_commands_and_services() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d"]);
    let ask = |words: &[&str]| {
        let mut command = home.command(&[&["--", "mainstay"], words].concat());
        command.env("MAINSTAY_COMPLETE", "bash").env("_CLAP_IFS", "\n");
        command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_COMPLETE_COMP_TYPE", "9");
        let done = command.output().expect("mainstay runs");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("text").replace('\r', "")
    };
    let services = ask(&["stop", ""]);
    let services: Vec<&str> = services.lines().collect();
    for name in ["lines", "web", "web-1", "web-2"] {
        assert!(services.contains(&name), "{services:?}");
    }
    assert!(ask(&["stat"]).lines().any(|word| word == "status"));
    assert!(ask(&["down", "--stack", ""]).lines().any(|word| word == "shop"));
    for (shell, mark) in [
        ("bash", "complete "),
        ("zsh", "#compdef"),
        ("fish", "complete "),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains(mark) && script.contains("MAINSTAY_COMPLETE"), "{shell}: {script}");
        // A shell that is there reads it.
        if shell != "powershell"
            && Command::new(shell).arg("--version").output().is_ok_and(|o| o.status.success())
        {
            let mut check = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn().expect("a shell");
            check.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("it reads");
            assert!(check.wait().expect("its end").success(), "{shell} does not understand its script");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::new();
    home.ok(&["man", "pages/man1"]);
    let page = |name: &str| std::fs::read_to_string(home.file("pages/man1").join(name)).expect(name);
    assert!(page("mainstay.1").contains("mainstay\\-up(1)"));
    assert!(page("mainstay-up.1").contains("\\-\\-detach"));
    assert!(page("mainstay-config-show.1").contains("origin"));
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d", "--wait"]);
    common::until("the lines", || home.ok(&["logs", "-n", "1", "lines"]).contains("020000").then_some(()));
    for words in
        [&["logs", "lines"][..], &["logs"], &["status"], &["events"], &["config", "schema"], &["help"]]
    {
        let mut command = home.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mainstay runs");
        // Closed before a byte was read.
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("its end");
        let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!((done.status.code(), complaint.as_str()), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn what_is_redirected_is_plain_utf8_in_80_columns() {
    let home = Home::new();
    home.config(SHOP);
    let mut up = home.command(&["up", "-d", "--wait"]);
    up.env("CLICOLOR", "1").env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let done = up.output().expect("mainstay runs");
    assert!(
        done.status.success() && !done.stderr.contains(&0x1b) && !done.stdout.contains(&0x1b),
        "{done:?}"
    );
    for words in [&["status"][..], &["help"], &["help", "up"], &["explain", "lines"]] {
        let mut command = home.command(words);
        let text = command.env("COLUMNS", "80").output().expect("mainstay runs").stdout;
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(!text.is_empty() && !text.contains('\u{1b}'), "{text}");
        // Output, usage and paths are as long as they are.
        let own = |line: &&str| ![" | ", "mainstay ", "mainstay.toml"].iter().any(|part| line.contains(part));
        let long: Vec<&str> = text.lines().filter(own).filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{words:?}: {long:?}");
    }
    // Not in the code page of the machine.
    let shown = home.command(&["config", "show"]).output().expect("mainstay runs").stdout;
    assert!(String::from_utf8(shown).expect("UTF-8").contains("Grüße"));
    // Only when it is asked for.
    let coloured = home.ok(&["status", "--color", "always"]);
    assert!(coloured.contains('\u{1b}'), "{coloured}");
    // Results and errors only.
    assert_eq!(home.run(&["down", "--quiet"]).stderr, "");
}
