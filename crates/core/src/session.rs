//! Sessions of Windows: somebody's desktop, with the programs that show something there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

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
