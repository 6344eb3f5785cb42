//! The stack's own store: a file for each secret, for the account alone; on Windows encrypted by its data protection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mainstay_sys::{dirs, file, private, protect};
use zeroize::Zeroizing;

use crate::MAX_VALUE;

/// What each file's name begins with. Without it a secret could be called as a device of Windows is.
const PREFIX: &str = "secret-";
/// Data protection adds less than this.
const MAX_FILE: usize = MAX_VALUE + 4096;

/// What is known of a secret in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// When it was given its value.
    pub set: Option<SystemTime>,
}

pub(crate) fn directory(state: &Path) -> PathBuf {
    state.join("secrets")
}

/// The file of a secret. Names that differ in their case alone differ in more here, as Windows does not see the case.
pub(crate) fn path(store: &Path, name: &str) -> PathBuf {
    let mut file = PREFIX.to_owned();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            file.push('+');
        }
        file.push(c.to_ascii_lowercase());
    }
    store.join(file)
}

fn name_of(file: &str) -> Option<String> {
    let mut name = String::new();
    let mut upper = false;
    for c in file.strip_prefix(PREFIX)?.chars() {
        match c {
            '+' => upper = true,
            c => name.push(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c }),
        }
    }
    mainstay_core::is_secret_name(&name).then_some(name)
}

pub(crate) fn read(store: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, private::PrivateError> {
    let bytes = private::read(&path(store, name), MAX_FILE)?;
    match protect::unprotect(&bytes) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(bytes),
        read => Ok(read?),
    }
}

pub(crate) fn write(store: &Path, name: &str, value: &str) -> io::Result<()> {
    dirs::create_private(store)?;
    let path = path(store, name);
    match protect::protect(value.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            file::write_atomic(&path, value.as_bytes(), true)
        }
        protected => file::write_atomic(&path, &protected?, true),
    }
}

/// False if there is none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn list(store: &Path) -> io::Result<Vec<(String, Stored)>> {
    let entries = match std::fs::read_dir(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let stored = entries.flatten().filter_map(|entry| {
        let name = name_of(entry.file_name().to_str()?)?;
        Some((name, Stored { set: entry.metadata().ok().and_then(|metadata| metadata.modified().ok()) }))
    });
    Ok(stored.collect())
}
