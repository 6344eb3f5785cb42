//! A machine with a systemd of its own: `systemd-nspawn` on a root folder that `cargo xtask test` has made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mainstay_e2e::{Outcome, eventually, program};

/// The root folder. Nothing is written to it: each machine has a layer over it.
const ROOT: &str = "/var/lib/mainstay-test/systemd";

/// Boots, and boots again when the machine asks for it. In a mount and process namespace of its own, so that all of it goes
/// with it. systemd wants cgroup v2 alone.
const BOOT: &str = r#"
    work=$1 name=$2 programs=$3 root=$4 kind=$5
    umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup || exit 125
    mkdir -p "/sys/fs/cgroup/$name" && echo 0 > "/sys/fs/cgroup/$name/cgroup.procs" || exit 125
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root" || exit 125
    nspawn() {
        systemd-nspawn -q -D "$work/root" --machine="$name" --register=no --keep-unit --private-network \
            --console=pipe --bind-ro="$programs:/opt/mainstay" "$@"
    }
    if [ "$kind" = systemd ]; then
        while nspawn -b; [ $? = 133 ]; do :; done
    else
        while :; do nspawn --as-pid2 sleep 1d; done
    fi
"#;

/// One that runs. It is gone, with all that ran in it, when it is dropped.
pub struct Machine {
    child: Child,
    name: String,
    work: tempfile::TempDir,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Systemd,
    /// Nothing runs but what a test starts.
    Bare,
}

impl Machine {
    /// Boots one; none where that cannot be.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn boot(what: &str) -> Result<Machine, &'static str> {
        Machine::start(what, Kind::Systemd)
    }

    /// The same without a systemd that runs: no service manager at all.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn bare(what: &str) -> Result<Machine, &'static str> {
        Machine::start(what, Kind::Bare)
    }

    fn start(what: &str, kind: Kind) -> Result<Machine, &'static str> {
        Machine::possible()?;
        let work = tempfile::Builder::new().prefix("mst-machine").tempdir().expect("a directory");
        for dir in ["upper", "work", "root"] {
            fs::create_dir(work.path().join(dir)).expect("a directory");
        }
        let name = format!("mst-{what}-{}", std::process::id());
        let programs = program("mainstay");
        let log = fs::File::create(work.path().join("console")).expect("a file");
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child"])
            .args(["sh", "-c", BOOT, "sh"])
            .arg(work.path())
            .arg(&name)
            .arg(programs.parent().expect("a directory"))
            .arg(ROOT)
            .arg(if kind == Kind::Systemd { "systemd" } else { "bare" })
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("unshare runs");
        let machine = Machine { child, name, work, kind };
        machine.until_up(None);
        Ok(machine)
    }

    fn possible() -> Result<(), &'static str> {
        if !is_root() {
            return Err("a machine of its own takes root");
        }
        let has = |program: &str| Path::new("/usr/bin").join(program).exists();
        if !has("systemd-nspawn") || !has("unshare") || !has("nsenter") {
            return Err("there is no systemd-nspawn here (Debian's package systemd-container)");
        }
        const TRY: &str =
            "umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup";
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--mount-proc",
            "--fork",
            "sh",
            "-c",
            TRY,
        ]);
        if !unshare.output().is_ok_and(|done| done.status.success()) {
            return Err("namespaces and mounts are not to be had here");
        }
        if !Path::new(ROOT).join("usr/lib/systemd/systemd").exists() {
            return Err("`cargo xtask test linux` has not made the root folder");
        }
        Ok(())
    }

    /// Waits until it has booted; it is another boot than that of `before`.
    fn until_up(&self, before: Option<u32>) {
        eventually("the machine is up", || {
            let init = self.init().filter(|init| Some(*init) != before)?;
            if self.kind == Kind::Bare {
                return Some(());
            }
            let said = inside(init, &["systemctl", "is-system-running"]).stdout;
            matches!(said.trim(), "running" | "degraded").then_some(())
        });
    }

    /// Its process 1, as it is called outside.
    fn init(&self) -> Option<u32> {
        let mut waiting = vec![self.child.id()];
        while let Some(pid) = waiting.pop() {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let found = match self.kind {
                Kind::Systemd => read("comm").trim() == "systemd",
                Kind::Bare => read("cmdline") == "sleep\x001d\0",
            };
            if found {
                return Some(pid);
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            waiting.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        None
    }

    /// Reboots it, as an administrator does.
    pub fn reboot(&self) {
        let before = self.init();
        match (self.kind, before) {
            (Kind::Systemd, _) => drop(self.sh("systemctl reboot")),
            // What it runs goes with its first process.
            (Kind::Bare, Some(init)) => mainstay_e2e::kill(init),
            (Kind::Bare, None) => {}
        }
        self.until_up(before);
    }

    /// Runs a script in it as root, with the programs in PATH.
    pub fn sh(&self, script: &str) -> Outcome {
        let init = self.init().unwrap_or_else(|| panic!("the machine is down:\n{}", self.console()));
        let by_systemd =
            ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--expand-environment=no"];
        let with: Vec<String> = ENVIRONMENT.iter().map(|set| format!("--setenv={set}")).collect();
        let mut words: Vec<&str> = match self.kind {
            // As a unit of its own, so that systemd knows who asks.
            Kind::Systemd => by_systemd.into_iter().chain(with.iter().map(String::as_str)).collect(),
            Kind::Bare => ["env"].into_iter().chain(ENVIRONMENT).collect(),
        };
        words.extend(["sh", "-c", script]);
        inside(init, &words)
    }

    /// The same; what it wrote. Panics if it fails.
    #[track_caller]
    pub fn ok(&self, script: &str) -> String {
        let done = self.sh(script);
        assert_eq!(
            done.code,
            Some(0),
            "{script}\n{}{}\n{}",
            done.stdout,
            done.stderr,
            self.sh("journalctl -n 30 --no-pager").stdout
        );
        done.stdout
    }

    /// Writes a file in it, and the directory that it is in.
    pub fn write(&self, path: &str, text: &str) {
        let upper = PathBuf::from(format!("/proc/{}/root{path}", self.init().expect("it is up")));
        fs::create_dir_all(upper.parent().expect("a directory")).expect("a directory");
        fs::write(upper, text).expect("a file");
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.ok(&format!("systemctl show --value -p {property} {unit}")).trim().to_owned()
    }

    /// The process ids inside of all processes made from the fixture, sorted.
    pub fn fixtures(&self) -> Vec<u32> {
        let list = "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */mainstay-fixture) echo ${p#/proc/};; esac; done";
        let mut pids: Vec<u32> =
            self.ok(list).split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
        pids.sort_unstable();
        pids
    }

    fn console(&self) -> String {
        fs::read_to_string(self.work.path().join("console")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // unshare takes the first process of the namespace with it, and that all the others.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let dir = Path::new(mount).join(&self.name);
            if dir.exists() {
                eventually("its cgroups are empty", || remove_tree(&dir).ok());
            }
        }
    }
}

/// Directories of cgroups have files that cannot be removed, and go all the same.
fn remove_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

const ENVIRONMENT: [&str; 4] =
    ["PATH=/opt/mainstay:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "NO_COLOR=1", "HOME=/root"];

fn inside(init: u32, words: &[&str]) -> Outcome {
    let output = Command::new("nsenter")
        .args(["--target", &init.to_string(), "--all", "--", "env", "-i", "PATH=/usr/bin:/bin"])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("nsenter runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
