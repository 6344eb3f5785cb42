//! All that the SCM and the registry know of a service: what `sc` shows by `queryex`, `qc`, `qdescription`, `qfailure`,
//! `qfailureflag`, `qsidtype`, `qprivs`, `qtriggerinfo`, `qpreshutdown`, `sdshow`, `showsid` and `enumdepend`.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::collections::BTreeMap;
use std::io;
use std::ptr;

use windows_service::service::{Service, ServiceAccess, ServiceConfig};
use windows_sys::Win32::System::Services::{
    ENUM_SERVICE_STATUSW, EnumDependentServicesW, QueryServiceStatusEx, SC_STATUS_PROCESS_INFO,
    SERVICE_ACCEPT_NETBINDCHANGE, SERVICE_ACCEPT_PARAMCHANGE, SERVICE_ACCEPT_PAUSE_CONTINUE,
    SERVICE_ACCEPT_POWEREVENT, SERVICE_ACCEPT_PRESHUTDOWN, SERVICE_ACCEPT_SESSIONCHANGE,
    SERVICE_ACCEPT_SHUTDOWN, SERVICE_ACCEPT_STOP, SERVICE_ACCEPT_TIMECHANGE, SERVICE_ACCEPT_TRIGGEREVENT,
    SERVICE_CONTINUE_PENDING, SERVICE_ENUMERATE_DEPENDENTS, SERVICE_PAUSE_PENDING, SERVICE_PAUSED,
    SERVICE_RUNNING, SERVICE_RUNS_IN_SYSTEM_PROCESS, SERVICE_START_PENDING, SERVICE_STATE_ALL,
    SERVICE_STATUS_PROCESS, SERVICE_STOP_PENDING, SERVICE_STOPPED,
};

use super::raw::text_at;
use super::settings::{NONE, present};
use super::{Done, faults, there, told, told_io};
use crate::account;
use crate::manager::Fault;
use crate::manager::facts::{Fact, Facts};
use crate::rights::access_words;

/// All of them.
pub(super) fn of(name: &str) -> Done<Vec<Fact>> {
    let what = format!("asking for the service {name}");
    let access = ServiceAccess::QUERY_STATUS
        | ServiceAccess::QUERY_CONFIG
        | ServiceAccess::READ_CONTROL
        | ServiceAccess::from_bits_retain(SERVICE_ENUMERATE_DEPENDENTS);
    let service = there(&what, name, access)?;
    let config = service.query_config().map_err(told(&what))?;
    let settings = present(name, &service, &config);
    let mut facts = Facts::default();
    facts.add("name", name);
    state(&mut facts, &status(&service).map_err(told_io(&what))?);
    configuration(&mut facts, &settings, &config);
    rights(&mut facts, &settings, name);
    // Wine has no such call.
    facts.add_some("dependents", dependents(&service).ok());
    let deleted = faults::of(name).iter().any(|fault| matches!(fault, Fault::MarkedForDeletion(_)));
    facts.add("marked_for_deletion", deleted);
    Ok(facts.0)
}

fn state(facts: &mut Facts, status: &SERVICE_STATUS_PROCESS) {
    facts.add("state", state_word(status.dwCurrentState));
    facts.add_some("process", Some(status.dwProcessId).filter(|pid| *pid != 0));
    facts.add("system_process", status.dwServiceFlags & SERVICE_RUNS_IN_SYSTEM_PROCESS != 0);
    facts.add("exit_code", status.dwWin32ExitCode);
    facts.add("service_exit_code", status.dwServiceSpecificExitCode);
    facts.add("accepts", accepted(status.dwControlsAccepted));
    facts.add("checkpoint", status.dwCheckPoint);
    facts.add("wait_hint_ms", status.dwWaitHint);
}

/// In the order of `sc qc`, and what it does not show behind it. Words are those of `install`.
fn configuration(facts: &mut Facts, settings: &BTreeMap<&'static str, String>, config: &ServiceConfig) {
    let text = |name: &str| settings.get(name).cloned();
    let listed = |name: &str| text(name).map(|text| list(&text));
    facts.add("type", type_word(config.service_type.bits()));
    facts.add_some("start", text("start"));
    facts.add_some("error_control", text("error control"));
    facts.add_some("program", text("program"));
    let group = config.load_order_group.as_ref().map(|group| group.to_string_lossy().into_owned());
    facts.add_some("load_order_group", group.filter(|group| !group.is_empty()));
    facts.add_some("tag", Some(config.tag_id).filter(|tag| *tag != 0));
    facts.add_some("display_name", text("display name"));
    facts.add_some("description", text("description"));
    facts.add_some("account", text("account"));
    facts.add_some("dependencies", listed("dependencies"));
    facts.add_some(
        "preshutdown_timeout_ms",
        settings.get("preshutdown timeout").and_then(|text| milliseconds(text)),
    );
    facts.add_some("failure_actions", text("failure actions"));
    let flag = text("failure actions after a failure's exit code");
    facts.add_some("failure_actions_on_exit_codes", flag.map(|flag| flag == "true"));
    facts.add_some("triggers", listed("triggers"));
    // Names alone: values may be secrets.
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let names = |lines: String| lines.lines().map(name).collect::<Vec<_>>();
    facts.add_some("environment", text("environment").map(names));
    facts.add_some("event_source", text("Event Log source"));
}

fn rights(facts: &mut Facts, settings: &BTreeMap<&'static str, String>, name: &str) {
    facts.add_some("privileges", settings.get("privileges").map(|text| list(text)));
    facts.add_some("service_sid", settings.get("service SID").cloned());
    facts.add_some("sid", account::sid(&format!(r"NT SERVICE\{name}")).ok());
    let sddl = settings.get("control").cloned();
    facts.add_some("access", sddl.as_deref().map(access_words));
    facts.add_some("sddl", sddl);
}

/// A list as a setting shows it.
fn list(text: &str) -> Vec<String> {
    if NONE.contains(&text) { Vec::new() } else { text.split(", ").map(str::to_owned).collect() }
}

fn milliseconds(text: &str) -> Option<u64> {
    text.strip_suffix(" ms")?.parse().ok()
}

fn state_word(state: u32) -> String {
    let word = match state {
        SERVICE_STOPPED => "stopped",
        SERVICE_START_PENDING => "starting",
        SERVICE_STOP_PENDING => "stopping",
        SERVICE_RUNNING => "running",
        SERVICE_CONTINUE_PENDING => "continuing",
        SERVICE_PAUSE_PENDING => "pausing",
        SERVICE_PAUSED => "paused",
        other => return other.to_string(),
    };
    word.to_owned()
}

/// `SERVICE_WIN32_OWN_PROCESS` and its like.
fn type_word(kind: u32) -> String {
    // Whether it may show a desktop is nothing any more.
    let word = match kind & 0xFF {
        0x01 => "kernel driver",
        0x02 => "file system driver",
        0x10 => "own process",
        0x20 => "shared process",
        0x50 | 0xD0 => "own process of each user",
        0x60 | 0xE0 => "shared process of each user",
        _ => return format!("{kind:#x}"),
    };
    word.to_owned()
}

fn accepted(controls: u32) -> Vec<String> {
    let all = [
        (SERVICE_ACCEPT_STOP, "stop"),
        (SERVICE_ACCEPT_PAUSE_CONTINUE, "pause and continue"),
        (SERVICE_ACCEPT_SHUTDOWN, "shutdown"),
        (SERVICE_ACCEPT_PRESHUTDOWN, "preshutdown"),
        (SERVICE_ACCEPT_PARAMCHANGE, "parameter change"),
        (SERVICE_ACCEPT_NETBINDCHANGE, "network binding change"),
        (SERVICE_ACCEPT_POWEREVENT, "power events"),
        (SERVICE_ACCEPT_SESSIONCHANGE, "session change"),
        (SERVICE_ACCEPT_TIMECHANGE, "time change"),
        (SERVICE_ACCEPT_TRIGGEREVENT, "trigger events"),
    ];
    all.iter().filter(|(bit, _)| controls & bit != 0).map(|(_, word)| (*word).to_owned()).collect()
}

fn status(service: &Service) -> io::Result<SERVICE_STATUS_PROCESS> {
    let mut status = SERVICE_STATUS_PROCESS::default();
    let mut needed = 0;
    // SAFETY: the handle is open while `service` is, and the place is as long as said.
    let done = unsafe {
        QueryServiceStatusEx(
            service.raw_handle(),
            SC_STATUS_PROCESS_INFO,
            ptr::from_mut(&mut status).cast(),
            u32::try_from(size_of_val(&status)).unwrap_or(0),
            &mut needed,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// The services that need it, running or not; the first few hundred.
fn dependents(service: &Service) -> io::Result<Vec<String>> {
    // 64 KiB, made of usize for the alignment.
    let mut buffer = vec![0_usize; 8192];
    let (mut needed, mut count) = (0, 0);
    // SAFETY: the handle is open while `service` is; the place is as long as said, and aligned for the structures.
    let done = unsafe {
        EnumDependentServicesW(
            service.raw_handle(),
            SERVICE_STATE_ALL,
            buffer.as_mut_ptr().cast(),
            u32::try_from(size_of_val(buffer.as_slice())).unwrap_or(0),
            &mut needed,
            &mut count,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let first = buffer.as_ptr().cast::<ENUM_SERVICE_STATUSW>();
    // SAFETY: the call wrote so many, and their names lie behind them in the buffer.
    Ok((0..count as usize).map(|n| unsafe { text_at((*first.add(n)).lpServiceName) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_windows_are_words() {
        assert_eq!(state_word(4), "running");
        assert_eq!(state_word(99), "99");
        let controls = ["stop", "pause and continue", "preshutdown", "parameter change"];
        assert_eq!(accepted(0x1 | 0x2 | 0x8 | 0x100), controls);
        assert_eq!(accepted(0), Vec::<String>::new());
        assert_eq!(
            (type_word(0x10), type_word(0x20)),
            ("own process".to_owned(), "shared process".to_owned())
        );
        assert_eq!(list("none"), Vec::<String>::new());
        assert_eq!(list("all of its account"), Vec::<String>::new());
        assert_eq!(list("RpcSs, +net"), ["RpcSs", "+net"]);
        assert_eq!(milliseconds("60000 ms"), Some(60_000));
    }
}
