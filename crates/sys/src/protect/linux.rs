//! There is no such thing here.

use std::io;

use zeroize::Zeroizing;

pub(super) fn protect(_bytes: &[u8]) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn unprotect(_bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    Err(io::ErrorKind::Unsupported.into())
}
