//! Signals by hand: to the main process, one process, all; never to others.

mod common;

use common::{Home, is_alive, pid, until};

const EARS: &str = r#"
name = "ears"

[service.ear]
command = [@fixture@, "tell-signals"]
stop = { steps = [{ kill = "1s" }] }

[service.family]
command = [@fixture@, "call", @fixture@, "--pid", "sleep"]
restart = "never"

[service.idle]
command = [@fixture@, "sleep"]
start = "manual"
"#;

/// A signal that does no harm, and what the fixture calls it. (Wine does not deliver Ctrl+Break.)
const HARMLESS: (&str, &str) =
    if cfg!(windows) { ("ctrl_c", "heard CTRL_C") } else { ("usr1", "heard SIGUSR1") };

fn hears(home: &Home, what: &str) {
    until(what, || home.log("ears", "ear").lines().any(|line| line == what).then_some(()));
}

#[test]
fn a_signal_reaches_whom_it_is_for_and_nobody_else() {
    let home = Home::new();
    home.config(EARS);
    home.ok(&["up", "-d", "--wait"]);
    hears(&home, "listening");
    let said = home.ok(&["signal", "ear", HARMLESS.0]);
    assert_eq!(said, format!("ear: {} sent to 1 process\n", HARMLESS.0));
    hears(&home, HARMLESS.1);
    let events = home.ok(&["events"]);
    assert!(events.contains("to its main process) asked by "), "{events}");

    // One process of a tree, by its number.
    let main = pid(&home.service("ears", "family")["pid"]);
    let child: u32 = until("the child's number", || {
        home.log("ears", "family").lines().find_map(|line| line.trim_start_matches("pid ").parse().ok())
    });
    assert!(is_alive(child) && child != main);
    home.ok(&["signal", "family", "kill", "--pid", &child.to_string()]);
    until("the child's end", || (!is_alive(child)).then_some(()));
    until("what its parent says of it", || home.log("ears", "family").contains("exit ").then_some(()));
    assert!(is_alive(main));

    // Not one of another service, nor of nobody's.
    let ear = pid(&home.service("ears", "ear")["pid"]);
    for other in [ear, std::process::id(), child] {
        let complaint = home.fails(1, &["signal", "family", "kill", "--pid", &other.to_string()]);
        assert!(complaint.contains(&format!("process {other} is none of its processes")), "{complaint}");
    }
    assert!(is_alive(ear) && is_alive(main));

    // All of it.
    let json = home.ok(&["signal", "--json", "family", "kill", "--all"]);
    assert!(json.contains(r#""processes":1"#) || json.contains(r#""processes": 1"#), "{json}");
    home.until_state("ears", "family", "failed");
    assert!(!is_alive(main));

    for (words, complaint) in [
        (["signal", "family", "kill"], "family does not run"),
        (["signal", "idle", "kill"], "idle does not run"),
    ] {
        let said = home.fails(1, &words);
        assert!(said.contains(complaint), "{said}");
    }
    home.ok(&["down"]);
}

#[test]
fn what_cannot_be_sent_is_refused_in_words() {
    let home = Home::new();
    home.config(EARS);
    home.ok(&["up", "-d", "--wait"]);
    let (word, complaint) = if cfg!(windows) {
        ("HUP", "HUP is a signal of Linux; Windows has none")
    } else {
        ("ctrl_c", "ctrl_c is a thing of Windows")
    };
    for (word, complaint) in [(word, complaint), ("sneeze", "is called sneeze")] {
        let said = home.run(&["signal", "ear", word]);
        assert!(said.code != Some(0) && said.stderr.contains(complaint), "{said:?}");
    }
    let said = home.run(&["signal", "nobody", "kill"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    home.ok(&["down"]);
}
