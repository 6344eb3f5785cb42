//! Several that start the same stack at the same instant: one gets it, with its own plan, and the others are told who.

mod common;

use std::fs;

use common::{Home, is_alive, pid, until};
use serde_json::Value;

const RIVALS: usize = 8;

#[test]
fn of_many_ups_at_once_one_wins_and_the_plan_is_its_own() {
    let home = Home::new();
    let files: Vec<_> = (0..RIVALS)
        .map(|nth| {
            home.config(&format!("name = \"one\"\n[service.s{nth}]\ncommand = [@fixture@, \"sleep\"]\n"));
            let file = home.file(&format!("rival-{nth}.toml"));
            fs::rename(home.file("mainstay.toml"), &file).expect("a file");
            file
        })
        .collect();
    for round in 0..3 {
        let rivals: Vec<_> = files
            .iter()
            .map(|file| home.start(&["up", "--detach", "--file", &file.display().to_string()]))
            .collect();
        let mut winner = None;
        let mut refused = Vec::new();
        for (nth, mut rival) in rivals.into_iter().enumerate() {
            match rival.until_end() {
                Some(0) => assert!(winner.replace(nth).is_none(), "round {round}: two have won"),
                Some(4) => refused.push(rival.complained().to_owned()),
                other => panic!("round {round}: {other:?} {}", rival.complained()),
            }
        }
        let winner = winner.unwrap_or_else(|| panic!("round {round}: nobody has won: {refused:#?}"));
        let config = files[winner].display().to_string();
        let stack = home.stack("one").expect("the stack is up");
        let keeper = pid(&stack["keeper"]["pid"]);
        assert!(is_alive(keeper));
        assert_eq!(refused.len(), RIVALS - 1);
        for text in refused {
            let told = text.contains(&format!("pid {keeper}")) && text.contains(&config);
            assert!(told, "round {round}: the winner is {keeper} from {config}, but:\n{text}");
        }
        // What runs, and what the next daemon will read, is the winner's.
        assert_eq!(stack["config"], config.as_str());
        assert_eq!(stack["services"].as_array().map(Vec::len), Some(1));
        assert_eq!(stack["services"][0]["name"], format!("s{winner}"));
        let state = home.stack_dir("one", "state");
        let plan = fs::read(state.join("plan.json")).expect("a plan");
        let plan: Value = serde_json::from_slice(&plan).expect("JSON");
        assert_eq!(plan["config"], config.as_str());
        // Nothing is left of the others' plans.
        until("the offers are gone", || {
            let mut names =
                fs::read_dir(&state).expect("a directory").flatten().map(|entry| entry.file_name());
            (!names.any(|name| name.to_string_lossy().contains("offer"))).then_some(())
        });
        home.ok(&["down", "-s", "one"]);
    }
}
