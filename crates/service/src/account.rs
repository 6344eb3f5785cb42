//! Accounts that services run under: what they are, and their SIDs.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::ptr;

use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{LookupAccountNameW, PSID};

use crate::local::Local;
use crate::registry::wide;

/// What kind of account a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of Windows' own, with this SID.
    Own(&'static str),
    /// That of a service alone: `NT SERVICE\name`.
    Virtual(String),
    /// Of a person, or managed by the domain.
    Other,
}

impl Kind {
    pub(crate) fn of(account: &str) -> Kind {
        let lower = account.to_ascii_lowercase();
        match lower.as_str() {
            "localsystem" | r".\localsystem" | r"nt authority\system" => Kind::Own("S-1-5-18"),
            r"nt authority\localservice" | r"nt authority\local service" => Kind::Own("S-1-5-19"),
            r"nt authority\networkservice" | r"nt authority\network service" => Kind::Own("S-1-5-20"),
            _ => match lower.strip_prefix(r"nt service\") {
                Some(name) => Kind::Virtual(account[account.len() - name.len()..].to_owned()),
                None => Kind::Other,
            },
        }
    }

    /// Whether it may only log on as a service if somebody has granted it that: Windows' own may, and virtual ones by the
    /// group of all of them.
    pub(crate) fn needs_logon_right(&self) -> bool {
        *self == Kind::Other
    }
}

/// The SID of an account, as text.
pub(crate) fn sid(account: &str) -> io::Result<String> {
    match Kind::of(account) {
        Kind::Own(sid) => Ok(sid.to_owned()),
        Kind::Virtual(service) => Ok(service_sid(&service)),
        Kind::Other => look_up(account),
    }
}

/// The SID that Windows gives a service: 80 and the SHA-1 of its name in capital letters (MS-SERVICE SID, as `sc showsid`
/// shows it). It is known before there is such a service.
fn service_sid(name: &str) -> String {
    let bytes: Vec<u8> = name.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = sha1_smol::Sha1::from(bytes).digest().bytes();
    let parts = digest.chunks_exact(4).map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
    parts.fold("S-1-5-80".to_owned(), |sid, part| format!("{sid}-{part}"))
}

fn look_up(account: &str) -> io::Result<String> {
    // `.\name` is this machine's: only the bare name is looked up there first.
    let name = wide(account.strip_prefix(r".\").unwrap_or(account));
    // A SID is at most 68 bytes. Made of u64 for the alignment.
    let (mut sid, mut domain) = ([0_u64; 16], [0_u16; 256]);
    let (mut length, mut domain_length, mut kind) = (128, 256, 0);
    // SAFETY: the name ends with a NUL; both places are as long as said; all outlive the call.
    let found = unsafe {
        LookupAccountNameW(
            ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &mut length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    };
    if found == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above wrote a valid SID.
    unsafe { sid_text(sid.as_mut_ptr().cast()) }
}

/// A SID as text.
///
/// # Safety
/// It points at a valid SID.
pub(crate) unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text: *mut u16 = ptr::null_mut();
    // SAFETY: the caller promises the SID; the text that comes back ends with a NUL and is to be freed so.
    unsafe {
        match ConvertSidToStringSidW(sid, &mut text) {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Local::owned(text).text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_sid_is_the_one_that_windows_makes() {
        // The best known of them all.
        let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        assert_eq!(sid(r"NT SERVICE\TrustedInstaller").expect("a SID"), installer);
        assert_eq!(sid(r"nt service\trustedinstaller").expect("a SID"), installer);
    }

    #[test]
    fn kinds_of_accounts() {
        assert_eq!(sid("LocalSystem").expect("a SID"), "S-1-5-18");
        assert_eq!(sid(r"NT AUTHORITY\LocalService").expect("a SID"), "S-1-5-19");
        assert_eq!(sid(r"NT AUTHORITY\NetworkService").expect("a SID"), "S-1-5-20");
        assert_eq!(Kind::of(r"NT SERVICE\Shop@web"), Kind::Virtual("Shop@web".to_owned()));
        for account in ["LocalSystem", r"NT AUTHORITY\NetworkService", r"NT SERVICE\x"] {
            assert!(!Kind::of(account).needs_logon_right(), "{account}");
        }
        for account in [r".\bob", r"CORP\web$", "bob@corp.example"] {
            assert!(Kind::of(account).needs_logon_right(), "{account}");
        }
        assert!(sid(r".\nobody-of-this-name").is_err());
    }
}
