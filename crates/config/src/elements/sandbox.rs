//! `sandbox`: what a service cannot do though its account could. The names are systemd's.

use mainstay_core::Sandbox;

use super::{check::truth, path};
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&SANDBOX);

const PATHS: Form = Form::List(&Form::Path);
const SYSTEM: Form = Form::Any(&[Form::Truth, Form::Choice(&["full", "strict"])]);
const HOME: Form = Form::Any(&[Form::Truth, Form::Choice(&["read-only"])]);

/// What `protect_home` is about.
const HOMES: [&str; 3] = ["-/home", "-/root", "-/run/user"];

pub(crate) static SANDBOX: Section = Section {
    id: "sandbox",
    title: "`sandbox`",
    about: "What a service cannot do though its account could, with its hooks, exec probes and stop commands; \
            docs/security.md says what holds against whom. The keys about files need root (give the service a `user`). \
            What cannot be had is an error at the start. A `-` before a path passes over it if it is not there. \
            Linux.",
    one_of: &[],
    keys: &[
        Key::new(
            "no_new_privileges",
            Form::Truth,
            "true",
            "No program gives it more rights than it has: sudo and the like do not work.",
        )
        .default("false")
        .also(&["no_new_privs", "NoNewPrivileges"]),
        Key::new(
            "capabilities",
            Form::List(&Form::Text),
            "[\"CAP_NET_BIND_SERVICE\"]",
            "The capabilities that it has, whatever its user is; it can never have others. `[]`: none.",
        )
        .default("all for root, none for others")
        .also(&["caps", "AmbientCapabilities", "CapabilityBoundingSet", "capability_bounding_set"]),
        Key::new(
            "private_tmp",
            Form::Truth,
            "true",
            "`/tmp` and `/var/tmp` are its own, in memory (a tenth of it at most), empty at each start.",
        )
        .default("false")
        .also(&["PrivateTmp"]),
        Key::new(
            "private_ipc",
            Form::Truth,
            "true",
            "Shared memory (`/dev/shm` too), semaphores and message queues are its own, and gone with it.",
        )
        .default("false")
        .also(&["PrivateIPC"]),
        Key::new(
            "protect_system",
            SYSTEM,
            "\"strict\"",
            "What it cannot change: with `true` /usr and /boot, with `\"full\"` /etc too, with `\"strict\"` everything \
             but /dev, /proc, /sys and `read_write_paths`.",
        )
        .default("false")
        .also(&["ProtectSystem"]),
        Key::new(
            "protect_home",
            HOME,
            "true",
            "Whether /home, /root and /run/user are hidden from it, or `\"read-only\"`.",
        )
        .default("false")
        .also(&["ProtectHome"]),
        Key::new("read_only_paths", PATHS, "[\"/srv\"]", "What it cannot change, with everything below.")
            .also(&["ReadOnlyPaths", "read_only"]),
        Key::new("read_write_paths", PATHS, "[\"/srv/data\"]", "What it can change below what it cannot.")
            .also(&["ReadWritePaths", "read_write"]),
        Key::new("inaccessible_paths", PATHS, "[\"/srv/keys\"]", "What it cannot see into.")
            .also(&["InaccessiblePaths", "inaccessible"]),
        Key::new(
            "system_call_filter",
            Form::Choice(&["service"]),
            "\"service\"",
            "With `\"service\"` system calls that administer the machine fail: modules, mounts, tracing, clocks, keys. \
             No new privileges either.",
        )
        .also(&["SystemCallFilter", "seccomp"]),
    ],
};

pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<Sandbox> {
    let mut reader = Reader::open(cx, field, &SANDBOX)?;
    let mut is =
        |cx: &mut Context<'_>, key| reader.get(key).and_then(|field| truth(cx, field)).unwrap_or(false);
    let mut sandbox = Sandbox {
        no_new_privileges: is(cx, "no_new_privileges"),
        private_tmp: is(cx, "private_tmp"),
        private_ipc: is(cx, "private_ipc"),
        ..Sandbox::default()
    };
    sandbox.capabilities = reader.get("capabilities").and_then(|field| capabilities(cx, field));
    let system = reader.get("protect_system");
    let home = reader.get("protect_home");
    let mut paths =
        |cx: &mut Context<'_>, key| reader.get(key).map(|field| paths(cx, field)).unwrap_or_default();
    sandbox.read_only_paths = paths(cx, "read_only_paths");
    sandbox.read_write_paths = paths(cx, "read_write_paths");
    sandbox.inaccessible_paths = paths(cx, "inaccessible_paths");
    if let Some(system) = system {
        protect_system(cx, system, &mut sandbox);
    }
    if let Some(home) = home {
        protect_home(cx, home, &mut sandbox);
    }
    let filter = reader.get("system_call_filter").and_then(|field| cx.choice(field, &[("service", true)]));
    sandbox.filter_system_calls = filter.unwrap_or(false);
    reader.finish();
    Some(sandbox)
}

/// Whether the kernel has them only the machine it runs on knows; its answer names the one that it does not.
fn capabilities(cx: &mut Context<'_>, field: Field<'_>) -> Option<Vec<String>> {
    let items = cx.items(field, "a list of capabilities, like [\"CAP_NET_BIND_SERVICE\"]")?;
    let one = |item| cx.string(field.part(item), "the name of a capability").map(|text| text.value);
    Some(items.iter().filter_map(one).collect())
}

fn paths(cx: &mut Context<'_>, field: Field<'_>) -> Vec<String> {
    let Some(items) = cx.items(field, "a list of paths, like [\"/srv\"]") else { return Vec::new() };
    items.iter().filter_map(|item| path::read_optional(cx, field.part(item))).collect()
}

/// What an account of nobody's has: nothing that it leaves behind outlives it, but in its own directories.
pub(super) fn for_nobody(sandbox: &mut Sandbox) {
    sandbox.no_new_privileges = true;
    sandbox.private_tmp = true;
    sandbox.private_ipc = true;
    close_all(sandbox);
}

/// All is read-only but what the kernel makes up.
fn close_all(sandbox: &mut Sandbox) {
    let add = |list: &mut Vec<String>, path: &str| {
        if !list.iter().any(|known| known == path) {
            list.push(path.to_owned());
        }
    };
    add(&mut sandbox.read_only_paths, "/");
    ["-/dev", "-/proc", "-/sys"].iter().for_each(|path| add(&mut sandbox.read_write_paths, path));
}

fn protect_system(cx: &mut Context<'_>, field: Field<'_>, sandbox: &mut Sandbox) {
    let closed: &[&str] = match &field.node.value {
        Value::Bool(false) => &[],
        Value::Bool(true) => &["-/usr", "-/boot", "-/efi"],
        _ => match cx.choice(field, &[("full", false), ("strict", true)]) {
            None => return,
            Some(false) => &["-/usr", "-/boot", "-/efi", "-/etc"],
            Some(true) => return close_all(sandbox),
        },
    };
    sandbox.read_only_paths.extend(closed.iter().map(|path| (*path).to_owned()));
}

fn protect_home(cx: &mut Context<'_>, field: Field<'_>, sandbox: &mut Sandbox) {
    let list = match &field.node.value {
        Value::Bool(false) => return,
        Value::Bool(true) => &mut sandbox.inaccessible_paths,
        _ => match cx.choice(field, &[("read-only", ())]) {
            None => return,
            Some(()) => &mut sandbox.read_only_paths,
        },
    };
    list.extend(HOMES.map(str::to_owned));
}
