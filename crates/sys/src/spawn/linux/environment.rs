//! The environment of a new process: ours, byte for byte, with changes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;

use zeroize::Zeroize;

use crate::spawn::{SpawnError, SpawnErrorKind};

/// Where programs are looked for when there is no `PATH` at all.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) struct Environment {
    pub(crate) entries: Vec<Cow<'static, CStr>>,
}

/// Ours, by name; it does not change.
fn own() -> &'static [(Vec<u8>, CString)] {
    static OWN: OnceLock<Vec<(Vec<u8>, CString)>> = OnceLock::new();
    OWN.get_or_init(|| {
        let all = std::env::vars_os().map(|(name, value)| {
            let name = name.into_vec();
            // What we were given as C strings has no NUL inside.
            let entry = entry(&name, value.as_bytes()).unwrap_or_default();
            (name, entry)
        });
        all.collect()
    })
}

impl Environment {
    /// Ours without `remove`, then `set` in its order.
    pub(crate) fn build(remove: &[&str], set: &[(&[u8], Vec<u8>)]) -> Result<Environment, SpawnError> {
        let mut dropped: BTreeSet<&[u8]> = remove.iter().map(|name| name.as_bytes()).collect();
        dropped.extend(set.iter().map(|(name, _)| *name));
        let mut entries = Vec::with_capacity(64);
        let kept = own().iter().filter(|(name, _)| !dropped.contains(name.as_slice()));
        entries.extend(kept.map(|(_, entry)| Cow::Borrowed(entry.as_c_str())));
        for (name, value) in set {
            if name.is_empty() || name.contains(&b'=') {
                let name = String::from_utf8_lossy(name);
                return Err(SpawnError::new(
                    SpawnErrorKind::Invalid,
                    format!("{name:?} cannot be the name of an environment variable"),
                ));
            }
            entries.push(Cow::Owned(entry(name, value)?));
        }
        Ok(Environment { entries })
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> &[u8] {
        let found = self.entries.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
        found.unwrap_or(DEFAULT_PATH)
    }
}

/// Zeroes what is not our own: some of it may be secret.
pub(crate) fn wipe(entries: Vec<Cow<'static, CStr>>) {
    for entry in entries {
        if let Cow::Owned(entry) = entry {
            entry.into_bytes_with_nul().zeroize();
        }
    }
}

fn entry(name: &[u8], value: &[u8]) -> Result<CString, SpawnError> {
    let mut bytes = Vec::with_capacity(name.len() + value.len() + 2);
    bytes.extend_from_slice(name);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    CString::new(bytes).map_err(|_| {
        let name = String::from_utf8_lossy(name);
        SpawnError::new(
            SpawnErrorKind::Invalid,
            format!("the environment variable {name:?} has a NUL inside"),
        )
    })
}
