//! Sessions of Windows: somebody's desktop, with the programs that show something there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SessionChange;

/// In which session a service runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// In session 0, which has no desktop that anybody sees.
    #[default]
    Services,
    /// In that of who is signed in. While nobody is, it waits.
    Active,
    /// In that of who is signed in; in session 0 while nobody is.
    PreferActive,
}

impl Session {
    /// All of them, the default first.
    pub const ALL: [Session; 3] = [Session::Services, Session::Active, Session::PreferActive];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Session::Services => "services",
            Session::Active => "active",
            Session::PreferActive => "prefer_active",
        }
    }

    /// Whether nobody has to be signed in.
    pub const fn is_services(&self) -> bool {
        matches!(self, Session::Services)
    }

    /// Whether it waits while nobody is signed in.
    pub const fn waits(self) -> bool {
        matches!(self, Session::Active)
    }
}

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

/// The one in which services run that want one. The present one stays it for as long as it is there, also unseen: a
/// program is not ended because a connection was lost. Else first who sits at the machine, then who is connected to it,
/// then who was.
pub fn choose_session(sessions: &[SignedIn], present: Option<u32>) -> Option<u32> {
    let rank =
        |session: &&SignedIn| (Some(session.id) != present, !session.connected, !session.console, session.id);
    sessions.iter().min_by_key(rank).map(|session| session.id)
}

/// Sessions whose users are signing off: for a while the system still lists them, and what is started there ends at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningOff(BTreeSet<u32>);

impl SigningOff {
    /// The service manager told this of a session.
    pub fn told(&mut self, id: u32, change: SessionChange) {
        match change {
            SessionChange::Logoff => {
                self.0.insert(id);
            }
            // The number was given to another one.
            SessionChange::Logon => {
                self.0.remove(&id);
            }
            SessionChange::Lock
            | SessionChange::Unlock
            | SessionChange::Connect
            | SessionChange::Disconnect => {}
        }
    }

    /// Those of all that are listed that stay. What is listed no more is forgotten.
    pub fn stay(&mut self, listed: &[SignedIn]) -> Vec<SignedIn> {
        self.0.retain(|id| listed.iter().any(|session| session.id == *id));
        listed.iter().filter(|session| !self.0.contains(&session.id)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_off_is_gone_before_the_list_says_so() {
        let of = |id| SignedIn { id, connected: true, console: false };
        let mut leaving = SigningOff::default();
        let ids = |leaving: &mut SigningOff, listed: &[u32]| {
            let listed: Vec<SignedIn> = listed.iter().map(|id| of(*id)).collect();
            leaving.stay(&listed).iter().map(|session| session.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&mut leaving, &[1, 2]), [1, 2]);
        leaving.told(1, SessionChange::Lock);
        leaving.told(1, SessionChange::Disconnect);
        assert_eq!(ids(&mut leaving, &[1, 2]), [1, 2], "still there");
        leaving.told(1, SessionChange::Logoff);
        assert_eq!(ids(&mut leaving, &[1, 2]), [2]);
        assert_eq!(ids(&mut leaving, &[2]), [2]);
        assert_eq!(ids(&mut leaving, &[1, 2]), [1, 2], "somebody else has its number now");
        leaving.told(2, SessionChange::Logoff);
        leaving.told(2, SessionChange::Logon);
        assert_eq!(ids(&mut leaving, &[2]), [2], "told before it was looked");
    }

    #[test]
    fn the_present_session_stays_and_the_next_is_the_one_that_is_seen() {
        let of = |id, connected, console| SignedIn { id, connected, console };
        let (console, remote, gone) = (of(1, true, true), of(2, true, false), of(3, false, false));
        assert_eq!(choose_session(&[], None), None);
        assert_eq!(choose_session(&[], Some(1)), None, "signed off");
        assert_eq!(choose_session(&[gone, remote, console], None), Some(1));
        assert_eq!(choose_session(&[gone, remote], None), Some(2));
        assert_eq!(choose_session(&[gone], None), Some(3), "signed in, and not to be seen");
        assert_eq!(choose_session(&[gone, remote, console], Some(3)), Some(3));
        assert_eq!(choose_session(&[remote, console], Some(3)), Some(1));
    }
}
