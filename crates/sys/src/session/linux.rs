//! There are no sessions that services could be kept out of.

use std::io;

use super::SignedIn;

pub(super) fn own() -> Option<u32> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "as on Windows")]
pub(super) fn signed_in() -> io::Result<Vec<SignedIn>> {
    Ok(Vec::new())
}
