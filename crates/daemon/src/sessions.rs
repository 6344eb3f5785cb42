//! In whose session services run that want one: looked at when this daemon begins, when the service manager tells of a
//! change, and now and then, because what it told may be lost.

use std::time::Duration;

use mainstay_core::{
    Input, Plan, ServiceName, Session, SessionChange, SignedIn, SigningOff, Time, choose_session,
};
use mainstay_link::Spawn;
use mainstay_sys::session;
use tracing::warn;

use crate::driver::{Driver, now};

/// How often it is looked while a service wants to know. A logon is told at once.
const LOOK: Duration = Duration::from_secs(10);

/// Who comes and goes.
#[derive(Default)]
pub(crate) struct Sessions {
    leaving: SigningOff,
    /// When it is looked again; none while no service wants to know.
    next: Option<Time>,
}

impl Sessions {
    /// The plan is another one: a service that wants to know is told at once.
    pub fn follow(&mut self, plan: &Plan) {
        // Nobody signs in or out of our own session without us.
        let wanted = mainstay_sys::IS_WINDOWS
            && session::own().is_none()
            && plan.services.values().any(|service| !service.session.is_services());
        self.next = wanted.then(|| self.next.unwrap_or_else(now));
    }

    /// When [`Driver::look_at_sessions_if_due`] is wanted.
    pub fn deadline(&self) -> Option<Time> {
        self.next
    }
}

impl Driver {
    /// The service manager told something of a session.
    pub(crate) fn session_changed(&mut self, id: u32, change: SessionChange) {
        self.sessions.leaving.told(id, change);
        self.look_at_sessions();
    }

    pub(crate) fn look_at_sessions_if_due(&mut self, now: Time) {
        if self.sessions.next.is_some_and(|at| at <= now) {
            self.sessions.next = Some(now.after(LOOK));
            self.look_at_sessions();
        }
    }

    /// Finds out in which session services are to run, and tells the core if that is another one now. In a stack that
    /// somebody started on their own desktop it is theirs.
    pub(crate) fn look_at_sessions(&mut self) {
        let present = self.core.session();
        let id = match session::own() {
            Some(own) => Some(own),
            None => match session::signed_in() {
                Ok(listed) => {
                    let listed: Vec<SignedIn> = listed.into_iter().map(of_core).collect();
                    choose_session(&self.sessions.leaving.stay(&listed), present)
                }
                Err(error) => {
                    warn!("it is not known who is signed in: {error}");
                    return;
                }
            },
        };
        if id != present {
            self.input(Input::Session { id });
        }
    }

    /// Puts a process of a service, its own or a helper's, into the session where it belongs.
    ///
    /// # Errors
    /// It belongs to who is signed in, and nobody is. It gets no other place: there it would have other rights.
    pub(crate) fn place(&self, service: &ServiceName, spawn: &mut Spawn) -> Result<(), String> {
        let wanted = self.core.plan().services.get(service).map(|plan| plan.session).unwrap_or_default();
        place(wanted, self.core.session(), spawn)
    }
}

fn place(wanted: Session, present: Option<u32>, spawn: &mut Spawn) -> Result<(), String> {
    if wanted.is_services() {
        return Ok(());
    }
    if wanted.waits() && present.is_none() {
        return Err("nobody is signed in".to_owned());
    }
    if present.is_some() {
        // As who is signed in, and nobody else.
        (spawn.session, spawn.user, spawn.password) = (present, None, None);
    }
    Ok(())
}

fn of_core(session: session::SignedIn) -> SignedIn {
    let session::SignedIn { id, connected, console } = session;
    SignedIn { id, connected, console }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_put_where_its_service_belongs_and_nowhere_else() {
        let placed = |wanted, present| {
            let mut spawn = Spawn { user: Some("LocalService".to_owned()), ..Spawn::default() };
            place(wanted, present, &mut spawn).map(|()| (spawn.session, spawn.user.is_some()))
        };
        assert_eq!(placed(Session::Services, Some(1)), Ok((None, true)));
        assert_eq!(placed(Session::Active, Some(1)), Ok((Some(1), false)), "its user is who is signed in");
        assert!(placed(Session::Active, None).is_err_and(|why| why == "nobody is signed in"));
        assert_eq!(placed(Session::PreferActive, Some(2)), Ok((Some(2), false)));
        assert_eq!(placed(Session::PreferActive, None), Ok((None, true)));
    }
}
