//! Priority class, processors and standard input.

use std::fs::File;
use std::os::windows::io::OwnedHandle;
use std::path::Path;

use windows_sys::Win32::System::Threading::{
    ABOVE_NORMAL_PRIORITY_CLASS, BELOW_NORMAL_PRIORITY_CLASS, HIGH_PRIORITY_CLASS, IDLE_PRIORITY_CLASS,
    NORMAL_PRIORITY_CLASS,
};

use crate::spawn::{SpawnError, SpawnErrorKind};
use crate::win::launch::own_affinity;

fn refused(message: String) -> SpawnError {
    SpawnError::new(SpawnErrorKind::Setting, message)
}

/// The class for a nice value, as libuv and so Node have it; but never real time, which starves the system itself.
pub(super) fn priority_class(nice: Option<i8>) -> u32 {
    match nice {
        None => 0,
        Some(..=-14) => HIGH_PRIORITY_CLASS,
        Some(-13..=-7) => ABOVE_NORMAL_PRIORITY_CLASS,
        Some(-6..=9) => NORMAL_PRIORITY_CLASS,
        Some(10..=18) => BELOW_NORMAL_PRIORITY_CLASS,
        Some(19..) => IDLE_PRIORITY_CLASS,
    }
}

/// The mask of those processors that are there; none for all of ours.
pub(super) fn affinity(cpus: &[u16]) -> Result<Option<usize>, SpawnError> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let own = own_affinity()
        .map_err(|error| refused(format!("cpu_affinity: our own processors cannot be told: {error}")))?;
    let asked = cpus.iter().filter(|cpu| **cpu < 64).fold(0, |mask, cpu| mask | 1_usize << cpu);
    match asked & own {
        0 => {
            let there: Vec<u32> = (0..64).filter(|cpu| own & (1 << cpu) != 0).collect();
            Err(refused(format!(
                "cpu_affinity: none of the processors {cpus:?} may be used here; there are {there:?} (of the first 64)"
            )))
        }
        mask => Ok(Some(mask)),
    }
}

/// The file to read from.
pub(super) fn stdin(path: &Path) -> Result<OwnedHandle, SpawnError> {
    let told = |why: String| refused(format!("stdin: {} {why}", path.display()));
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            return Err(told("is a directory, and cannot be read as a file".into()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(told("is not there; make the file, or leave `stdin` out".into()));
        }
        Err(error) => return Err(told(format!("cannot be opened: {error}"))),
    }
    // Others may go on writing, renaming and deleting it, as the standard library opens files.
    File::open(path).map(OwnedHandle::from).map_err(|error| told(format!("cannot be opened: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_values_have_classes() {
        for (nice, class) in [
            (-20, HIGH_PRIORITY_CLASS),
            (-14, HIGH_PRIORITY_CLASS),
            (-7, ABOVE_NORMAL_PRIORITY_CLASS),
            (0, NORMAL_PRIORITY_CLASS),
            (10, BELOW_NORMAL_PRIORITY_CLASS),
            (19, IDLE_PRIORITY_CLASS),
        ] {
            assert_eq!(priority_class(Some(nice)), class, "{nice}");
        }
        assert_eq!(priority_class(None), 0);
    }
}
