//! What an installed stack has to do on every platform: one list of checks, in their order, on one stack.

use serde_json::Value;

use crate::{Outcome, eventually};

/// The machine that a stack is installed on.
pub trait World {
    /// Runs `mainstay` with these arguments, in the directory of the configuration.
    fn mainstay(&self, arguments: &[&str]) -> Outcome;

    /// Writes the configuration, `mainstay.toml`; `FIXTURE` stands for the fixture's path.
    fn configure(&self, text: &str);

    /// What the service manager says of the stack: `running`, `stopped`, `not installed` or another word.
    fn native(&self) -> String;

    /// Starts or stops the stack with the service manager's own tool, as an operator does: `start`, `stop`.
    fn tool(&self, verb: &str);

    /// Whether the service manager starts a keeper again that died.
    fn revives(&self) -> bool;

    /// Ends a process at once.
    fn kill(&self, pid: u64);

    /// How many processes of the stack's services there are.
    fn processes(&self) -> usize;
}

/// One that is ready when it says so, and one that hears no signal. `NAME` is the stack's name.
const STACK: &str = r#"name = "NAME"
[service.web]
command = ["FIXTURE", "graceful", "0"]
ready = { log = "started" }
restart = { delay = "50ms" }
[service.mule]
command = ["FIXTURE", "ignore-signals"]
ready = { log = "ignoring" }
stop = { steps = [{ ctrl_c = "1s" }, { kill = "2s" }], timeout = "10s" }
"#;

/// A stack under test.
pub struct Suite<'a> {
    world: &'a dyn World,
    name: &'a str,
}

type Check = fn(&Suite<'_>);

/// The checks, by name, each on what the ones before have left.
const CHECKS: [(&str, Check); 12] = [
    ("installed as it was said before, once", installed),
    ("started is ready", started),
    ("seen by status and list", seen),
    ("a crash is restarted and explained", crashed),
    ("the daemon dies and nothing notices", daemon_killed),
    ("one service is stopped and started", one_service),
    ("paused and continued", paused),
    ("a changed configuration is applied, a wrong one is not", changed),
    ("the logs have what was written", logs),
    ("the keeper dies and nothing runs twice", keeper_killed),
    ("stopped by the system's own tool, the stubborn one too", stopped),
    ("uninstalled without a trace", uninstalled),
];

/// Runs all of them on stack `name`.
pub fn check(world: &dyn World, name: &str) {
    let suite = Suite { world, name };
    for (what, check) in CHECKS {
        // A failure below names its check by what was written last.
        println!("{name}: {what}");
        check(&suite);
    }
}

impl Suite<'_> {
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.world.mainstay(arguments);
        assert_eq!(done.code, Some(0), "mainstay {arguments:?}\n{}{}", done.stdout, done.stderr);
        done.stdout
    }

    fn configure(&self, text: &str) {
        self.world.configure(&text.replace("NAME", self.name));
    }

    fn stack(&self) -> Option<Value> {
        let done = self.world.mainstay(&["status", "-s", self.name, "--json"]);
        serde_json::from_str::<Value>(&done.stdout).ok()?["stacks"].get(0).cloned()
    }

    fn service(&self, name: &str) -> Option<Value> {
        let stack = self.stack()?;
        stack["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    #[track_caller]
    fn until(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} is {state}"), || self.service(name).filter(|it| it["state"] == state))
    }

    fn pid(&self, name: &str) -> u64 {
        self.service(name)
            .and_then(|it| it["pid"].as_u64())
            .unwrap_or_else(|| panic!("{name} has no process"))
    }

    #[track_caller]
    fn until_native(&self, state: &str) {
        eventually(&format!("the service manager says {state}"), || {
            (self.world.native() == state).then_some(())
        });
    }
}

fn installed(suite: &Suite<'_>) {
    suite.configure(STACK);
    let would = suite.ok(&["install", "--dry-run"]);
    assert_eq!(suite.world.native(), "not installed");
    assert_eq!(suite.ok(&["install"]), would.replace("would ", ""), "exactly what was said before");
    assert_eq!(suite.world.native(), "stopped");
    assert!(suite.ok(&["install"]).contains("is installed so already"));
}

fn started(suite: &Suite<'_>) {
    suite.world.tool("start");
    suite.until_native("running");
    for service in ["web", "mule"] {
        assert_eq!(suite.service(service).expect("it is there")["state"], "ready");
    }
    suite.ok(&["start", suite.name]);
    assert_eq!(suite.world.processes(), 2);
}

fn seen(suite: &Suite<'_>) {
    assert!(suite.ok(&["status", "-s", suite.name]).contains("mule"));
    let list = suite.ok(&["list"]);
    let line = list.lines().find(|line| line.starts_with(suite.name)).expect("it is listed");
    assert!(line.contains("running"), "{list}");
    assert!(suite.ok(&["get", suite.name]).contains("ready"));
}

fn crashed(suite: &Suite<'_>) {
    let (web, mule) = (suite.pid("web"), suite.pid("mule"));
    suite.world.kill(web);
    eventually("another process of web", || {
        suite.service("web").filter(|it| it["state"] == "ready" && it["pid"] != web)
    });
    assert_eq!(suite.pid("mule"), mule, "the other goes on");
    assert_eq!(suite.world.native(), "running");
    let explained = suite.ok(&["explain", "-s", suite.name, "web"]);
    assert!(explained.contains("restarted 1 time") && explained.contains("Last ends"), "{explained}");
}

fn daemon_killed(suite: &Suite<'_>) {
    let (web, mule) = (suite.pid("web"), suite.pid("mule"));
    let daemon = suite.stack().expect("it is up")["daemon"]["pid"].clone();
    suite.world.kill(daemon.as_u64().expect("a number"));
    eventually("another daemon", || suite.stack().filter(|now| now["daemon"]["pid"] != daemon));
    assert_eq!((suite.pid("web"), suite.pid("mule")), (web, mule));
    assert_eq!(suite.world.native(), "running");
}

fn one_service(suite: &Suite<'_>) {
    let mule = suite.pid("mule");
    suite.ok(&["stop", "-s", suite.name, "web"]);
    assert_eq!(suite.service("web").expect("it is there")["state"], "stopped");
    assert_eq!(suite.world.native(), "running");
    suite.ok(&["start", &format!("{}/web", suite.name)]);
    suite.until("web", "ready");
    assert_eq!(suite.pid("mule"), mule);
}

fn paused(suite: &Suite<'_>) {
    let web = suite.pid("web");
    suite.ok(&["pause", "-s", suite.name, "web"]);
    suite.until("web", "paused");
    suite.ok(&["continue", "-s", suite.name, "web"]);
    suite.until("web", "ready");
    assert_eq!(suite.pid("web"), web);
}

fn changed(suite: &Suite<'_>) {
    let (web, mule) = (suite.pid("web"), suite.pid("mule"));
    suite.configure(&STACK.replace("\"graceful\", \"0\"", "\"graceful\", \"7\""));
    suite.ok(&["apply", "-s", suite.name]);
    suite.until("web", "ready");
    assert_ne!(suite.pid("web"), web, "its command is another one");
    let web = suite.pid("web");
    suite.configure(&STACK.replace("command", "commnad"));
    let done = suite.world.mainstay(&["apply", "-s", suite.name]);
    assert_eq!(done.code, Some(2), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("mainstay.toml:3:1"), "{}", done.stderr);
    assert_eq!((suite.pid("web"), suite.pid("mule")), (web, mule));
    suite.configure(STACK);
}

fn logs(suite: &Suite<'_>) {
    let logs = suite.ok(&["logs", "-s", suite.name, "web"]);
    let starts = logs.lines().filter(|line| line.ends_with("started")).count();
    assert!(starts >= 4, "each start is there: {logs}");
}

fn keeper_killed(suite: &Suite<'_>) {
    let old = [suite.pid("web"), suite.pid("mule")];
    let keeper = suite.stack().expect("it is up")["keeper"]["pid"].as_u64().expect("a number");
    suite.world.kill(keeper);
    if !suite.world.revives() {
        suite.until_native("stopped");
        suite.world.tool("start");
    }
    eventually("both run anew", || {
        let now = ["web", "mule"].map(|name| suite.service(name).filter(|it| it["state"] == "ready"));
        let now = now.into_iter().collect::<Option<Vec<Value>>>()?;
        now.iter().all(|it| it["pid"].as_u64().is_some_and(|pid| !old.contains(&pid))).then_some(())
    });
    assert_eq!(suite.world.processes(), 2, "nothing runs twice");
    suite.until_native("running");
}

fn stopped(suite: &Suite<'_>) {
    suite.world.tool("stop");
    suite.until_native("stopped");
    assert_eq!(suite.world.processes(), 0);
    suite.ok(&["start", suite.name]);
    suite.ok(&["restart", suite.name]);
    suite.until("web", "ready");
    suite.ok(&["stop", suite.name]);
    assert_eq!((suite.world.native().as_str(), suite.world.processes()), ("stopped", 0));
}

fn uninstalled(suite: &Suite<'_>) {
    suite.ok(&["start", suite.name]);
    suite.ok(&["uninstall", "--purge", suite.name]);
    assert_eq!((suite.world.native().as_str(), suite.world.processes()), ("not installed", 0));
    assert!(suite.ok(&["uninstall", suite.name]).contains("is not installed"));
    assert!(!suite.ok(&["list"]).contains(suite.name));
}
