//! What a person sees on a real terminal: colour only where it is wanted, and nothing wider than it is.
//!
//! `script` of util-linux makes the terminal. Windows' consoles are tested in `sys` and by `output`'s own tests.
#![cfg(unix)]

mod common;

use std::process::Command;

use common::Home;

const SHOP: &str = r#"
name = "shop"

[service.web]
command = [@fixture@, "sleep"]
description = "what customers see, and what has a description that is longer than a line of eighty columns has room for"

[service.broken]
command = ["/opt/nowhere/at-all/broken", "--port", "80"]
restart = "never"
"#;

/// Runs it on a terminal of 80 columns; what came out, without the carriage returns.
fn on_a_terminal(home: &Home, words: &str, variables: &[(&str, &str)]) -> String {
    let mainstay = home.command(&[]);
    let line = format!("stty cols 80 rows 24; exec '{}' {words}", mainstay.get_program().to_string_lossy());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.current_dir(home.work()).stdin(std::process::Stdio::null());
    for (name, value) in mainstay.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        // Where builds run, colour is taken for wanted: their viewers show it.
        .env_remove("CI")
        .env("SHELL", "/bin/sh");
    script.envs(variables.iter().copied());
    let done = script.output().expect("`script` runs");
    assert!(done.status.success(), "{words}: {done:?}");
    String::from_utf8(done.stdout).expect("UTF-8").replace('\r', "")
}

#[test]
fn colour_is_for_terminals_that_want_it_and_lines_fit() {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d"]);
    home.until_state("shop", "broken", "failed");

    for words in ["status", "status web broken", "explain broken", "events", "logs", "config show", "help up"]
    {
        let coloured = on_a_terminal(&home, words, &[]);
        for variables in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
            let plain = on_a_terminal(&home, words, &[variables]);
            assert!(!plain.contains('\u{1b}'), "{words} with {variables:?}: {plain:?}");
        }
        let plain = on_a_terminal(&home, words, &[("NO_COLOR", "1")]);
        // What is to be copied stays whole: paths, output, values. An event is a line, as in any log.
        let whole = ["events", "config show"].contains(&words);
        let own = |line: &&str| whole || line.contains("/tmp/") || line.contains(" | ");
        let wide = |line: &&str| line.chars().count() > 80 && !own(line);
        let wide: Vec<&str> = plain.lines().filter(wide).collect();
        assert!(wide.is_empty(), "{words}: {wide:#?}");
        if words.starts_with("status") {
            assert!(coloured.contains('\u{1b}'), "{words}: {coloured:?}");
        }
    }
    // By the option it is decided for any terminal.
    assert!(on_a_terminal(&home, "status --color always", &[("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(!on_a_terminal(&home, "status --color never", &[]).contains('\u{1b}'));
    home.ok(&["down"]);
}
