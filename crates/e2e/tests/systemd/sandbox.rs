//! Sandboxes and accounts that nobody made, in stacks that systemd runs: of the machine, and of one user.

use mainstay_e2e::{eventually, skip};

use crate::machine::Machine;
use crate::{FILES, NOTHING, ann, difference, entries, service, status};

/// A server on a port that takes a right, one that tries what it must not, and one under nobody's account.
const STACK: &str = r#"name = "shop"
[service.web]
command = ["/opt/mainstay/mainstay-fixture", "web", "--port", "80"]
user = "daemon"
ready = { http = "http://127.0.0.1:80/" }
[service.web.sandbox]
capabilities = ["CAP_NET_BIND_SERVICE"]
no_new_privileges = true
protect_system = "strict"
protect_home = true
private_tmp = true
system_call_filter = "service"

[service.tries]
command = ["/bin/sh", "-c", '''
  for place in /etc /usr /root /tmp /srv/data /srv/closed; do
    (echo x > $place/left) 2>/dev/null && echo "wrote $place"
  done
  cat /srv/secret/key 2>/dev/null || echo "no key"
  mount -t tmpfs x /mnt 2>/dev/null || echo "no mount"
  mount -o remount,rw / 2>/dev/null || echo "no way back"
  echo done; exec sleep 1000''']
[service.tries.sandbox]
protect_system = "strict"
protect_home = true
private_tmp = true
read_write_paths = ["/srv/data"]
inaccessible_paths = ["/srv/secret"]
capabilities = ["CAP_DAC_OVERRIDE"]

[service.nobodys]
command = ["/bin/sh", "-c", '''
  cat "$STATE_DIRECTORY/kept" 2>/dev/null || echo "nothing is kept"
  echo "was kept" > "$STATE_DIRECTORY/kept"
  for place in /etc /srv/data /var/lib /tmp "$STATE_DIRECTORY" "$LOGS_DIRECTORY"; do
    (echo x > $place/left) 2>/dev/null && echo "wrote $place"
  done
  echo done; exec sleep 1000''']
working_dir = "/"
dynamic_user = true
"#;

/// What a service has said in its run number `runs`, and before.
fn said(machine: &Machine, name: &str, runs: usize) -> Vec<String> {
    let log = format!("/var/log/mainstay/shop/{name}.log");
    let text = eventually("it has said all", || {
        let text = machine.sh(&format!("cat {log}")).stdout;
        (text.matches("done\n").count() == runs).then_some(text)
    });
    text.lines().map(str::to_owned).collect()
}

fn own_of(machine: &Machine, name: &str) -> String {
    let pid = service(&status(machine, ""), name)["pid"].clone();
    machine.ok(&format!("grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status | tr '\\t' ' '"))
}

#[test]
fn a_sandbox_and_an_account_of_its_own_in_an_installed_stack() {
    let machine = machine!("sandbox");
    machine.ok("mkdir -p /srv/data /srv/closed /srv/secret && echo key > /srv/secret/key");
    machine.write("/srv/shop/mainstay.toml", STACK);
    let before = machine.ok(FILES);
    machine.ok("cd /srv/shop && mainstay install --now");

    // Ready: it took port 80, which an ordinary account does not get. No more than that is left to it.
    let web = own_of(&machine, "web");
    for line in ["Uid: 1 1 1 1", "CapEff: 0000000000000400", "NoNewPrivs: 1", "Seccomp: 2"] {
        assert!(web.contains(line), "{line} in {web}");
    }
    assert_eq!(
        said(&machine, "tries", 1),
        ["wrote /tmp", "wrote /srv/data", "no key", "no mount", "no way back", "done"]
    );
    assert_eq!(machine.sh("ls /tmp/left /etc/left /srv/closed/left").stdout, "");
    machine.ok("rm /srv/data/left");

    // Its number is nobody else's, and what it may write to is its own.
    let home = "/var/lib/mainstay-services/shop/nobodys";
    let places = [format!("wrote {home}/state"), format!("wrote {home}/logs")];
    let first = ["nothing is kept", "wrote /tmp", &places[0], &places[1], "done"];
    assert_eq!(said(&machine, "nobodys", 1), first);
    let number = machine.ok(&format!("stat -c '%u %g %a' {home}/state"));
    let number = number.trim().strip_suffix(" 700").and_then(|ids| ids.split_once(' ')).expect("700");
    assert_eq!(number.0, number.1);
    let own = own_of(&machine, "nobodys");
    assert!(own.contains(&format!("Uid: {0} {0} {0} {0}", number.0)), "{own}");
    for line in ["CapEff: 0000000000000000", "NoNewPrivs: 1"] {
        assert!(own.contains(line), "{line} in {own}");
    }
    assert_eq!(machine.sh(&format!("getent passwd {}", number.0)).stdout, "");

    // It stays its own over a reboot.
    machine.reboot();
    assert_eq!(said(&machine, "nobodys", 2)[5], "was kept");
    let own = own_of(&machine, "nobodys");
    assert!(own.contains(&format!("Uid: {} ", number.0)), "{own}");

    machine.ok("mainstay uninstall --purge shop && rm /srv/data/left");
    assert_eq!(difference(&machine, &before), NOTHING);
}

#[test]
fn the_stack_of_a_user_is_told_what_takes_root() {
    let machine = machine!("usersandbox");
    let ann = ann(&machine);
    let sleep = "command = [\"/opt/mainstay/mainstay-fixture\", \"sleep\"]";
    machine.write(
        "/home/ann/mainstay.toml",
        &format!(
            "name = \"shop\"\n[service.kept]\n{sleep}\n\
             sandbox = {{ no_new_privileges = true, system_call_filter = \"service\" }}\n\
             [service.files]\n{sleep}\nsandbox.protect_system = \"strict\"\n\
             [service.nobodys]\n{sleep}\ndynamic_user = true\n"
        ),
    );
    machine.sh(&format!("cd /home/ann && {ann} mainstay install --user --now"));
    let pid = eventually("what takes no root runs", || {
        let done = machine.sh(&format!("{ann} mainstay status -s shop --json"));
        let value: serde_json::Value = serde_json::from_str(&done.stdout).ok()?;
        service(&value["stacks"][0], "kept")["pid"].as_u64()
    });
    let own =
        machine.ok(&format!("grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status | tr '\\t' ' '"));
    assert_eq!(own, "CapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n");
    assert_eq!(machine.fixtures().len(), 1, "nothing runs with less than was written down");
    for (name, words) in [
        ("files", "can be had only by root"),
        ("nobodys", "only root can give a service an account of its own"),
    ] {
        eventually("the reason", || {
            let why = machine.sh(&format!("{ann} mainstay explain -s shop {name}")).stdout;
            // Lines end where the terminal does.
            why.split_whitespace().collect::<Vec<_>>().join(" ").contains(words).then_some(())
        });
        // Her journal has it too, under its number.
        let journal = format!("journalctl --no-pager -o cat MAINSTAY_EVENT=111 MAINSTAY_SERVICE={name}");
        eventually("an event", || machine.sh(&journal).stdout.contains(words).then_some(()));
    }
    machine.ok(&format!("{ann} mainstay uninstall --purge shop"));
    assert_eq!(machine.fixtures(), Vec::<u32>::new());
    assert_eq!(
        entries(&machine, "MAINSTAY_EVENT=111"),
        Vec::<serde_json::Value>::new(),
        "none of root's stack"
    );
}
