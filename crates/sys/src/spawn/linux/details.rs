//! The settings of a new process, ready for the system calls that make them hold.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use super::child::Limit;
use crate::spawn::{Settings, SpawnError, SpawnErrorKind};

/// As many processors as the kernel can be built for.
const MAX_CPUS: u16 = 8192;

/// All absent: as it is for us.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(super) nice: Option<i32>,
    /// A bit for each processor; empty for all.
    pub(super) cpus: Vec<u64>,
    pub(super) limits: Vec<Limit>,
    pub(super) umask: Option<u32>,
    pub(super) stdin: Option<CString>,
}

impl Details {
    pub(super) fn of(settings: Option<&Settings>) -> Result<Details, SpawnError> {
        let Some(settings) = settings else { return Ok(Details::default()) };
        Ok(Details {
            nice: settings.nice.map(i32::from),
            cpus: mask(&settings.cpus)?,
            limits: settings
                .rlimits
                .iter()
                .map(|limit| {
                    let resource = resource(&limit.name)
                        .ok_or_else(|| refused(format!("rlimits.{}: there is no such limit", limit.name)))?;
                    let hard = match limit.hard {
                        Some(hard) => hard,
                        None => own_hard(resource)?,
                    };
                    Ok(Limit { resource, value: libc::rlimit { rlim_cur: limit.soft, rlim_max: hard } })
                })
                .collect::<Result<_, _>>()?,
            umask: settings.umask,
            stdin: settings
                .stdin
                .as_ref()
                .map(|path| {
                    CString::new(path.as_os_str().as_bytes())
                        .map_err(|_| refused(format!("stdin: a NUL inside the path {}", path.display())))
                })
                .transpose()?,
        })
    }

    /// Whether the limit of open files is among them.
    pub(super) fn limits_open_files(&self) -> bool {
        self.limits.iter().any(|limit| limit.resource == libc::RLIMIT_NOFILE)
    }
}

fn refused(message: String) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Setting, message)
}

fn mask(cpus: &[u16]) -> Result<Vec<u64>, SpawnError> {
    let Some(&last) = cpus.iter().max() else { return Ok(Vec::new()) };
    if last >= MAX_CPUS {
        return Err(refused(format!("cpu_affinity: {last} is no processor; {} is the last", MAX_CPUS - 1)));
    }
    let mut mask = vec![0; usize::from(last) / 64 + 1];
    for &cpu in cpus {
        mask[usize::from(cpu) / 64] |= 1 << (cpu % 64);
    }
    Ok(mask)
}

fn own_hard(resource: u32) -> Result<u64, SpawnError> {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a known resource, and a structure to be written to.
    if unsafe { libc::getrlimit(resource, &raw mut found) } < 0 {
        return Err(refused(format!("rlimits cannot be read: {}", std::io::Error::last_os_error())));
    }
    Ok(found.rlim_max)
}

fn resource(name: &str) -> Option<u32> {
    Some(match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::RLIMITS;

    #[test]
    fn every_limit_that_is_offered_is_known() {
        assert!(RLIMITS.iter().all(|name| resource(name).is_some()));
        assert!(resource("nofiles").is_none());
    }

    #[test]
    fn processors_become_bits() {
        assert_eq!(mask(&[]).expect("none"), Vec::<u64>::new());
        assert_eq!(mask(&[0, 3, 64]).expect("they fit"), [0b1001, 1]);
        assert_eq!(mask(&[8192]).expect_err("too many").kind, SpawnErrorKind::Setting);
    }
}
