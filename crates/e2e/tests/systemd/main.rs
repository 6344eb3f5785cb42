//! An installed stack under a real systemd, booted for each test in a container.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;

use mainstay_e2e::installed::{World, check};
use mainstay_e2e::{Outcome, eventually, skip};
use serde_json::Value;

use machine::Machine;

/// One service that is ready when it answers, and one that hears no signal.
const SHOP: &str = r#"name = "shop"
[service.web]
command = ["/opt/mainstay/mainstay-fixture", "web", "--port", "8081"]
ready = { http = "http://127.0.0.1:8081/" }
controls = { 128 = { command = ["touch", "/tmp/told"] } }
[service.mule]
command = ["/opt/mainstay/mainstay-fixture", "ignore-signals"]
stop = { steps = [{ signal = "TERM", wait = "1s" }, { kill = "2s" }], timeout = "10s" }
"#;

macro_rules! machine {
    ($what:expr) => {
        machine!(boot $what)
    };
    ($how:ident $what:expr) => {
        match Machine::$how($what) {
            Ok(machine) => machine,
            Err(why) => skip!(why),
        }
    };
}

mod machine;
mod sandbox;

fn installed(machine: &Machine) {
    machine.write("/srv/shop/mainstay.toml", SHOP);
    machine.ok("cd /srv/shop && mainstay install --now");
}

fn status(machine: &Machine, user: &str) -> Value {
    let text = machine.ok(&format!("{user} mainstay status -s shop --json"));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["stacks"][0].clone()
}

fn service(stack: &Value, name: &str) -> Value {
    let services = stack["services"].as_array().expect("services").clone();
    services.into_iter().find(|service| service["name"] == name).expect("the service")
}

/// Makes an ordinary user whose own systemd runs; what a command of hers begins with.
fn ann(machine: &Machine) -> &'static str {
    let ann = "setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann USER=ann XDG_RUNTIME_DIR=/run/user/$(id -u ann)";
    machine.ok("useradd -m ann && loginctl enable-linger ann");
    eventually("ann's own systemd", || {
        (machine.sh(&format!("{ann} systemctl --user is-system-running")).stdout.trim() == "running")
            .then_some(())
    });
    ann
}

/// What the journal has of the stack with these fields.
fn entries(machine: &Machine, fields: &str) -> Vec<Value> {
    let text = machine.ok(&format!("journalctl -u shop --no-pager -o json {fields}"));
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Started with a configuration that is wrong by now, it has the plan of before, and says so wherever events are.
fn starts_with_the_plan_of_before(machine: &Machine) {
    machine.write("/srv/shop/mainstay.toml", "name = \"shop\"\n[service.web]\ncommand = 7\n");
    machine.ok("mainstay start shop");
    let told = "the plan that was accepted last is used";
    let refused = entries(machine, "MAINSTAY_EVENT=10");
    assert!(refused.iter().any(|entry| entry["MESSAGE"].to_string().contains(told)), "{refused:?}");
    assert!(machine.ok("mainstay events -s shop").contains(told));
    machine.ok("mainstay stop shop");
    machine.write("/srv/shop/mainstay.toml", SHOP);
}

#[test]
fn installed_crashed_and_stopped() {
    let machine = machine!("run");
    installed(&machine);
    for (property, value) in [
        ("ActiveState", "active"),
        ("UnitFileState", "enabled"),
        ("Type", "notify"),
        ("Delegate", "yes"),
        ("KillMode", "mixed"),
        ("Restart", "on-failure"),
        ("WatchdogUSec", "1min"),
    ] {
        assert_eq!(machine.property("shop", property), value, "{property}");
    }
    // Ready means the services.
    let stack = status(&machine, "");
    assert_eq!(service(&stack, "web")["state"], "ready", "{stack}");
    let services = machine.fixtures();
    assert_eq!(services.len(), 2);

    // An operator's drop-in is theirs, and a second install changes nothing.
    machine.write("/etc/systemd/system/shop.service.d/limits.conf", "[Service]\nNice=5\n");
    machine.ok("systemctl daemon-reload");
    assert!(machine.ok("mainstay install -f /srv/shop/mainstay.toml").contains("is installed so already"));
    assert_eq!(machine.property("shop", "Nice"), "5");

    let keeper = machine.property("shop", "MainPID");
    let system: Value =
        serde_json::from_str(&machine.ok("mainstay status --system --json shop")).expect("JSON");
    let system = &system["services"][0];
    for (name, value) in [
        ("manager", "systemd"),
        ("name", "shop"),
        ("state", "running"),
        ("start", "auto"),
        ("type", "notify"),
        ("account", "root"),
        ("failure_actions", "restart on-failure after 1s"),
    ] {
        assert_eq!(system[name], value, "{name} in {system}");
    }
    assert_eq!(system["process"].to_string(), keeper);
    assert!(system["drop_ins"][0].as_str().is_some_and(|path| path.ends_with("limits.conf")), "{system}");
    machine.ok("mainstay control shop 128");
    eventually("the control's command", || (machine.sh("test -e /tmp/told").code == Some(0)).then_some(()));
    machine.write("/srv/shop/mainstay.toml", "name = \"shop\"\n[service.web]\ncommand = 7\n");
    machine.ok("mainstay control shop paramchange");
    eventually("the wrong configuration is refused", || {
        machine.ok("mainstay events -s shop").contains("refused").then_some(())
    });
    machine.write("/srv/shop/mainstay.toml", SHOP);
    assert_eq!(machine.property("shop", "MainPID"), keeper, "no signal ended it");
    let done = machine.sh("mainstay control shop 200");
    assert!(done.code == Some(2) && done.stderr.contains("systemd knows 6, 128 and 129"), "{done:?}");

    // The daemon dies, and nothing else notices.
    machine.ok(&format!("kill -9 {}", stack["daemon"]["pid"]));
    eventually("another daemon", || {
        let now = status(&machine, "");
        (now["daemon"]["pid"] != stack["daemon"]["pid"]).then_some(())
    });
    assert_eq!(machine.fixtures(), services);
    assert_eq!(machine.property("shop", "MainPID"), keeper);
    assert!(!entries(&machine, "MAINSTAY_EVENT=20").is_empty(), "the journal knows of the other daemon");

    // A service crashes: the journal has what an operator looks for.
    let web = service(&status(&machine, ""), "web")["pid"].clone();
    machine.ok(&format!("kill -9 {web}"));
    let crash = eventually("the crash is in the journal", || {
        entries(&machine, "MAINSTAY_EVENT=110 MAINSTAY_SERVICE=web").pop()
    });
    assert_eq!(crash["MAINSTAY_SIGNAL"], "9", "{crash}");
    assert_eq!((&crash["PRIORITY"], &crash["MAINSTAY_STACK"]), (&"3".into(), &"shop".into()));
    assert!(crash["MESSAGE"].as_str().is_some_and(|text| text.starts_with("web of stack shop crashed with")));
    eventually("it is ready again", || {
        (service(&status(&machine, ""), "web")["state"] == "ready").then_some(())
    });
    let services = machine.fixtures();

    // The keeper dies; systemd starts another, and nothing runs twice.
    machine.ok(&format!("kill -9 {keeper}"));
    eventually("another keeper", || {
        let active = machine.property("shop", "ActiveState") == "active";
        (active && machine.property("shop", "MainPID") != keeper).then_some(())
    });
    let again = machine.fixtures();
    assert!(again.len() == 2 && again.iter().all(|pid| !services.contains(pid)), "{services:?} {again:?}");

    // One that hears nothing is ended in its own time, and systemd has nothing to kill.
    machine.ok("systemctl stop shop");
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    assert_eq!(
        (machine.property("shop", "Result"), machine.property("shop", "ActiveState")),
        ("success".into(), "inactive".into())
    );
    assert!(!entries(&machine, "MAINSTAY_EVENT=103 MAINSTAY_SERVICE=mule").is_empty(), "who stopped it");
    assert!(!entries(&machine, "MAINSTAY_EVENT=14").is_empty(), "the last word");
    let journal = machine.ok("journalctl -u shop --no-pager");
    assert!(!journal.contains("Failed to kill") && !journal.contains("timed out"), "{journal}");

    starts_with_the_plan_of_before(&machine);

    // By our own commands, by name and from anywhere.
    assert_eq!(machine.ok("cd / && mainstay start shop"), "shop: started\n");
    assert_eq!(machine.property("shop", "ActiveState"), "active");
    assert!(machine.ok("cd / && mainstay list").contains("running, at boot"));
    machine.ok("mainstay stop shop/web && mainstay start shop");
    assert_eq!(service(&status(&machine, ""), "web")["state"], "ready");
    assert_eq!(machine.ok("mainstay restart shop"), "shop: restarted\n");
    assert_eq!(machine.ok("mainstay stop shop"), "shop: stopped\n");
    assert_eq!(machine.property("shop", "ActiveState"), "inactive");
}

struct Container {
    machine: Machine,
    name: &'static str,
}

impl World for Container {
    fn mainstay(&self, arguments: &[&str]) -> Outcome {
        let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        self.machine.sh(&format!("mkdir -p /srv/checks && cd /srv/checks && mainstay {}", words.join(" ")))
    }

    fn configure(&self, text: &str) {
        let text = text.replace("FIXTURE", "/opt/mainstay/mainstay-fixture");
        self.machine.write("/srv/checks/mainstay.toml", &text);
    }

    fn native(&self) -> String {
        match self.machine.property(self.name, "LoadState").as_str() {
            "not-found" => "not installed".to_owned(),
            _ => match self.machine.property(self.name, "ActiveState").as_str() {
                "active" => "running".to_owned(),
                "inactive" => "stopped".to_owned(),
                other => other.to_owned(),
            },
        }
    }

    fn tool(&self, verb: &str) {
        self.machine.ok(&format!("systemctl {verb} {}", self.name));
    }

    fn revives(&self) -> bool {
        true
    }

    fn kill(&self, pid: u64) {
        self.machine.ok(&format!("kill -9 {pid}"));
    }

    fn processes(&self) -> usize {
        self.machine.fixtures().len()
    }
}

/// The same list as on Windows, tests/scm.rs.
#[test]
fn an_installed_stack_passes_every_check() {
    let machine = machine!("checks");
    check(&Container { machine, name: "checks" }, "checks");
}

/// Credentials of the stack's unit, one that systemd decrypts among them, in the file and the environment of a program.
#[test]
fn credentials_of_systemd_reach_the_programs() {
    let machine = machine!("credentials");
    machine.write(
        "/srv/shop/mainstay.toml",
        r#"name = "shop"
[secrets]
plain = { credential = "plain-key" }
sealed = { credential = "sealed-key" }
[service.web]
command = ["/opt/mainstay/mainstay-fixture", "sleep"]
environment = { KEY = "${secret:plain}" }
config.files = [{ path = "keys", text = "{{ secret.plain }} {{ secret.sealed }}" }]
"#,
    );
    machine.write("/etc/plain-key", "first");
    machine.ok("printf second | systemd-creds encrypt --with-key=host --name=sealed-key - /etc/sealed-key");
    let credentials =
        "LoadCredential=plain-key:/etc/plain-key\nLoadCredentialEncrypted=sealed-key:/etc/sealed-key\n";
    machine.write("/etc/systemd/system/shop.service.d/keys.conf", &format!("[Service]\n{credentials}"));
    machine.ok("cd /srv/shop && mainstay install --now");
    assert_eq!(machine.ok("cat /srv/shop/keys").trim(), "first second");
    assert_eq!(machine.ok("stat -c %a /srv/shop/keys").trim(), "600");
    let web = service(&status(&machine, ""), "web");
    let environment = machine.ok(&format!("tr '\\0' '\\n' < /proc/{}/environ", web["pid"]));
    assert!(environment.lines().any(|line| line == "KEY=first"), "{environment}");
}

#[test]
fn it_comes_up_by_itself_after_a_reboot() {
    let machine = machine!("boot");
    installed(&machine);
    machine.reboot();
    assert_eq!(
        machine.property("shop", "ActiveState"),
        "active",
        "{}",
        machine.ok("journalctl -u shop --no-pager")
    );
    let stack = status(&machine, "");
    assert_eq!(service(&stack, "web")["state"], "ready", "{stack}");
    assert_eq!(machine.fixtures().len(), 2);
    // Disabled, it stays down.
    machine.ok("cd /srv/shop && mainstay install --start manual");
    assert_eq!(machine.property("shop", "UnitFileState"), "disabled");
    machine.reboot();
    assert_eq!(machine.property("shop", "ActiveState"), "inactive");
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
}

#[test]
fn an_upgrade_leaves_the_services_running() {
    let machine = machine!("upgrade");
    machine.ok("cp /opt/mainstay/mainstay /usr/local/bin/mainstay");
    machine.write("/srv/shop/mainstay.toml", SHOP);
    machine.ok("cd /srv/shop && /usr/local/bin/mainstay install --now");
    let (before, keeper) = (machine.fixtures(), machine.property("shop", "MainPID"));
    let daemon = status(&machine, "")["daemon"]["pid"].clone();
    // As a package does it: another file under the same name.
    machine
        .ok("cp /opt/mainstay/mainstay /usr/local/bin/new && mv /usr/local/bin/new /usr/local/bin/mainstay");
    machine.ok("/usr/local/bin/mainstay upgrade -s shop");
    let stack = status(&machine, "");
    assert_ne!(stack["daemon"]["pid"], daemon);
    assert_eq!((machine.fixtures(), machine.property("shop", "MainPID")), (before, keeper));
    assert_eq!(machine.property("shop", "ActiveState"), "active");
    machine.ok("/usr/local/bin/mainstay stop shop");
}

/// Files that are there now and were not before, and the other way round.
fn difference(machine: &Machine, before: &str) -> Vec<String> {
    let now = machine.ok(FILES);
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), now.lines().collect());
    let (come, gone) = (new.difference(&old), old.difference(&new));
    come.map(|line| format!("+ {line}")).chain(gone.map(|line| format!("- {line}"))).collect()
}

const NOTHING: Vec<String> = Vec::new();

/// All files of the machine that an installation could leave.
const FILES: &str = "find /etc /usr /opt /root /srv /var /run /home -xdev \\( -path /var/log/journal -o \
    -path /run/log -o -path /run/systemd -o -path '/var/lib/systemd' -o -path '/run/user/*/systemd' -o -path /var/tmp -o \
    -path /opt/mainstay \\) -prune -o -print | sort";

#[test]
fn nothing_is_left_behind() {
    let machine = machine!("gone");
    machine.write("/srv/shop/mainstay.toml", SHOP);
    let before = machine.ok(FILES);
    machine.ok("cd /srv/shop && mainstay install --now");
    assert_ne!(difference(&machine, &before), NOTHING);
    let said = machine.ok("mainstay uninstall --dry-run --purge shop");
    assert!(
        said.contains("would stop shop") && said.contains("would remove /etc/systemd/system/shop.service"),
        "{said}"
    );
    machine.ok("mainstay uninstall --purge shop");
    assert_eq!(difference(&machine, &before), NOTHING);
    assert_eq!(machine.property("shop", "LoadState"), "not-found");
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    assert!(machine.ok("mainstay uninstall shop").contains("is not installed"));

    // One program, in NSSM's order, changed by our commands, and its configuration goes with it.
    machine.ok("mainstay install --now api /opt/mainstay/mainstay-fixture sleep");
    machine.ok("mainstay set api environment.PORT=8080 && mainstay restart api");
    assert_eq!(machine.ok("mainstay get api environment.PORT").trim(), "8080");
    let pid = machine.fixtures()[0];
    assert!(machine.ok(&format!("tr '\\0' '\\n' < /proc/{pid}/environ")).contains("PORT=8080"));
    // The same again with other arguments keeps what was set.
    machine.ok("mainstay install api /opt/mainstay/mainstay-fixture sleep 100");
    assert_eq!(machine.ok("mainstay get api environment.PORT").trim(), "8080");
    machine.ok("mainstay uninstall --purge api");
    assert_eq!(difference(&machine, &before), NOTHING);
}

#[test]
fn what_cannot_be_changes_nothing_and_says_why() {
    let machine = machine!("wrong");
    machine.write("/srv/shop/mainstay.toml", SHOP);
    machine.ok("useradd -m ann");
    let before = machine.ok(FILES);
    let done = machine.sh(
        "cd /srv/shop && setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann mainstay install",
    );
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("takes root: run it again with sudo"), "{done:?}");
    assert_eq!(machine.ok("find /home/ann -name '*mainstay*'"), "");
    // Somebody else's unit.
    machine.write("/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/true\n");
    let done = machine.sh("cd /srv/shop && mainstay install");
    assert!(done.code == Some(1) && done.stderr.contains("was not made by"), "{done:?}");
    machine.ok("rm /etc/systemd/system/shop.service");
    // A systemd that refuses takes everything back.
    machine.ok("mkdir -p /etc/systemd/system/multi-user.target.wants/shop.service");
    let done = machine.sh("cd /srv/shop && mainstay install");
    assert!(done.code == Some(1) && done.stderr.contains("nothing was changed"), "{done:?}");
    machine.ok("rmdir /etc/systemd/system/multi-user.target.wants/shop.service");
    assert_eq!(difference(&machine, &before), NOTHING);

    // A configuration that is gone when it is to start: it says so, and is not tried for ever.
    machine.ok("cd /srv/shop && mainstay install && mv mainstay.toml gone");
    let done = machine.sh("mainstay start shop");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(machine.property("shop", "ActiveState"), "failed");
    assert_eq!(machine.property("shop", "NRestarts"), "0");
    let journal = machine.ok("journalctl -u shop --no-pager");
    assert!(journal.contains("/srv/shop/mainstay.toml"), "{journal}");
}

#[test]
fn a_service_of_one_user() {
    let machine = machine!("user");
    let ann = ann(&machine);
    machine.write("/home/ann/mainstay.toml", SHOP);
    let home = format!("cd /home/ann && {ann}");
    assert!(
        machine.ok(&format!("{home} USER=bob mainstay install --user --dry-run")).contains("enable-linger")
    );
    assert!(!machine.ok(&format!("{home} mainstay install --user --now")).contains("enable-linger"));
    let stack = status(&machine, ann);
    assert_eq!(service(&stack, "web")["state"], "ready", "{stack}");
    let all = machine.ok(&format!("{ann} systemctl --user show -p ActiveState,UnitFileState,KillMode shop"));
    assert!(all.contains("ActiveState=active") && all.contains("UnitFileState=enabled"), "{all}");
    machine.reboot();
    let stack = eventually("ann's stack is up again", || {
        let done = machine.sh(&format!("{ann} mainstay status -s shop --json"));
        let value: Value = serde_json::from_str(&done.stdout).ok()?;
        Some(value["stacks"][0].clone())
    });
    assert_eq!(stack["services"].as_array().map(Vec::len), Some(2));
    machine.ok(&format!("{ann} mainstay stop shop"));
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    machine.ok(&format!("{ann} mainstay uninstall --purge shop"));
    let left = machine.ok("find /home/ann -name '*shop*' -o -name '*mainstay-*'");
    assert_eq!(left, "");
}

#[test]
fn a_host_without_systemd() {
    let machine = machine!(bare "init");
    machine.write("/srv/shop/mainstay.toml", SHOP);
    let before = machine.ok(FILES);
    let said = machine.ok("cd /srv/shop && mainstay install");
    assert!(
        said.contains("write /etc/init.d/shop") && said.contains("run update-rc.d shop defaults"),
        "{said}"
    );
    assert!(machine.ok("cd /srv/shop && mainstay install").contains("is installed so already"));
    assert_eq!(machine.sh("/etc/init.d/shop status").code, Some(3));
    let keeper_now =
        || machine.sh("/etc/init.d/shop status").stdout.trim().rsplit(' ').next().map(str::to_owned);
    let up = |boot: &str| {
        machine.ok(boot);
        // Started is ready.
        assert_eq!(service(&status(&machine, ""), "web")["state"], "ready", "after {boot}");
        assert_eq!(machine.fixtures().len(), 2);
        keeper_now().expect("a number")
    };
    // As the system's init does it at boot.
    let keeper = up("for script in /etc/rc2.d/S*shop; do $script start; done");
    assert!(machine.ok("mainstay list").contains("running"));
    assert!(machine.ok("mainstay status --system shop").contains("/etc/init.d/shop"));
    machine.ok("mainstay start shop && /etc/init.d/shop start");
    assert_eq!(keeper_now().as_ref(), Some(&keeper), "one keeper");

    // The keeper dies: another one takes its place.
    let services = machine.fixtures();
    machine.ok(&format!("kill -9 {keeper}"));
    eventually("another keeper", || {
        let now = machine.fixtures();
        (keeper_now().as_ref() != Some(&keeper)
            && now.len() == 2
            && now.iter().all(|pid| !services.contains(pid)))
        .then_some(())
    });
    machine.ok("mainstay stop shop");
    assert_eq!((machine.fixtures(), machine.sh("/etc/init.d/shop status").code), (Vec::new(), Some(3)));

    // After a boot a number in a file that was left is somebody else's.
    up("mainstay start shop");
    machine.ok("cp /run/shop.pid /srv/left");
    machine.reboot();
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    machine.ok("cp /srv/left /run/shop.pid && rm /srv/left");
    assert_eq!(machine.sh("/etc/init.d/shop status").code, Some(3));
    up("/etc/init.d/shop start");
    machine.ok("mainstay restart shop");

    // One that cannot start says why.
    machine.ok(
        "mainstay stop shop && mv /srv/shop/mainstay.toml /srv/gone && rm -r /var/lib/mainstay/shop/plan*",
    );
    let done = machine.sh("mainstay start shop");
    assert!(done.code == Some(1) && done.stderr.contains("mainstay.toml"), "{done:?}");
    machine.ok("mv /srv/gone /srv/shop/mainstay.toml && mainstay start shop");
    machine.ok("mainstay uninstall --purge shop");
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    assert_eq!(difference(&machine, &before), NOTHING);
}
