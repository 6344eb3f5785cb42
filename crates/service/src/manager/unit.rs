//! The text of a systemd unit, and of an init script. Pure.

use std::fmt::Write;
use std::time::Duration;

use crate::definition::{Action, Definition, Dependency, KillMode, Start};

/// The first line of what we have made. What lacks it is somebody else's.
pub(super) const MARK: &str = "# Made by mainstay-service";

/// The unit of a service.
pub(super) fn unit(definition: &Definition, user: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_unit(&mut text, definition, user);
    text
}

fn write_unit(text: &mut String, definition: &Definition, user: bool) -> std::fmt::Result {
    let name = &definition.name;
    let edit = if user { "systemctl --user edit" } else { "systemctl edit" };
    writeln!(text, "{MARK}. Your changes belong into a drop-in: {edit} {name}")?;
    writeln!(text, "[Unit]\nDescription={}", plain(&definition.description))?;
    if !user {
        writeln!(text, "Wants=network-online.target\nAfter=network-online.target")?;
    }
    for dependency in &definition.depends_on {
        let unit = match dependency {
            Dependency::Service(unit) if unit.contains('.') => plain(unit),
            Dependency::Service(unit) => format!("{}.service", plain(unit)),
            Dependency::Group(unit) if unit.contains('.') => plain(unit),
            Dependency::Group(unit) => format!("{}.target", plain(unit)),
        };
        writeln!(text, "Requires={unit}\nAfter={unit}")?;
    }
    // It is to be started again for ever, not five times.
    writeln!(text, "StartLimitIntervalSec=0\n\n[Service]")?;
    if definition.notify {
        writeln!(text, "Type=notify\nNotifyAccess=main")?;
    } else {
        writeln!(text, "Type=exec")?;
    }
    write!(text, "ExecStart={}", word(&definition.program.to_string_lossy()))?;
    for argument in &definition.arguments {
        write!(text, " {}", word(argument))?;
    }
    writeln!(text)?;
    if let Some(directory) = &definition.working_dir {
        writeln!(text, "WorkingDirectory={}", plain(&directory.to_string_lossy()))?;
    }
    for (name, value) in &definition.environment {
        // A dollar means nothing there.
        writeln!(text, "Environment={}", word(&format!("{name}={value}")).replace("$$", "$"))?;
    }
    if let Some(account) = definition.account.as_ref().filter(|_| !user) {
        writeln!(text, "User={}", plain(account))?;
    }
    let first = definition.recovery.actions.first();
    if let Some((Action::Restart, delay)) = first {
        let when = if definition.recovery.also_failures { "on-failure" } else { "on-abnormal" };
        writeln!(text, "Restart={when}\nRestartSec={}", seconds(*delay))?;
        if !definition.final_codes.is_empty() {
            let codes: Vec<String> = definition.final_codes.iter().map(ToString::to_string).collect();
            writeln!(text, "RestartPreventExitStatus={}", codes.join(" "))?;
        }
    }
    if definition.recovery.actions.iter().any(|(action, _)| *action == Action::Reboot) {
        writeln!(text, "FailureAction=reboot")?;
    }
    let start = definition.start_timeout.map_or_else(|| "infinity".to_owned(), seconds);
    writeln!(text, "TimeoutStartSec={start}\nTimeoutStopSec={}", seconds(definition.stop_timeout))?;
    if let Some(watchdog) = definition.watchdog {
        writeln!(text, "WatchdogSec={}", seconds(watchdog))?;
    }
    let mode = match definition.kill_mode {
        KillMode::ControlGroup => "control-group",
        KillMode::Mixed => "mixed",
        KillMode::Process => "process",
    };
    writeln!(text, "KillMode={mode}")?;
    if definition.delegate {
        writeln!(text, "Delegate=yes")?;
    }
    for line in &definition.unit_lines {
        writeln!(text, "{}", line.replace(['\n', '\r'], " "))?;
    }
    let target = if user { "default.target" } else { "multi-user.target" };
    writeln!(text, "\n[Install]\nWantedBy={target}")
}

/// Whether a unit is to be started at boot.
pub(super) fn at_boot(definition: &Definition) -> bool {
    matches!(definition.start, Start::Automatic | Start::Delayed)
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{}s", time.as_secs()) } else { format!("{}ms", time.as_millis()) }
}

/// One line, in which systemd sees no specifier.
fn plain(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('%', "%%")
}

/// One word of a command line, whatever is in it.
fn word(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '$' => quoted.push_str("$$"),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    // Needless quotes only make it harder to read.
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    if !text.is_empty() && text.chars().all(simple) { text.to_owned() } else { quoted }
}

/// A script for `/etc/init.d`, with the header that Debian's and others' tools read. It starts the program again when that
/// dies, since nobody else does.
pub(super) fn init_script(definition: &Definition) -> String {
    let name = &definition.name;
    let required: String = definition
        .depends_on
        .iter()
        .map(|dependency| match dependency {
            Dependency::Service(name) => format!(" {name}"),
            Dependency::Group(name) => format!(" ${name}"),
        })
        .collect();
    let words = std::iter::once(definition.program.to_string_lossy().into_owned())
        .chain(definition.arguments.iter().cloned())
        .map(|word| shell(&word));
    let owner = shell(definition.account.as_deref().unwrap_or("root"));
    let mut command = words.collect::<Vec<_>>().join(" ");
    if let Some(account) = &definition.account {
        let account = shell(account);
        command =
            format!("setpriv --reuid={account} --regid=\"$(id -g {account})\" --init-groups -- {command}");
    }
    let mut set_up = String::new();
    if let Some(directory) = &definition.working_dir {
        let _ = writeln!(set_up, "    cd {} || exit 1", shell(&directory.to_string_lossy()));
    }
    for (name, value) in &definition.environment {
        let _ = writeln!(set_up, "    export {name}={}", shell(value));
    }
    let again = match definition.recovery.actions.first() {
        Some((Action::Restart, delay)) => {
            let last: Vec<String> = definition.final_codes.iter().map(ToString::to_string).collect();
            let last = if last.is_empty() { "0".to_owned() } else { format!("0|{}", last.join("|")) };
            format!("case $code in {last}) exit \"$code\" ;; esac\n        sleep {}", delay.as_secs().max(1))
        }
        _ => "exit \"$code\"".to_owned(),
    };
    INIT_SCRIPT
        .replace("@mark@", MARK)
        .replace("@name@", name)
        .replace("@required@", &required)
        .replace("@description@", &definition.description.replace(['\n', '\r'], " "))
        .replace("@owner@", &owner)
        .replace("@start_limit@", &start_limit(definition).to_string())
        .replace("@limit@", &definition.stop_timeout.as_secs().max(1).to_string())
        .replace("@set_up@\n", &set_up)
        .replace("@again@", &again)
        .replace("@command@", &command)
}

/// How many seconds a start waits until the program says that it is ready; 0: it does not say so.
fn start_limit(definition: &Definition) -> u64 {
    const FOR_EVER: u64 = 1_000_000_000;
    match (definition.notify, definition.start_timeout) {
        (false, _) => 0,
        (true, None) => FOR_EVER,
        (true, Some(limit)) => limit.as_secs().max(1),
    }
}

const INIT_SCRIPT: &str = r#"#!/bin/sh
@mark@
### BEGIN INIT INFO
# Provides:          @name@
# Required-Start:    $remote_fs $network@required@
# Required-Stop:     $remote_fs $network@required@
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @description@
### END INIT INFO
PIDFILE=/run/@name@.pid
# What it said since its last start.
OUTPUT=/run/@name@.out
# The program writes into it when it is ready.
READY=/run/@name@.ready

# When a process was started: its number may be another's by now.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# Whether it runs; $pid watches over it, $child is the program itself.
runs() {
    pid= born= child=
    { read -r pid born child < "$PIDFILE"; } 2>/dev/null
    [ -n "$pid" ] && [ "$(born "$pid")" = "$born" ]
}

start() {
    runs && return 0
    : > "$READY" && chown @owner@ "$READY"
    setsid "$0" watch </dev/null >"$OUTPUT" 2>&1 &
    watcher=$!
    for _ in 1 2 3 4 5; do
        sleep 1
        runs && kill -0 "$child" 2>/dev/null && until_ready && return 0
        kill -0 "$watcher" 2>/dev/null || break
    done
    cat "$OUTPUT" >&2
    return 1
}

# Waits until it is ready, if it tells that, but not for ever: what starts after it at boot is better off trying.
until_ready() {
    left=@start_limit@
    while [ "$left" -gt 0 ] && [ ! -s "$READY" ]; do
        kill -0 "$watcher" 2>/dev/null || return 1
        left=$((left - 1))
        sleep 1
    done
    [ @start_limit@ -eq 0 ] || [ -s "$READY" ] || echo "@name@ runs, but is not ready after @start_limit@ s" >&2
}

watch() {
@set_up@
    own="$$ $(born $$)"
    child= stopping=
    trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
    while [ -z "$stopping" ]; do
        SERVICE_READY_FILE="$READY" @command@ &
        child=$!
        [ -z "$stopping" ] || kill -TERM "$child"
        echo "$own $child" > "$PIDFILE"
        wait "$child"
        code=$?
        # A signal ends the waiting, not the program.
        while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
        [ -z "$stopping" ] || break
        @again@
    done
    exit 0
}

stop() {
    runs || return 0
    kill -TERM "$pid"
    left=@limit@
    while runs; do
        [ "$left" -gt 0 ] || kill -KILL "$pid" "$child"
        left=$((left - 1))
        sleep 1
    done
    rm -f "$PIDFILE" "$OUTPUT" "$READY"
}

case "$1" in
    start) start ;;
    stop) stop ;;
    restart|force-reload) stop; start ;;
    status) if runs; then echo "@name@ runs, process $child"; else echo "@name@ is stopped"; exit 3; fi ;;
    watch) watch ;;
    *) echo "usage: $0 start|stop|restart|status" >&2; exit 2 ;;
esac
"#;

/// One word for a shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Definition {
        Definition {
            display_name: Some("Shop".into()),
            description: "Sells 100% of it".into(),
            arguments: vec!["--config".into(), "a b\"c$HOME\\%n".into(), String::new()],
            working_dir: Some("/srv/my shop".into()),
            environment: [("PORT".into(), "80 80".into()), ("D".into(), "a$b".into())].into(),
            account: Some("shop".into()),
            depends_on: vec![
                Dependency::Service("postgresql".into()),
                Dependency::Service("docker.socket".into()),
                Dependency::Group("network-online".into()),
            ],
            start_timeout: None,
            watchdog: Some(Duration::from_millis(1500)),
            delegate: true,
            kill_mode: KillMode::Mixed,
            unit_lines: vec!["OOMPolicy=continue".into()],
            final_codes: vec![2, 4],
            ..Definition::new("shop", "/usr/local/bin/shop")
        }
    }

    #[test]
    fn a_unit_for_the_machine() {
        insta::assert_snapshot!(unit(&full(), false));
    }

    #[test]
    fn a_unit_for_a_user() {
        insta::assert_snapshot!(unit(&Definition::new("shop", "/home/a/shop"), true));
    }

    #[test]
    fn a_script_for_hosts_without_systemd() {
        insta::assert_snapshot!(init_script(&full()));
    }
}
