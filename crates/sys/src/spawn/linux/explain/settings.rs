//! Why a setting of a new process could not be had.

use std::io;

use crate::spawn::linux::child::Step;
use crate::spawn::{Request, Settings};

/// Which setting, which value, and what to do. `which`: the place among the limits. `who`: the account.
pub(super) fn explain(request: &Request<'_>, step: Step, which: usize, code: i32, who: &str) -> String {
    let Some(settings) = request.settings else { return String::new() };
    let error = io::Error::from_raw_os_error(code);
    match step {
        Step::Rlimit => rlimit(settings, which, code),
        Step::Nice => {
            let nice = settings.nice.unwrap_or(0);
            match code {
                libc::EACCES | libc::EPERM => format!(
                    "priority: nice {nice} is refused: only root (CAP_SYS_NICE), or who has a limit for it \
                     (ulimit -e), may go below {}; give a number of at least that",
                    own_nice()
                ),
                _ => format!("priority: nice {nice} cannot be set: {error}"),
            }
        }
        Step::Cpus => match code {
            libc::EINVAL => format!(
                "cpu_affinity: none of the processors {} may be used here; there are {}",
                ranges(&settings.cpus),
                own_cpus().map_or_else(|| "others".to_owned(), |cpus| ranges(&cpus))
            ),
            _ => format!("cpu_affinity: the processors {} cannot be set: {error}", ranges(&settings.cpus)),
        },
        _ => {
            let path = settings.stdin.as_deref().unwrap_or_else(|| std::path::Path::new(""));
            let path = path.display();
            match code {
                libc::ENOENT => format!("stdin: there is no file {path}; make it, or leave `stdin` out"),
                libc::EISDIR => format!("stdin: {path} is a directory, and cannot be read as a file"),
                libc::EACCES => format!("stdin: {path} may not be read by {who}; chmod or chown it"),
                _ => format!("stdin: {path} cannot be opened: {error}"),
            }
        }
    }
}

fn rlimit(settings: &Settings, which: usize, code: i32) -> String {
    let Some(limit) = settings.rlimits.get(which) else { return "rlimits cannot be set".to_owned() };
    let show = |value: u64| if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() };
    let name = &limit.name;
    let value = match limit.hard.filter(|hard| *hard != limit.soft) {
        Some(hard) => format!("{} (hard {})", show(limit.soft), show(hard)),
        None => show(limit.soft),
    };
    match code {
        // Root too, above what the kernel was told to be the most.
        libc::EPERM if name == "nofile" && rustix::process::geteuid().is_root() => format!(
            "rlimits.nofile = {value} is refused: it is above the system's most, sysctl fs.nr_open, which is {}",
            std::fs::read_to_string("/proc/sys/fs/nr_open").unwrap_or_default().trim()
        ),
        libc::EPERM => format!(
            "rlimits.{name} = {value} is refused: it is above the hard limit that Mainstay has, and only root may \
             raise that; raise it where Mainstay is started (ulimit -H, limits.conf, systemd's LimitNOFILE and the \
             like), or ask for less"
        ),
        libc::EINVAL => format!(
            "rlimits.{name} = {value} is refused: the soft limit is above the hard one; give both: \
             {{ soft = …, hard = … }}"
        ),
        _ => format!("rlimits.{name} = {value} cannot be set: {}", io::Error::from_raw_os_error(code)),
    }
}

fn own_nice() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or(0)
}

/// Those that we may use.
fn own_cpus() -> Option<Vec<u16>> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    let all = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
    Some(all.filter_map(|cpu| u16::try_from(cpu).ok()).collect())
}

/// `0-3,6`.
fn ranges(cpus: &[u16]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::new();
    let mut rest = sorted.as_slice();
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..=u16::MAX).take_while(|(cpu, wanted)| *cpu == wanted).count();
        let last = rest[run - 1];
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&if last == first { first.to_string() } else { format!("{first}-{last}") });
        rest = &rest[run..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_shown_as_they_are_written() {
        assert_eq!(ranges(&[6, 0, 1, 2, 3]), "0-3,6");
        assert_eq!(ranges(&[65535]), "65535");
        assert_eq!(ranges(&[]), "");
    }
}
