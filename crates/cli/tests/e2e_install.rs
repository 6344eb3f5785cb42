//! Stacks that the system's own service manager starts and stops.
//!
//! On Linux the keeper is started as systemd starts it; e2e_scm.rs has the real SCM of Windows.

mod common;

#[cfg(unix)]
use common::until;
use common::{Home, mainstay};

#[cfg(unix)]
const API: &str = r#"
name = "api"

[service.web]
command = [@fixture@, "web", "--port", "0"]

[service.later]
command = [@fixture@, "graceful", "0"]
depends_on = { web = "started" }
"#;

#[test]
fn a_dry_run_says_everything_and_changes_nothing() {
    let home = Home::new();
    let program = mainstay();
    let program = program.to_str().expect("text");
    let said = home.ok(&["install", "--dry-run", "mainstay-dry", program, "--port", "80 80", "-x"]);
    assert!(said.contains("would write "), "{said}");
    assert!(said.contains("\"--port\", \"80 80\", \"-x\"]"), "{said}");
    assert!(said.contains("keeper") && said.contains("--service"), "{said}");
    assert!(!home.stack_dir("mainstay-dry", "state").exists());
    assert!(!home.stack_dir("mainstay-dry", "mainstay.toml").exists());
    assert!(home.ok(&["uninstall", "--dry-run", "mainstay-dry"]).contains("is not installed"));

    let said = home.fails(2, &["install", "--dry-run", "mainstay-dry", "./there-is-none"]);
    assert!(said.contains("there is no program"), "{said}");
    if cfg!(unix) {
        let install = ["install", "--dry-run", "--trigger", "network-up", "mainstay-dry", program];
        let said = home.fails(2, &install);
        assert!(
            said.contains("--trigger is for Windows") && said.contains("network-online.target"),
            "{said}"
        );
    }
    home.config("name = \"x\"\n[service.a]\ncomand = [\"x\"]\n");
    let said = home.fails(2, &["install", "--dry-run", "-f", "mainstay.toml"]);
    assert!(said.contains("did you mean `command`"), "{said}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixDatagram;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use super::*;

    /// A keeper as systemd starts it.
    struct Keeper {
        child: Child,
        socket: UnixDatagram,
    }

    impl Keeper {
        fn start(home: &Home) -> Keeper {
            let path = home.file("notify");
            let _ = std::fs::remove_file(&path);
            let socket = UnixDatagram::bind(&path).expect("a socket");
            socket.set_read_timeout(Some(common::DEADLINE)).expect("a timeout");
            let mut command: Command = home.command(&["keeper", "--service", "--stack", "api"]);
            command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "60000000");
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
            Keeper { child, socket }
        }

        fn expect(&self, wanted: &str) {
            let until = Instant::now() + common::DEADLINE;
            let mut buffer = [0; 4096];
            while Instant::now() < until {
                let size = self.socket.recv(&mut buffer).expect(wanted);
                if String::from_utf8_lossy(&buffer[..size]).lines().any(|line| line.starts_with(wanted)) {
                    return;
                }
            }
            panic!("no {wanted}");
        }

        fn signal(&self, name: &str) {
            common::signal(self.child.id(), name);
        }

        fn code(&mut self) -> Option<i32> {
            until("the keeper's end", || self.child.try_wait().expect("it can be waited for")).code()
        }
    }

    impl Drop for Keeper {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// As `install` leaves it.
    fn installed(home: &Home) {
        let config = home.config(API);
        let state = home.stack_dir("api", "state");
        std::fs::create_dir_all(&state).expect("a directory");
        let text = serde_json::json!({ "scope": "system", "inputs": { "files": [config] } }).to_string();
        std::fs::write(state.join("installed.json"), text).expect("a file");
    }

    #[test]
    fn systemd_sees_a_stack_come_up_live_and_go_down() {
        let home = Home::new();
        installed(&home);
        let mut keeper = Keeper::start(&home);
        keeper.expect("READY=1");
        // Ready means the services, not the keeper.
        for name in ["web", "later"] {
            assert_eq!(home.service("api", name)["state"], "running");
        }
        keeper.expect("WATCHDOG=1");
        // With its daemon gone it lives on, and answers a stop.
        let stack = home.stack("api").expect("it is up");
        common::kill(common::pid(&stack["daemon"]["pid"]));
        keeper.expect("WATCHDOG=1");
        keeper.signal("TERM");
        keeper.expect("STOPPING=1");
        assert_eq!(keeper.code(), Some(0), "{}", home.daemon_logs());
        assert!(home.stack("api").is_none());

        // A configuration that is wrong by now changes nothing.
        std::fs::write(home.file("mainstay.toml"), "name = \"api\"\n[service.web]\ncomand = 1\n")
            .expect("a file");
        let mut keeper = Keeper::start(&home);
        keeper.expect("READY=1");
        assert_eq!(home.service("api", "web")["state"], "running");
        let said = home.ok(&["list"]);
        assert!(said.contains("api") && said.contains("up"), "{said}");
        // A stop that comes over the API is one that systemd sees.
        home.ok(&["down", "-s", "api"]);
        keeper.expect("STOPPING=1");
        assert_eq!(keeper.code(), Some(0));
    }

    #[test]
    fn a_stack_that_cannot_come_up_says_why() {
        let home = Home::new();
        let code = |home: &Home| Keeper::start(home).code();
        assert_eq!(code(&home), Some(2), "not installed");
        installed(&home);
        std::fs::write(home.file("mainstay.toml"), "name = \"api\"\nwhat = 1\n").expect("a file");
        assert_eq!(code(&home), Some(2), "a wrong configuration, and none before it");
        home.config(API);
        home.ok(&["up", "-d"]);
        assert_eq!(code(&home), Some(4), "it is up already");
        home.ok(&["down"]);
    }
}
