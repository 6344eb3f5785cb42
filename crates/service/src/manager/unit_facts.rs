//! All that systemd knows of a unit, in the words that the SCM's facts have, and in others where the SCM has no such thing.

use std::collections::BTreeMap;

use super::facts::{Fact, Facts};

/// What `systemctl show` is asked for.
pub(super) const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,MainPID,Result,ExecMainStatus,\
    NRestarts,Type,UnitFileState,ExecStart,Description,User,Requires,Wants,After,RequiredBy,WantedBy,TriggeredBy,\
    TimeoutStopUSec,Restart,RestartUSec,WatchdogUSec,KillMode,Environment,FragmentPath,DropInPaths,NeedDaemonReload,\
    MemoryCurrent,ControlGroup";

/// Reads what it says; none if there is no such unit.
pub(super) fn read(text: &str) -> Option<Vec<Fact>> {
    let lines: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let text = |name: &str| lines.get(name).copied().filter(|value| !value.is_empty());
    let words = |name: &str| -> Vec<String> {
        text(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
    if matches!(text("LoadState"), None | Some("not-found")) {
        return None;
    }
    let mut facts = Facts::default();
    facts.add_some("name", text("Id").map(|id| id.trim_end_matches(".service")));
    facts.add("state", state(text("ActiveState"), text("SubState")));
    facts.add_some("process", number("MainPID").filter(|pid| *pid != 0));
    facts.add_some("exit_code", number("ExecMainStatus"));
    facts.add_some("result", text("Result"));
    facts.add_some("restarts", number("NRestarts"));
    facts.add_some("memory", number("MemoryCurrent").filter(|bytes| *bytes < u64::MAX));
    facts.add_some("type", text("Type"));
    facts.add_some("start", text("UnitFileState").map(start));
    facts.add_some("program", text("ExecStart").and_then(command));
    facts.add_some("description", text("Description"));
    facts.add("account", text("User").unwrap_or("root"));
    facts.add("dependencies", [words("Requires"), words("Wants")].concat());
    facts.add("after", words("After"));
    facts.add("dependents", [words("RequiredBy"), words("WantedBy")].concat());
    facts.add("triggers", words("TriggeredBy"));
    facts.add_some("stop_timeout", text("TimeoutStopUSec"));
    facts.add_some("watchdog", text("WatchdogUSec"));
    let delay = text("RestartUSec").unwrap_or("0");
    facts.add_some(
        "failure_actions",
        text("Restart").map(|when| match when {
            "no" => "none".to_owned(),
            when => format!("restart {when} after {delay}"),
        }),
    );
    facts.add_some("kill_mode", text("KillMode"));
    // Names alone: values may be secrets.
    facts.add("environment", text("Environment").map(names).unwrap_or_default());
    facts.add_some("file", text("FragmentPath"));
    facts.add("drop_ins", words("DropInPaths"));
    facts.add("needs_daemon_reload", text("NeedDaemonReload") == Some("yes"));
    facts.add_some("cgroup", text("ControlGroup"));
    Some(facts.0)
}

/// In the SCM's words where it has one.
fn state(active: Option<&str>, sub: Option<&str>) -> String {
    let word = match active.unwrap_or_default() {
        "active" if sub == Some("running") => "running",
        "inactive" => "stopped",
        "activating" => "starting",
        "deactivating" => "stopping",
        other => return other.to_owned(),
    };
    word.to_owned()
}

/// In `install`'s words where it has one.
fn start(state: &str) -> String {
    let word = match state {
        "enabled" | "enabled-runtime" => "auto",
        "disabled" | "linked" | "static" => "manual",
        "masked" | "masked-runtime" => "disabled",
        other => other,
    };
    word.to_owned()
}

/// The names of variables in `A=1 "B=two words"`.
fn names(text: &str) -> Vec<String> {
    let mut quoted = false;
    let assignments = text.split(|c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    });
    let name = |text: &str| Some(text.trim_start_matches('"').split_once('=')?.0.to_owned());
    assignments.filter_map(name).collect()
}

/// The command line in `{ path=… ; argv[]=… ; … }`.
fn command(text: &str) -> Option<String> {
    Some(text.split_once("argv[]=")?.1.split(" ; ").next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_has_the_words_of_the_scm() {
        let said = "Type=notify\nRestart=on-failure\nNRestarts=2\nTimeoutStopUSec=1min\nRestartUSec=1s\nWatchdogUSec=1min\n\
            MainPID=77\nExecMainStatus=0\nExecStart={ path=/usr/bin/mainstay ; argv[]=/usr/bin/mainstay keeper --service \
            --stack shop ; ignore_errors=no ; start_time=[n/a] }\nMemoryCurrent=18446744073709551615\n\
            Environment=TOKEN=secret \"WORDS=two secret=words\"\nUser=\nKillMode=mixed\nId=shop.service\nRequires=sysinit.target\n\
            Wants=network-online.target\nWantedBy=multi-user.target\nDescription=shop, kept up\nLoadState=loaded\n\
            ActiveState=active\nSubState=running\nFragmentPath=/etc/systemd/system/shop.service\nUnitFileState=enabled\n\
            NeedDaemonReload=no\nResult=success\n";
        let facts = read(said).expect("it is there");
        let shown: Vec<String> = facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
        insta::assert_snapshot!(shown.join("\n"));
        assert_eq!(read("LoadState=not-found\nActiveState=inactive\n"), None);
    }
}
