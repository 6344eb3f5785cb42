//! Who may do what with a service, and what it may do itself: settings of the SCM.

/// What somebody who is no administrator may do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See its configuration, its state and what depends on it.
    Look,
    /// That, and start it.
    Start,
    /// That, and stop, pause and continue it, and send it controls.
    Operate,
}

/// Whether a service has a SID of its own, `NT SERVICE\name`, in its token, so that files can be given to it by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceSid {
    /// Unless its account is that.
    #[default]
    None,
    /// Access lists may grant to it.
    Unrestricted,
    /// It may write only where an access list grants that to this SID, too.
    Restricted,
}

#[cfg(any(windows, test))]
impl Role {
    /// The rights, as SDDL has them for services: query configuration (CC), query status (LC), enumerate dependents (SW),
    /// interrogate (LO), read the list (RC); start (RP), stop (WP), pause and continue (DT), own controls (CR).
    pub(crate) fn sddl(self) -> &'static str {
        match self {
            Role::Look => "CCLCSWLORC",
            Role::Start => "CCLCSWRPLORC",
            Role::Operate => "CCLCSWRPWPDTLOCRRC",
        }
    }

    #[cfg(windows)]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Look => "look",
            Role::Start => "start",
            Role::Operate => "operate",
        }
    }
}

/// What Windows gives every new service: all to administrators; what it needs to the system; and a look, with own
/// controls, to whoever is signed in at the machine (IU) or is a service (SU).
#[cfg(any(windows, test))]
const DEFAULT: &str = "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)\
                       (A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)";

/// The access list of a service, as text, that gives these roles to these SIDs.
#[cfg(any(windows, test))]
pub(crate) fn access_list(roles: &[(String, Role)]) -> String {
    let entry = |(sid, role): &(String, Role)| format!("(A;;{};;;{sid})", role.sddl());
    DEFAULT.to_owned() + &roles.iter().map(entry).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_added_to_what_windows_gives() {
        assert_eq!(access_list(&[]), DEFAULT);
        let roles =
            [("S-1-5-21-1-2-3-1000".to_owned(), Role::Operate), ("S-1-5-80-1".to_owned(), Role::Start)];
        assert_eq!(
            access_list(&roles).strip_prefix(DEFAULT),
            Some("(A;;CCLCSWRPWPDTLOCRRC;;;S-1-5-21-1-2-3-1000)(A;;CCLCSWRPLORC;;;S-1-5-80-1)")
        );
    }

    #[test]
    fn no_role_may_change_the_service_itself() {
        for role in [Role::Look, Role::Start, Role::Operate] {
            let rights =
                role.sddl().as_bytes().chunks(2).map(|right| std::str::from_utf8(right).unwrap_or("?"));
            for right in rights {
                // Change the configuration, delete, change the list, take it over.
                assert!(!["DC", "SD", "WD", "WO", "GA", "GW"].contains(&right), "{role:?} {right}");
            }
        }
    }
}
