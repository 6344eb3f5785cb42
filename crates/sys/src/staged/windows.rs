use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use windows_sys::Win32::Foundation::GENERIC_WRITE;
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, SetFileSecurityW,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ,
};

use super::Access;
use crate::file;
use crate::win::security::{Account, Descriptor, Object};
use crate::win::who::sid_of;
use crate::win::{check, long_path, owned};

pub(super) fn write_new(path: &Path, bytes: &[u8], access: &Access<'_>) -> io::Result<()> {
    let (name, descriptor) = (long_path(path)?, descriptor(access)?);
    let attributes = descriptor.attributes(false);
    // SAFETY: the name ends with a NUL; it and the descriptor outlive the call.
    let handle = owned(unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE | DELETE,
            FILE_SHARE_READ | FILE_SHARE_DELETE,
            &raw const attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            std::ptr::null_mut(),
        )
    })?;
    let mut new = File::from(handle);
    new.write_all(bytes)?;
    new.sync_all()
}

pub(super) fn set_access(path: &Path, access: &Access<'_>) -> io::Result<()> {
    let (name, descriptor) = (long_path(path)?, descriptor(access)?);
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the name ends with a NUL; it and the descriptor outlive the call.
    check(unsafe { SetFileSecurityW(name.as_ptr(), what, descriptor.pointer()) })
}

/// The system, administrators and we may do everything with it; the owner reads it, and writes it if it may; others read
/// it if they may.
fn descriptor(access: &Access<'_>) -> io::Result<Descriptor> {
    let mut text = Account::own()?.sddl(Object::File, &[]);
    if let Some(owner) = access.owner {
        let rights = if access.mode & 0o200 != 0 { "FRFW" } else { "FR" };
        text += &format!("(A;;{rights};;;{})", sid_of(owner)?);
    }
    if access.mode & 0o004 != 0 {
        text += "(A;;FR;;;BU)";
    }
    Descriptor::parse(&text)
}

/// The copy is ours alone: what the old one's rights were is not worth a guess.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    file::write_atomic(to, &std::fs::read(from)?, true)
}

pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    file::put(from, to)
}
