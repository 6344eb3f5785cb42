//! A new file beside the old one, on the disk, then put in its place.

use std::fs::File;
use std::io::{self, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_EXISTS, ERROR_SHARING_VIOLATION, ERROR_USER_MAPPED_FILE, GENERIC_WRITE,
};
use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_RENAME_INFO, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FileRenameInfoEx, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH,
    MoveFileExW, OPEN_EXISTING, ReplaceFileW, SetFileInformationByHandle,
};

use crate::dirs::windows::given;
use crate::win::security::{self, Account, Object};
use crate::win::{check, explain, long_path, owned};

/// Flags of `FILE_RENAME_INFO` (ntifs.h).
const FILE_RENAME_FLAG_REPLACE_IF_EXISTS: u32 = 1;
const FILE_RENAME_FLAG_POSIX_SEMANTICS: u32 = 2;

/// Virus scanners and indexers open new files for a moment: so long it is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn write_atomic(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let beside = temporary(&path)?;
    let result = write_new(&beside, bytes, private).and_then(|file| replace(&file, &beside, &path));
    if result.is_err() {
        // What cannot be removed either does no harm: it is found by its name.
        let _ = std::fs::remove_file(&beside);
    }
    result.map_err(|e| explain(format_args!("cannot write {}", path.display()), &e))
}

pub(super) fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let told = |error: io::Error| explain(format_args!("cannot change {}", path.display()), &error);
    let path = std::fs::canonicalize(path).map_err(told)?;
    let beside = temporary(&path)?;
    let result = write_new(&beside, bytes, true).and_then(|file| {
        drop(file);
        // What the old file had is given to the new one: its access list, its attributes, its owner.
        let (from, to) = (long_path(&beside)?, long_path(&path)?);
        // SAFETY: both names end with a NUL and outlive the call; there is no backup.
        check(unsafe {
            ReplaceFileW(to.as_ptr(), from.as_ptr(), std::ptr::null(), 0, std::ptr::null(), std::ptr::null())
        })
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    result.map_err(told)
}

pub(super) fn put(from: &Path, to: &Path) -> io::Result<()> {
    let name = long_path(from)?;
    // SAFETY: the name ends with a NUL and outlives the call.
    let handle = owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE | DELETE,
            FILE_SHARE_READ | FILE_SHARE_DELETE | FILE_SHARE_WRITE,
            std::ptr::null(),
            OPEN_EXISTING,
            FILE_ATTRIBUTE_NORMAL,
            std::ptr::null_mut(),
        )
    })?;
    replace(&File::from(handle), from, to)
}

/// A name that no other write uses, in the same directory.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no file name: {}", path.display())));
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, bytes: &[u8], private: bool) -> io::Result<File> {
    let mut handle = create(path, private);
    if handle.as_ref().is_err_and(|e| e.raw_os_error() == Some(ERROR_FILE_EXISTS.cast_signed())) {
        // Left by a process that had our number and did not live to put it in place.
        std::fs::remove_file(path)?;
        handle = create(path, private);
    }
    let mut file = File::from(handle?);
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

pub(super) fn check_owner(file: &File) -> io::Result<()> {
    let owner = security::owner(file.as_raw_handle(), SE_FILE_OBJECT)?;
    if Account::own()?.trusts(&owner) {
        return Ok(());
    }
    let name = security::name_of(&owner).unwrap_or(owner);
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it belongs to {name}")))
}

fn create(path: &Path, private: bool) -> io::Result<OwnedHandle> {
    let name = long_path(path)?;
    let given = || path.parent().map(given).unwrap_or_default();
    let descriptor = if private { Some(Account::own()?.shared(Object::File, &given())?) } else { None };
    let attributes = descriptor.as_ref().map(|descriptor| descriptor.attributes(false));
    // SAFETY: the name ends with a NUL; it and the descriptor outlive the call.
    owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE | DELETE,
            FILE_SHARE_READ | FILE_SHARE_DELETE,
            attributes.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            std::ptr::null_mut(),
        )
    })
}

fn replace(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    let start = Instant::now();
    loop {
        let error = match rename_open(file, to).or_else(|_| rename_through(from, to)) {
            Ok(()) => return Ok(()),
            Err(e) => e,
        };
        let busy = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_USER_MAPPED_FILE];
        let code = error.raw_os_error().map_or(0, i32::cast_unsigned);
        if !busy.contains(&code) || start.elapsed() >= PATIENCE || to.is_dir() {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// As on other systems: also while somebody has the old file open. From Windows 10 1607 on, on NTFS; not under Wine.
fn rename_open(file: &File, to: &Path) -> io::Result<()> {
    let target = to.as_os_str().encode_wide().collect::<Vec<u16>>();
    let bytes = target.len() * 2;
    let size = std::mem::size_of::<FILE_RENAME_INFO>() + bytes;
    let mut buffer = vec![0_u64; size.div_ceil(8)];
    let information = buffer.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    // SAFETY: the buffer has room for the structure and for the name behind it with its NUL, and is aligned for it.
    check(unsafe {
        (*information).Anonymous.Flags =
            FILE_RENAME_FLAG_REPLACE_IF_EXISTS | FILE_RENAME_FLAG_POSIX_SEMANTICS;
        (*information).FileNameLength = u32::try_from(bytes).unwrap_or(u32::MAX);
        let name = (&raw mut (*information).FileName).cast::<u16>();
        std::ptr::copy_nonoverlapping(target.as_ptr(), name, target.len());
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileRenameInfoEx,
            information.cast(),
            u32::try_from(size).unwrap_or(u32::MAX),
        )
    })?;
    // The directory's change is written with the next flush of the file's own data.
    file.sync_all()
}

fn rename_through(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (long_path(from)?, long_path(to)?);
    // SAFETY: both names end with a NUL and outlive the call.
    check(unsafe {
        MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Windows keeps no more in `Permissions` than whether a file may be written, and this one may.
    pub(in super::super) fn unusual(_rights: &mut std::fs::Permissions) {}

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("plan.json");
        for (content, private) in [("one", true), ("two, longer", false), ("3", true)] {
            write_atomic(&path, content.as_bytes(), private).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), content);
        }
        assert_eq!(names(dir.path()), ["plan.json"]);
    }

    #[test]
    fn it_waits_for_a_reader_that_lets_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("plan.json");
        write_atomic(&path, b"old", true).expect("written");
        let reader = File::open(&path).expect("open");
        let writer = std::thread::spawn({
            let path = path.clone();
            move || write_atomic(&path, b"new", true)
        });
        std::thread::sleep(Duration::from_millis(50));
        drop(reader);
        writer.join().expect("no panic").expect("written after all");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "new");
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_the_old_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("sub");
        std::fs::create_dir(&path).expect("a directory");
        let error = write_atomic(&path, b"x", false).expect_err("a directory is in the way");
        assert!(error.to_string().contains("sub"), "{error}");
        assert_eq!(names(dir.path()), ["sub"]);
        assert!(write_atomic(&dir.path().join("no").join("where"), b"x", false).is_err());
    }
}
