//! Signals by hand: asked over the API, sent by the keeper, which knows whose process is whose.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_api::types::EventBody;
use mainstay_core::{Event, EventKind, RunId, ServiceName, ServicePlan, StopAction};
use mainstay_link::{CTRL_BREAK, Command, REST, ROTATIONS, SECRETS, SEND, SESSIONS, Spawn, TOKENS, Whom};

use crate::driver::{Driver, now};
use crate::message::{Refused, Reply};

/// So many may wait for the keeper's answer.
const MAX_WAITING: usize = 64;

/// Those that the keeper has not answered for.
#[derive(Default)]
pub(crate) struct Sending {
    waiting: BTreeMap<u64, Reply<u32>>,
    last: u64,
}

/// What the keeper knows beyond the first one's commands.
#[derive(Default)]
pub(crate) struct Knows(BTreeSet<String>);

impl Knows {
    /// As its welcome says.
    pub fn new(words: &[String]) -> Knows {
        Knows(words.iter().cloned().collect())
    }

    /// Whether it knows this word.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// What an old keeper would pass over goes where it looks.
    ///
    /// # Errors
    /// It would pass over what must not be left out.
    pub fn fit(&self, spawn: &mut Spawn) -> Result<(), String> {
        if spawn.settings.has_token() && !self.0.contains(TOKENS) {
            return Err("the keeper is of an older version, and would give it all rights of its account; \
                        `mainstay down` and `up` bring a new one"
                .to_owned());
        }
        if spawn.session.is_some() && !self.0.contains(SESSIONS) {
            return Err(
                "the keeper is of an older version, and would start it beside the services with all rights; \
                        `mainstay down` and `up` bring a new one"
                    .to_owned(),
            );
        }
        if !self.0.contains(SECRETS) {
            let secrets = std::mem::take(&mut spawn.secrets);
            spawn
                .environment
                .extend(secrets.into_iter().map(|(name, secret)| (name, secret.value().to_owned())));
        }
        Ok(())
    }

    /// What it will not do for a service, in words; it passes over that.
    pub fn passes_over(&self, service: &ServiceName, plan: &ServicePlan) -> Option<String> {
        (plan.hooks.on_rotation.is_some() && !self.0.contains(ROTATIONS)).then(|| {
            format!(
                "{service}'s on_rotation is not run: the keeper is of an older version; `mainstay down` and `up` bring \
                 a new one"
            )
        })
    }

    /// Whether the keeper stays for what is left running.
    pub fn rest(&self) -> bool {
        self.0.contains(REST)
    }

    /// The action that does the nearest to it. An old keeper would not read a word that it does not know, nor the frame
    /// around it.
    pub fn nearest(&self, action: StopAction) -> StopAction {
        match action {
            StopAction::CtrlBreak if !self.0.contains(CTRL_BREAK) => StopAction::CtrlC,
            action => action,
        }
    }
}

impl Driver {
    /// Has a signal sent; answered when that is done.
    pub(crate) fn send_by_hand(
        &mut self,
        by: String,
        service: ServiceName,
        action: StopAction,
        whom: Whom,
        reply: Reply<u32>,
    ) {
        match self.try_send(by, service, action, whom) {
            Ok(id) => {
                self.sending.waiting.insert(id, reply);
            }
            // Whoever asked may have gone.
            Err(refused) => drop(reply.send(Err(refused))),
        }
    }

    fn try_send(
        &mut self,
        by: String,
        service: ServiceName,
        action: StopAction,
        whom: Whom,
    ) -> Result<u64, Refused> {
        let Some(run) = self.status(&service)?.run else {
            return Err(Refused::new(409, format!("{service} does not run")));
        };
        if !self.knows.0.contains(SEND) {
            return Err(Refused::new(
                409,
                "the keeper of this stack is of an older version, and cannot do that",
            )
            .hint("`mainstay down` and `mainstay up` make a new one"));
        }
        self.sending.waiting.retain(|_, reply| !reply.is_closed());
        if self.sending.waiting.len() >= MAX_WAITING {
            return Err(Refused::new(503, "too many signals wait to be sent").hint("try again in a moment"));
        }
        let to = match whom {
            Whom::Main => "its main process".to_owned(),
            Whom::One(pid) => format!("process {pid}"),
            Whom::All => "all its processes".to_owned(),
        };
        let what = format!("signal ({action} to {to})");
        let kind = EventKind::Requested { by, what };
        self.events.stage(EventBody::Core(Event { service: Some(service), run: Some(run), kind }));
        // An answer to an earlier daemon's question may come still: numbers rise over all of one boot.
        let id = now().as_nanos().max(self.sending.last + 1);
        self.sending.last = id;
        self.out.command(Command::Send { id, run, whom, action });
        Ok(id)
    }

    /// Sends a signal to the main process of a run, as a change of files wants it.
    pub(crate) fn signal_main(&mut self, id: u64, run: RunId, action: StopAction) {
        if self.knows.has(SEND) {
            self.out.command(Command::Send { id, run, whom: Whom::Main, action });
        } else {
            // An old keeper sends it to the tree, and does not say whether it did.
            self.out.command(Command::Signal { run, action: self.knows.nearest(action) });
            self.files.sent(id, None);
        }
    }

    /// The keeper has sent it, or not.
    pub(crate) fn sent_by_hand(&mut self, id: u64, count: u32, error: Option<String>) {
        let Some(reply) = self.sending.waiting.remove(&id) else { return };
        let answer = match error {
            None => Ok(count),
            Some(error) => Err(Refused::new(409, error)),
        };
        // Whoever asked may have gone.
        drop(reply.send(answer));
    }
}

#[cfg(test)]
mod tests {
    use mainstay_core::Privileges;

    use super::*;

    #[test]
    fn an_old_keeper_is_asked_for_nothing_that_it_cannot_read() {
        let old = Knows::new(&[]);
        assert_eq!(old.nearest(StopAction::CtrlBreak), StopAction::CtrlC);
        assert_eq!(old.nearest(StopAction::CloseWindow), StopAction::CloseWindow);
        let new = Knows::new(&mainstay_link::KNOWS.map(str::to_owned));
        assert_eq!(new.nearest(StopAction::CtrlBreak), StopAction::CtrlBreak);
    }

    #[test]
    fn an_old_keeper_makes_nothing_with_rights_that_were_to_be_taken() {
        let (old, new) = (Knows::new(&[]), Knows::new(&mainstay_link::KNOWS.map(str::to_owned)));
        let mut spawn = Spawn::default();
        assert_eq!(old.fit(&mut spawn), Ok(()));
        spawn.settings.privileges = Some(Privileges::Keep(Vec::new()));
        assert!(old.fit(&mut spawn).is_err());
        assert_eq!(new.fit(&mut spawn), Ok(()));
        let mut spawn = Spawn { session: Some(1), ..Spawn::default() };
        assert!(old.fit(&mut spawn).is_err());
        assert_eq!(new.fit(&mut spawn), Ok(()));
    }
}
