//! `when_mainstay_stops = "leave"`: what is left running when the stack goes down, and taken over when it comes up.

mod common;

use common::{Home, is_alive, kill, pid, until};

const SHOP: &str = r#"
name = "shop"

[service.db]
command = [@fixture@, "lines", "--rate", "50"]
when_mainstay_stops = "leave"

[service.web]
command = [@fixture@, "sleep"]
depends_on = ["db"]
"#;

const WITHOUT_DB: &str = r#"
name = "shop"

[service.web]
command = [@fixture@, "sleep"]
"#;

/// A stack that is down but for `db`, whose process is given.
fn resting() -> (Home, u32) {
    let home = Home::new();
    home.config(SHOP);
    home.ok(&["up", "-d", "--wait"]);
    let db = pid(&home.service("shop", "db")["pid"]);
    assert_eq!(home.ok(&["down"]), format!("shop: down, left running: db (pid {db})\n"));
    (home, db)
}

#[test]
fn it_goes_on_and_its_output_is_captured() {
    let (home, db) = resting();
    let stack = home.stack("shop").expect("a stack");
    assert_eq!((stack["resting"].as_bool(), stack["going_down"].as_bool()), (Some(true), Some(true)));
    let service = home.service("shop", "db");
    assert_eq!((service["left"].as_bool(), pid(&service["pid"])), (Some(true), db));
    assert_eq!(service["when_mainstay_stops"], "leave");
    assert!(home.ok(&["status"]).contains("down but for what was left running"));
    assert!(home.ok(&["explain", "db"]).contains("nobody probes or restarts it"));
    // What it writes now is kept, also by the daemon's successor.
    kill(pid(&stack["daemon"]["pid"]));
    let lines = || home.log("shop", "db").lines().count();
    let before = lines();
    until("more of its output", || (lines() > before).then_some(()));
    assert!(home.service("shop", "db")["left"].as_bool().expect("a word"));
    // It is left alone, and nothing else starts.
    assert!(home.fails(1, &["start", "web"]).contains("`mainstay up` starts it again"));
    home.fails(1, &["restart", "db"]);
    assert_eq!(home.ok(&["down"]), format!("shop: down, left running: db (pid {db})\n"));
    assert_eq!(home.ok(&["down", "--all"]), "shop: down\n");
    assert!(!is_alive(db) && home.stack("shop").is_none());
}

#[test]
fn up_takes_it_over_with_another_plan() {
    let (home, db) = resting();
    home.config(&SHOP.replace("web]", "site]").replace("\"50\"", "\"40\""));
    home.ok(&["up", "-d", "--wait"]);
    let service = home.service("shop", "db");
    assert_eq!((service["left"].as_bool(), pid(&service["pid"])), (Some(false), db));
    assert_eq!(home.service("shop", "site")["state"], "running");
    let stack = home.stack("shop").expect("a stack");
    assert_eq!(stack["services"].as_array().map(Vec::len), Some(2), "the old ones are forgotten");
    assert!(home.ok(&["events"]).contains("db runs on with its settings of before"));
    // It is looked after as before, and the plan is on disk as after any other start.
    kill(db);
    let again = until("its restart", || {
        let service = home.service("shop", "db");
        service["pid"].as_u64().filter(|now| *now != u64::from(db))
    });
    assert!(again > 0);
    home.ok(&["down", "--all"]);
}

#[test]
fn what_is_not_in_the_plan_any_more_is_stopped() {
    let (home, db) = resting();
    home.config(WITHOUT_DB);
    home.ok(&["up", "-d", "--wait"]);
    until("the end of db", || (!is_alive(db)).then_some(()));
    until("only web", || {
        let stack = home.stack("shop")?;
        (stack["services"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(home.ok(&["down"]), "shop: down\n");
}

#[test]
fn a_stack_in_the_foreground_rests_when_its_terminal_goes() {
    let (home, db) = resting();
    let mut up = home.start(&["up"]);
    until("the takeover", || {
        (home.stack("shop")?["resting"] == false && home.service("shop", "web")["state"] == "running")
            .then_some(())
    });
    up.until_seen("taken over");
    up.child.kill().expect("a process of ours");
    up.until_end();
    until("its rest", || (home.stack("shop")?["resting"] == true).then_some(()));
    assert!(is_alive(db));
    // When it ends by itself nobody starts it, and nothing is there to stay for.
    kill(db);
    until("the end of the stack", || home.stack("shop").is_none().then_some(()));
}

#[test]
fn a_killed_keeper_leaves_nothing() {
    let (home, db) = resting();
    kill(pid(&home.stack("shop").expect("a stack")["keeper"]["pid"]));
    until("the end of db", || (!is_alive(db)).then_some(()));
    home.config(WITHOUT_DB);
    home.ok(&["up", "-d", "--wait"]);
    home.ok(&["down"]);
}
