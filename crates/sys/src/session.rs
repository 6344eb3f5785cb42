//! Sessions of Windows: who is signed in, and whether we may start something on their desktops.

use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(windows)]
use windows as platform;

/// A session in which somebody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Its number.
    pub id: u32,
    /// Whether somebody sits before it; else its desktop goes on unseen.
    pub connected: bool,
    /// Whether it is that of the machine's own screen.
    pub console: bool,
}

/// The session that this process is in, if it is somebody's: not the one of services. None on Linux.
pub fn own() -> Option<u32> {
    platform::own()
}

/// All sessions in which somebody is signed in. None on Linux.
///
/// # Errors
/// The service of Windows that knows them does not answer.
pub fn signed_in() -> io::Result<Vec<SignedIn>> {
    platform::signed_in()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_signed_in_can_be_told() {
        let all = signed_in().expect("a list");
        assert!(all.iter().all(|one| one.id != 0), "nobody works in that of services: {all:?}");
        if !crate::IS_WINDOWS {
            assert_eq!((own(), all), (None, Vec::new()));
        }
    }
}
