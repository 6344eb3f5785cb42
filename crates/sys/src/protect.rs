//! Data that the system encrypts for us: Windows' data protection (DPAPI).

use std::io;

use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// Encrypts, so that only this machine can decrypt it: whoever may read the file in which it lies. Not for the account
/// alone, as the account of a service has its keys at hand only while its profile is loaded. `Unsupported` on Linux.
pub fn protect(bytes: &[u8]) -> io::Result<Vec<u8>> {
    platform::protect(bytes)
}

/// Decrypts what [`protect`] or another program on this machine has encrypted, for the machine or for this account.
/// `Unsupported` on Linux.
pub fn unprotect(bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    platform::unprotect(bytes)
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn what_was_protected_comes_back_and_what_was_changed_does_not() {
        let protected = protect(b"correct horse").expect("protected");
        assert!(!protected.windows(7).any(|part| part == b"correct"));
        assert_eq!(unprotect(&protected).expect("unprotected").as_slice(), b"correct horse");
        for damaged in [&protected[..protected.len() / 2], b"", b"nothing of the kind"] {
            assert!(unprotect(damaged).is_err());
        }
    }
}
