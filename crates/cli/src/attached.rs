//! `mainstay up` in the foreground: what the services write and what becomes of them, until the stack is down.

use std::time::{Duration, Instant};

use mainstay_api::types::{EventBody, EventRecord, EventsQuery};
use mainstay_api::{Client, Events};
use mainstay_daemon::StoredPlan;
use mainstay_logs::end;
use tokio::sync::mpsc;

use crate::event_text;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::launch::{self, Leash, Started};
use crate::output::{Output, words};
use crate::runtime::block_on;
use crate::stack::Place;
use crate::tails::Tails;

/// How often the logs are looked at: soon after there was something, later while there is nothing.
const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_millis(80);
/// How long the keeper may take to kill what is left.
const KEEPER_TIME: Duration = Duration::from_secs(3);
/// How long it may take to go when all services are down or killed.
const GOING_TIME: Duration = Duration::from_secs(20);
/// How often the keeper is looked at, beside the connection to its daemon.
const KEEPER_LOOK: Duration = Duration::from_secs(2);

/// Starts the stack and stays with it.
///
/// # Errors
/// It is up already, does not come up, or is lost.
pub fn run(place: &Place, stored: &StoredPlan, output: &mut Output) -> Outcome {
    // Before the keeper is there: a Ctrl+C must never find this process without its handler and the stack running.
    let (asked, signals) = mpsc::channel(4);
    mainstay_sys::own::on_terminate(move |signal| {
        // A person who presses a fifth time is no further than one who pressed twice.
        let _ = asked.try_send(signal);
    })
    .map_err(|e| Failure::failed(format!("cannot listen for Ctrl+C: {e}")))?;

    let mut tails = Tails::new(&place.dirs.log);
    for name in stored.plan.services.keys() {
        // What earlier times wrote stays in the logs; here it starts with now.
        tails.add(name.as_str(), end(&place.dirs.log, name.as_str()).unwrap_or_default());
    }
    let begin = jiff::Timestamp::now();
    let leash = match launch::start(place, stored)? {
        Started::New(leash) => leash,
        Started::AlreadyUp(failure) => return Err(failure),
    };
    let services = words::count(stored.plan.services.len(), "service");
    output.note(&format!("{}: up with {services}; Ctrl+C stops", place.name));
    block_on(async {
        let screen = Screen { place, output, tails, begin, last_seen: Instant::now() };
        screen.stay(leash, signals).await
    })
}

struct Screen<'a> {
    place: &'a Place,
    output: &'a mut Output,
    tails: Tails,
    /// Events from before are of earlier times.
    begin: jiff::Timestamp,
    /// When the keeper was looked at last.
    last_seen: Instant,
}

/// Why the watching ended.
enum End {
    /// The stack is down.
    Down,
    /// A person wants it down at once.
    Impatient,
}

/// What becomes of a keeper that does not end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// It is killed.
    Short,
    /// It is told.
    Long,
}

impl Screen<'_> {
    async fn stay(mut self, leash: Leash, mut signals: mpsc::Receiver<&'static str>) -> Outcome {
        let client = self.place.client();
        let query = EventsQuery { since: 0, follow: true, limit: 1000 };
        let events = client.events(query).await.map_err(|e| Failure::api(e, &self.place.name))?;
        let end = self.watch(&client, events, &mut signals).await;
        let gone = match end {
            Ok(End::Down) => self.until_gone(&client, Patience::Long).await,
            Ok(End::Impatient) => {
                leash.kill();
                self.until_gone(&client, Patience::Short).await
            }
            Err(_) => Ok(()),
        };
        // The keeper has written everything by now.
        self.tails.finish(self.output)?;
        self.output.flush()?;
        gone?;
        match end? {
            End::Impatient => {
                self.output.note(&format!("{}: killed what was left", self.place.name));
                Ok(ExitStatus::Failed)
            }
            End::Down => {
                self.output.note(&format!("{}: down", self.place.name));
                Ok(ExitStatus::Done)
            }
        }
    }

    async fn watch(
        &mut self,
        client: &Client,
        mut events: Events,
        signals: &mut mpsc::Receiver<&'static str>,
    ) -> Result<End, Failure> {
        let mut asked = false;
        let mut pause = SOON;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.tell(&event)?,
                    // A daemon that can't be reached for long; its keeper may find it another.
                    Some(Err(error)) if self.place.is_up() => {
                        self.output.warning(&format!("no news from the daemon: {error}"));
                        let query = EventsQuery { since: 0, follow: true, limit: 1 };
                        events = client.events(query).await.map_err(|e| Failure::api(e, &self.place.name))?;
                    }
                    Some(Err(_)) | None => return Ok(End::Down),
                },
                Some(signal) = signals.recv() => {
                    if asked {
                        return Ok(End::Impatient);
                    }
                    asked = true;
                    self.output.note(&format!("{signal}: stopping in order; once more kills what is left"));
                    client.down().await.map_err(|e| Failure::api(e, &self.place.name))?;
                }
                () = tokio::time::sleep(pause) => {
                    pause = if self.tails.pump(self.output)? { Duration::ZERO } else { (pause * 2).clamp(SOON, LATER) };
                    self.output.flush()?;
                    if self.last_seen.elapsed() > KEEPER_LOOK {
                        self.last_seen = Instant::now();
                        if !self.place.is_up() {
                            return Ok(End::Down);
                        }
                    }
                }
            }
        }
    }

    /// Waits for the keeper to end. One that does not is killed if patience is short; its daemon, or the system,
    /// ends what it leaves.
    async fn until_gone(&self, client: &Client, patience: Patience) -> Result<(), Failure> {
        let begin = Instant::now();
        let mut spared = patience == Patience::Short;
        // A daemon outlives a killed keeper until everything is ended.
        while self.place.is_up() || client.stack().await.is_ok() {
            if spared && begin.elapsed() > KEEPER_TIME {
                spared = false;
                if let Some(id) = self.place.keeper().and_then(|k| mainstay_sys::process::identity(k.pid)) {
                    mainstay_sys::process::kill(&id).map_err(|e| {
                        Failure::failed(format!("cannot end the keeper, process {}: {e}", id.pid))
                    })?;
                }
            }
            if begin.elapsed() > GOING_TIME {
                return Err(Failure::failed(format!("stack {} is still not down", self.place.name))
                    .hint(format!("`mainstay status --stack {}` shows what is left", self.place.name)));
            }
            tokio::time::sleep(SOON).await;
        }
        Ok(())
    }

    /// Shows an event, after the output that came before it.
    fn tell(&mut self, record: &EventRecord) -> Result<(), Failure> {
        if record.at.parse::<jiff::Timestamp>().is_ok_and(|at| at < self.begin) {
            return Ok(());
        }
        self.tails.pump(self.output)?;
        match &record.event {
            EventBody::Core(event) => {
                let (Some(service), Some(text)) = (&event.service, event_text::brief(event)) else {
                    return Ok(());
                };
                let prefix = self.tails.prefix(service.as_str(), '*', self.output);
                let text = self.output.paint.apply(event_text::colour(event), &text);
                self.output.line(&format!("{prefix} {text}"))?;
            }
            EventBody::Own { message } => self.output.line(&format!("* {}", words::printable(message)))?,
        }
        self.output.flush()
    }
}
