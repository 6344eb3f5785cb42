//! Who asks, as far as it matters for what may be asked.

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The stack's owner, or somebody who may do everything to it anyway.
    Owner,
    /// The account of an entry in services.msc, by its SID; without one if it cannot be told which. On Windows alone.
    Entry(Option<String>),
}

impl Caller {
    /// Whether it is the account of this Windows service, `NT SERVICE\name`.
    pub fn is_service(&self, name: &str) -> bool {
        matches!(self, Caller::Entry(Some(sid)) if *sid == service_sid(name))
    }
}

/// The SID that Windows gives a service: 80 and the SHA-1 of its name in capital letters, as `sc showsid` shows it.
fn service_sid(name: &str) -> String {
    let bytes: Vec<u8> = name.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = sha1_smol::Sha1::from(bytes).digest().bytes();
    let parts = digest.chunks_exact(4).map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
    parts.fold("S-1-5-80".to_owned(), |sid, part| format!("{sid}-{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_sid() {
        // The best known of them all.
        let sid = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464".to_owned();
        let installer = Caller::Entry(Some(sid));
        assert!(installer.is_service("TrustedInstaller"));
        assert!(installer.is_service("trustedinstaller"), "names of services have no case");
        assert!(!installer.is_service("TrustedInstaller2"));
        assert!(!Caller::Entry(None).is_service("TrustedInstaller"));
    }
}
