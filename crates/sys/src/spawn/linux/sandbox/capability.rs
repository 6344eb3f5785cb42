//! Capabilities by name, as in capabilities(7).

/// By number; those of linux/capability.h.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `CAP_NET_BIND_SERVICE` and `net_bind_service` alike.
pub(super) fn number(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("cap_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).and_then(|place| u32::try_from(place).ok())
}

/// The highest that this kernel has.
pub(super) fn last() -> u32 {
    let told = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    // The kernel keeps them in 64 bits.
    told.and_then(|text| text.trim().parse().ok()).filter(|last| *last < 64).unwrap_or(40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        for (name, wanted) in [
            ("CAP_CHOWN", 0),
            ("net_bind_service", 10),
            ("sys_admin", 21),
            ("Cap_Bpf", 39),
            ("checkpoint_restore", 40),
        ] {
            assert_eq!(number(name), Some(wanted), "{name}");
        }
        assert_eq!(number("CAP_FLY"), None);
    }
}
