//! Why a sandbox could not be had.

use std::io;

use crate::spawn::linux::child::Step;
use crate::spawn::linux::launch::Launch;

/// What it was about, and what to do. `which`: the place of the path, counted from 1.
pub(super) fn explain(launch: &Launch<'_>, step: Step, which: usize, code: i32) -> String {
    let error = io::Error::from_raw_os_error(code);
    match (step, code) {
        (Step::Mounts, libc::EPERM) if which == 0 => {
            "sandbox: a view of the files of its own (private_tmp, private_ipc, protect_…, …_paths; a \
             dynamic_user has one) can be had only by root (CAP_SYS_ADMIN), and not in every container; run Mainstay as \
             root and the service as `user`, or leave these keys out"
                .to_owned()
        }
        (Step::Mounts, libc::ENOSYS) => {
            "sandbox: this kernel cannot make files read-only for one process; Linux 5.12 can".to_owned()
        }
        (Step::Mounts, _) => {
            let mounts = launch.sandbox.as_ref().map_or(&[][..], |sandbox| &sandbox.mounts);
            let mount = which.checked_sub(1).and_then(|place| mounts.get(place));
            let path = mount.map_or("the view of the files".into(), |mount| mount.path.to_string_lossy());
            format!("sandbox: {path} cannot be closed, opened or hidden: {error}")
        }
        (Step::Capabilities, libc::EPERM) => {
            "sandbox.capabilities: only root (CAP_SETPCAP) may choose them, and only among its own; as an ordinary \
             user there are none to lose, and no_new_privileges = true keeps it so"
                .to_owned()
        }
        (Step::Capabilities, _) => format!("sandbox.capabilities cannot be set: {error}"),
        _ => format!("sandbox.system_call_filter cannot be set: {error}"),
    }
}
