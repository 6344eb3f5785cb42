//! The access list of a file or a directory: read, and added to.

use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::OwnedHandle;
use std::path::Path;

use windows_sys::Win32::Security::Authorization::{
    EXPLICIT_ACCESS_W, GRANT_ACCESS, GetSecurityInfo, NO_MULTIPLE_TRUSTEE, SE_FILE_OBJECT, SetEntriesInAclW,
    SetSecurityInfo, TRUSTEE_IS_SID, TRUSTEE_IS_UNKNOWN, TRUSTEE_W,
};
use windows_sys::Win32::Security::{
    ACL, DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, NO_INHERITANCE, OWNER_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, READ_CONTROL, WRITE_DAC};

use crate::win::security::{LocalMemory, sid};
use crate::win::{code, raw};

/// Owner, group and list of what a path leads to.
pub(super) struct List {
    descriptor: LocalMemory,
    /// Lies in the descriptor; none lets everybody do everything.
    list: *mut ACL,
}

impl List {
    pub(super) fn of(path: &Path) -> io::Result<List> {
        List::read(&open(path, READ_CONTROL)?)
    }

    fn read(object: &OwnedHandle) -> io::Result<List> {
        let what = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        let (mut owner, mut group, mut list) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        let (mut descriptor, none): (PSECURITY_DESCRIPTOR, _) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the handle is open, and all results outlive the call; the auditing part is not asked for.
        let status = unsafe {
            GetSecurityInfo(
                raw(object),
                SE_FILE_OBJECT,
                what,
                &mut owner,
                &mut group,
                &mut list,
                none,
                &mut descriptor,
            )
        };
        succeeded(status)?;
        Ok(List { descriptor: LocalMemory(descriptor), list })
    }

    /// Points at the descriptor: use it while this lives.
    pub(super) fn pointer(&self) -> PSECURITY_DESCRIPTOR {
        self.descriptor.0
    }
}

/// Adds an entry that grants an account these rights on the object alone. What is in a directory keeps its own.
pub(super) fn add(path: &Path, account: &str, rights: u32) -> io::Result<()> {
    let object = open(path, READ_CONTROL | WRITE_DAC)?;
    let old = List::read(&object)?;
    if old.list.is_null() {
        return Ok(());
    }
    let sid = sid(account)?;
    let entry = EXPLICIT_ACCESS_W {
        grfAccessPermissions: rights,
        grfAccessMode: GRANT_ACCESS,
        grfInheritance: NO_INHERITANCE,
        Trustee: TRUSTEE_W {
            pMultipleTrustee: std::ptr::null_mut(),
            MultipleTrusteeOperation: NO_MULTIPLE_TRUSTEE,
            TrusteeForm: TRUSTEE_IS_SID,
            TrusteeType: TRUSTEE_IS_UNKNOWN,
            // With this form it is the SID itself.
            ptstrName: sid.pointer().cast(),
        },
    };
    let mut new: *mut ACL = std::ptr::null_mut();
    // SAFETY: there is one entry, whose SID outlives the call, as the old list and the result do.
    succeeded(unsafe { SetEntriesInAclW(1, &entry, old.list, &mut new) })?;
    let new = LocalMemory(new.cast());
    let none = std::ptr::null_mut();
    // SAFETY: the handle is open with the right to change its list, and the new list lives until the end of this function.
    succeeded(unsafe {
        let list = new.0.cast();
        SetSecurityInfo(
            raw(&object),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            none,
            none,
            list,
            none.cast(),
        )
    })
}

fn succeeded(status: u32) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(code(status)) }
}

fn open(path: &Path, access: u32) -> io::Result<OwnedHandle> {
    let mut options = std::fs::OpenOptions::new();
    options.access_mode(access).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options.open(path).map(OwnedHandle::from)
}
