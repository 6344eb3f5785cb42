//! Words that people bring from other tools, and what does the same here.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Cli;

/// Words, the command that has to be there for the advice to be true, and the advice.
const HABITS: [(&[&str], &str, &str); 13] = [
    (
        &["list-units", "show", "info", "describe", "inspect", "monit"],
        "status",
        "`mainstay status`, with a name for all about one service",
    ),
    (&["kill", "terminate"], "stop", "`mainstay stop SERVICE`; it kills what does not end in time"),
    (&["tail", "output", "journal", "journalctl"], "logs", "`mainstay logs -f SERVICE`"),
    (
        &["launch", "exec", "spawn"],
        "run",
        "`mainstay run -- PROGRAM` for one without a file, `mainstay up` for mainstay.toml",
    ),
    (&["shutdown", "quit", "halt"], "down", "`mainstay down` stops a whole stack"),
    (&["resume", "unpause", "thaw"], "continue", "`mainstay continue SERVICE`"),
    (&["freeze", "suspend"], "pause", "`mainstay pause SERVICE`"),
    (&["reread", "update", "reload"], "reload", "`mainstay reload` takes over a changed configuration"),
    (&["validate", "test", "check", "lint"], "config", "`mainstay config check`"),
    (
        &["register", "create", "add"],
        "install",
        "`mainstay install NAME PROGRAM` makes a service of the system",
    ),
    (&["unregister", "deregister"], "uninstall", "`mainstay uninstall NAME` removes a service of the system"),
    (&["why", "diagnose"], "explain", "`mainstay explain SERVICE`"),
    (
        &["enable", "disable"],
        "up",
        "start = \"auto\", \"manual\" or \"disabled\" in mainstay.toml says what `mainstay up` starts",
    ),
];

/// Adds an advice to the refusal of a command that is none, if there is one.
pub fn advise(error: &clap::Error) {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    if let Some(advice) = advice(word) {
        // There is nobody left to tell if this fails.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("\nhint: {advice}\n").as_bytes());
    }
}

fn advice(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let (_, command, advice) = HABITS.iter().find(|(words, ..)| words.contains(&word.as_str()))?;
    Cli::command().find_subcommand(command).map(|_| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_habit_lead_somewhere() {
        assert_eq!(advice("Tail"), Some("`mainstay logs -f SERVICE`"));
        assert!(advice("frobnicate").is_none());
        for (words, command, advice) in HABITS {
            assert!(advice.len() < 100, "{advice}");
            let there = Cli::command().find_subcommand(command).is_some();
            assert!(there || command == "reload", "{command}");
            for word in words.iter().filter(|word| **word != "reload") {
                let taken = Cli::command().find_subcommand(word).map(|found| found.get_name().to_owned());
                assert!(taken.is_none(), "{word} is a command of its own");
            }
        }
    }
}
