//! The access list, entry by entry.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_READ};
use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{FILE_READ_DATA, WRITE_DAC, WRITE_OWNER};

use super::Exposed;
use crate::win::security::{self, Account, EVERYBODY, OWNER_RIGHTS};

/// What lets somebody read, or give themselves the right to.
const READS: u32 = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL | WRITE_DAC | WRITE_OWNER;

pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(super) fn exposed(file: &File, path: &Path) -> io::Result<Option<Exposed>> {
    let (own, handle) = (Account::own()?, file.as_raw_handle());
    let mend = format!(
        "icacls \"{}\" /inheritance:r /grant:r \"*{}:F\" \"*S-1-5-18:F\" \"*S-1-5-32-544:F\"",
        path.display(),
        own.sid
    );
    let name = |sid: &str| security::name_of(sid).unwrap_or_else(|_| sid.to_owned());
    let owner = security::owner(handle, SE_FILE_OBJECT)?;
    if !own.trusts(&owner) {
        return Ok(Some(Exposed { who: format!("it belongs to {}", name(&owner)), mend }));
    }
    let mut others: Vec<String> = security::granted(handle, SE_FILE_OBJECT)?
        .into_iter()
        .filter(|(sid, rights)| rights & READS != 0 && !own.trusts(sid) && sid != OWNER_RIGHTS)
        .map(|(sid, _)| if sid == EVERYBODY { "everybody".to_owned() } else { name(&sid) })
        .collect();
    others.sort();
    others.dedup();
    Ok(match others.is_empty() {
        true => None,
        false => Some(Exposed { who: format!("{} can read it", others.join(", ")), mend }),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    /// With an entry for everybody.
    pub(in super::super) fn write_for_all(path: &Path) {
        std::fs::write(path, "x").expect("written");
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).access_mode(GENERIC_READ | WRITE_DAC).open(path).expect("opened");
        security::let_everybody_read(file.as_raw_handle(), SE_FILE_OBJECT).expect("ours");
    }
}
