//! `CryptProtectData` and its inverse.

use std::io;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Cryptography::{
    CRYPT_INTEGER_BLOB, CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData,
    CryptUnprotectData,
};
use zeroize::{Zeroize, Zeroizing};

use crate::win::check;

pub(super) fn protect(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (input, mut output) = (blob(bytes)?, CRYPT_INTEGER_BLOB::default());
    // SAFETY: the input, which is only read, and the output outlive the call; the optional pointers are null.
    check(unsafe {
        CryptProtectData(
            &input,
            std::ptr::null(),
            std::ptr::null(),
            std::ptr::null(),
            std::ptr::null(),
            CRYPTPROTECT_LOCAL_MACHINE | CRYPTPROTECT_UI_FORBIDDEN,
            &mut output,
        )
    })?;
    Ok(take(output).to_vec())
}

pub(super) fn unprotect(bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (input, mut output) = (blob(bytes)?, CRYPT_INTEGER_BLOB::default());
    // SAFETY: as above; no description is asked for.
    check(unsafe {
        CryptUnprotectData(
            &input,
            std::ptr::null_mut(),
            std::ptr::null(),
            std::ptr::null(),
            std::ptr::null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &mut output,
        )
    })?;
    Ok(take(output))
}

fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    Ok(CRYPT_INTEGER_BLOB { cbData: length, pbData: bytes.as_ptr().cast_mut() })
}

/// Copies what Windows has allocated, zeroes it and gives it back.
fn take(blob: CRYPT_INTEGER_BLOB) -> Zeroizing<Vec<u8>> {
    if blob.pbData.is_null() {
        return Zeroizing::default();
    }
    // SAFETY: the call that succeeded has written so many bytes there, which are ours until they are freed below.
    let bytes = unsafe { std::slice::from_raw_parts_mut(blob.pbData, blob.cbData as usize) };
    let copy = Zeroizing::new(bytes.to_vec());
    bytes.zeroize();
    // SAFETY: the documentation says to free it so; nothing points at it any more.
    unsafe { LocalFree(blob.pbData.cast()) };
    copy
}
