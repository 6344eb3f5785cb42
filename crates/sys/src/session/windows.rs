//! Sessions as Remote Desktop Services list them, which run on every Windows.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::RemoteDesktop::{
    ProcessIdToSessionId, WTS_CONNECTSTATE_CLASS, WTS_CURRENT_SERVER_HANDLE, WTS_SESSION_INFOW, WTSActive,
    WTSDisconnected, WTSEnumerateSessionsW, WTSFreeMemory, WTSGetActiveConsoleSessionId,
    WTSQuerySessionInformationW, WTSQueryUserToken, WTSUserName,
};

use super::SignedIn;
use crate::win::{check, owned, text_at};

/// That of services, where nobody signs in.
const SERVICES: u32 = 0;

pub(super) fn own() -> Option<u32> {
    let mut id = SERVICES;
    // SAFETY: the result outlives the call. If it fails, for a process of ours, it is as if we were a service.
    unsafe { ProcessIdToSessionId(std::process::id(), &mut id) };
    Some(id).filter(|id| *id != SERVICES)
}

pub(super) fn signed_in() -> io::Result<Vec<SignedIn>> {
    // SAFETY: no arguments.
    let console = unsafe { WTSGetActiveConsoleSessionId() };
    let listed = sessions()?;
    Ok(listed.into_iter().filter_map(|(id, state)| judge(id, state, console, || user_of(id))).collect())
}

/// What a session of this state is, if somebody is signed in there. One that waits for a logon has a number and a state,
/// too, but no user.
fn judge(
    id: u32,
    state: WTS_CONNECTSTATE_CLASS,
    console: u32,
    user: impl FnOnce() -> String,
) -> Option<SignedIn> {
    let connected = state == WTSActive;
    // In any other state it is set up, taken down, looked at from another one, or only listens.
    let has_desktop = connected || state == WTSDisconnected;
    (id != SERVICES && has_desktop && !user().is_empty()).then_some(SignedIn {
        id,
        connected,
        console: id == console,
    })
}

/// All sessions with their states.
fn sessions() -> io::Result<Vec<(u32, WTS_CONNECTSTATE_CLASS)>> {
    let (mut first, mut count) = (std::ptr::null_mut::<WTS_SESSION_INFOW>(), 0);
    // SAFETY: both results outlive the call; 0 and 1 are what is documented for the other two numbers.
    check(unsafe { WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &mut first, &mut count) })?;
    if first.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the call gave so many entries, and they are read before they are given back.
    unsafe {
        let listed = std::slice::from_raw_parts(first, count as usize);
        let listed = listed.iter().map(|session| (session.SessionId, session.State)).collect();
        WTSFreeMemory(first.cast());
        Ok(listed)
    }
}

/// The name of who is signed in; empty if nobody is, or if the session is gone by now.
fn user_of(id: u32) -> String {
    let (mut name, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: both results outlive the call; what it gives ends with a NUL and is read before it is given back.
    unsafe {
        if WTSQuerySessionInformationW(WTS_CURRENT_SERVER_HANDLE, id, WTSUserName, &mut name, &mut length)
            == 0
        {
            return String::new();
        }
        let text = text_at(name);
        WTSFreeMemory(name.cast());
        text
    }
}

/// The token of who is signed in there, as their desktop has it: an administrator's without the rights that take a
/// confirmation.
pub(crate) fn user_token(session: u32) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the result outlives the call.
    check(unsafe { WTSQueryUserToken(session, &mut token) })?;
    owned(token)
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::System::RemoteDesktop::{WTSConnected, WTSListen};

    use super::*;

    #[test]
    fn somebody_is_where_there_is_a_name_and_a_desktop() {
        let of = |id, state, user: &str| judge(id, state, 1, || user.to_owned());
        let expected = |id, connected, console| Some(SignedIn { id, connected, console });
        assert_eq!(of(1, WTSActive, "ann"), expected(1, true, true));
        assert_eq!(of(2, WTSActive, "bob"), expected(2, true, false));
        assert_eq!(of(3, WTSDisconnected, "eve"), expected(3, false, false));
        assert_eq!(of(0, WTSDisconnected, "ann"), None, "that of services");
        assert_eq!(of(1, WTSActive, ""), None, "the logon screen after a logoff");
        assert_eq!(of(1, WTSConnected, ""), None, "the logon screen");
        assert_eq!(of(65_536, WTSListen, ""), None, "what remote sessions are made from");
    }
}
