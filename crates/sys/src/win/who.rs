//! Names of accounts as people write them.

use std::io;

use windows_sys::Win32::Security::{LookupAccountNameW, PSID};

use super::security::{SYSTEM, sid_text};
use super::{check, wide};

/// An account, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// One of Windows' own for services, by its SID.
    Own(&'static str),
    /// That of a service alone, `NT SERVICE\name`.
    Virtual(String),
    /// One whose password the domain keeps: its name ends with a dollar sign.
    Managed(Name),
    /// One with a password.
    Person(Name),
}

/// A name, and where it counts: `.` is this machine; none with a name like `bob@corp.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) domain: Option<String>,
    pub(crate) name: String,
}

/// The SID of LocalService.
pub(crate) const LOCAL_SERVICE: &str = "S-1-5-19";
/// The SID of NetworkService.
pub(crate) const NETWORK_SERVICE: &str = "S-1-5-20";

impl Who {
    pub(crate) fn of(account: &str) -> Who {
        let lower = account.to_ascii_lowercase().replace(' ', "");
        let own = lower.strip_prefix(r"ntauthority\").or_else(|| lower.strip_prefix(r".\")).unwrap_or(&lower);
        match own {
            "localsystem" | "system" => return Who::Own(SYSTEM),
            "localservice" => return Who::Own(LOCAL_SERVICE),
            "networkservice" => return Who::Own(NETWORK_SERVICE),
            _ => {}
        }
        let name = match account.split_once('\\') {
            Some((domain, service)) if domain.eq_ignore_ascii_case("NT SERVICE") => {
                return Who::Virtual(service.to_owned());
            }
            Some((domain, name)) => Name { domain: Some(domain.to_owned()), name: name.to_owned() },
            None if account.contains('@') => Name { domain: None, name: account.to_owned() },
            None => Name { domain: Some(".".to_owned()), name: account.to_owned() },
        };
        if name.name.split('@').next().is_some_and(|name| name.ends_with('$')) {
            Who::Managed(name)
        } else {
            Who::Person(name)
        }
    }
}

/// The SID of an account, as text.
pub(crate) fn sid_of(account: &str) -> io::Result<String> {
    if let Who::Own(sid) = Who::of(account) {
        return Ok(sid.to_owned());
    }
    let name = wide(account.strip_prefix(".\\").unwrap_or(account))?;
    // The longest SID has 68 bytes. Made of usize for the alignment.
    let (mut sid, mut domain) = ([0_usize; 16], [0_u16; 256]);
    let mut length = u32::try_from(std::mem::size_of_val(&sid)).unwrap_or(0);
    let (mut domain_length, mut kind) = (256, 0);
    // SAFETY: both buffers are as long as said, and the name ends with a NUL.
    check(unsafe {
        LookupAccountNameW(
            std::ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &mut length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    })
    .map_err(|error| io::Error::new(error.kind(), format!("there is no account {account}: {error}")))?;
    let sid: PSID = sid.as_mut_ptr().cast();
    // SAFETY: the call above wrote a SID there, in a buffer that lives until the end of this function.
    unsafe { sid_text(sid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_told_apart_by_their_names() {
        for name in ["LocalService", r"NT AUTHORITY\LocalService", r"nt authority\local service"] {
            assert_eq!(Who::of(name), Who::Own(LOCAL_SERVICE), "{name}");
        }
        assert_eq!(Who::of(r"NT AUTHORITY\NETWORK SERVICE"), Who::Own(NETWORK_SERVICE));
        assert_eq!(Who::of(r".\LocalSystem"), Who::Own(SYSTEM));
        assert_eq!(Who::of(r"NT Service\shop@web"), Who::Virtual("shop@web".to_owned()));
        let name = |domain: Option<&str>, name: &str| Name {
            domain: domain.map(str::to_owned),
            name: name.to_owned(),
        };
        assert_eq!(Who::of(r"CORP\web$"), Who::Managed(name(Some("CORP"), "web$")));
        assert_eq!(Who::of("web$@corp.example"), Who::Managed(name(None, "web$@corp.example")));
        assert_eq!(Who::of(r".\bob"), Who::Person(name(Some("."), "bob")));
        assert_eq!(Who::of("bob"), Who::Person(name(Some("."), "bob")));
        assert_eq!(Who::of("bob@corp.example"), Who::Person(name(None, "bob@corp.example")));
        assert_eq!(Who::of(r"CORP\Bob Smith"), Who::Person(name(Some("CORP"), "Bob Smith")));
    }
}
