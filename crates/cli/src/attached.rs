//! `mainstay up` in the foreground: what the services write and what becomes of them, until the stack is down.

use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::{EventBody, EventRecord};
use mainstay_daemon::StoredPlan;
use mainstay_logs::{end, stderr_name};
use tokio::sync::mpsc;

use crate::event_text;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::feed::{self, News};
use crate::launch::{self, Hold, Leash, Started};
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
    for (name, plan) in &stored.plan.services {
        // What earlier times wrote stays in the logs; here it starts with now.
        let apart = plan.log.separate_stderr.then(|| stderr_name(name.as_str()));
        for log in std::iter::once(name.as_str()).chain(apart.as_deref()) {
            tails.add(log, end(&place.dirs.log, log).unwrap_or_default());
        }
    }
    let begin = jiff::Timestamp::now();
    let leash = match launch::start(place, stored, Hold::Foreground)? {
        Started::New(leash) => leash,
        Started::AlreadyUp(failure) => return Err(failure),
    };
    let services = words::count(stored.plan.services.len(), "service");
    output.note(&format!("{}: up with {services}; Ctrl+C stops", place.name));
    block_on(async { Screen { place, output, tails, begin, leash: Some(leash) }.stay(signals).await })
}

struct Screen<'a> {
    place: &'a Place,
    output: &'a mut Output,
    tails: Tails,
    /// Events from before are of earlier times.
    begin: jiff::Timestamp,
    /// Closed, it takes the stack down.
    leash: Option<Leash>,
}

/// Why the watching ended.
enum End {
    /// The stack is down.
    Down,
    /// The stack is down but for what was left running; said in words.
    Rests(String),
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
    async fn stay(mut self, mut signals: mpsc::Receiver<&'static str>) -> Outcome {
        let client = self.place.client();
        let end = self.watch(&client, &mut signals).await;
        let gone = match end {
            Ok(End::Down) => self.until_gone(&client, Patience::Long).await,
            Ok(End::Rests(_)) => Ok(()),
            Ok(End::Impatient) => {
                if let Some(leash) = self.leash.take() {
                    leash.kill();
                }
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
            End::Rests(words) => {
                self.output.note(&format!("{}: {words}", self.place.name));
                self.output.note("`mainstay up` takes over what was left, `mainstay down --all` stops it");
                Ok(ExitStatus::Done)
            }
            // A keeper that ends by itself takes its file away.
            End::Down if self.place.keeper().is_some() => Err(self.keeper_lost()),
            End::Down => {
                self.output.note(&format!("{}: down", self.place.name));
                Ok(ExitStatus::Done)
            }
        }
    }

    fn keeper_lost(&self) -> Failure {
        let pid = self.place.keeper().map(|keeper| format!(", process {},", keeper.pid)).unwrap_or_default();
        Failure::failed(format!(
            "the keeper of stack {}{pid} was killed, and its services were ended",
            self.place.name
        ))
        .hint("`mainstay up` starts the stack again; nothing of the old one is left then")
    }

    async fn watch(
        &mut self,
        client: &Client,
        signals: &mut mpsc::Receiver<&'static str>,
    ) -> Result<End, Failure> {
        let mut news = feed::follow(client.clone(), self.place.clone());
        let (answer, mut answers) = mpsc::channel(1);
        let mut asked = false;
        let mut pause = SOON;
        loop {
            tokio::select! {
                item = news.recv() => match item {
                    Some(News::Event(event)) => {
                        self.tell(&event)?;
                        if let Some(words) = self.rests(&event) {
                            return Ok(End::Rests(words));
                        }
                    }
                    Some(News::Silence(error)) => {
                        self.output.warning(&format!("no news from the daemon, the services go on: {error}"));
                    }
                    None => return Ok(End::Down),
                },
                Some(signal) = signals.recv() => {
                    if asked {
                        return Ok(End::Impatient);
                    }
                    asked = true;
                    let what = if signal == "SIGINT" { "Ctrl+C" } else { signal };
                    self.output.note(&format!("{what}: stopping in order; once more kills what is left"));
                    let (client, answer) = (client.clone(), answer.clone());
                    // Beside this loop: a daemon that does not answer must not keep a second Ctrl+C waiting.
                    tokio::spawn(async move { answer.send(client.down().await).await });
                }
                Some(Err(error)) = answers.recv() => {
                    self.output.warning(&format!("the daemon does not take it ({error}); its keeper is told"));
                    self.leash = None;
                }
                () = tokio::time::sleep(pause) => {
                    let more = self.tails.pump(self.output)?;
                    // Looking costs a little for each log.
                    let later = LATER + Duration::from_millis(self.tails.count() as u64 / 5);
                    pause = if more { Duration::ZERO } else { (pause * 2).clamp(SOON, later) };
                    self.output.flush()?;
                }
            }
        }
    }

    /// What is said if the stack is down but for what was left running. What was so before is over.
    fn rests(&self, record: &EventRecord) -> Option<String> {
        let EventBody::Own { message, .. } = &record.event else { return None };
        let now = record.at.parse::<jiff::Timestamp>().is_ok_and(|at| at >= self.begin);
        message
            .strip_prefix("the stack is ")
            .filter(|words| now && words.contains("left running"))
            .map(str::to_owned)
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
        if self.output.json {
            if let EventBody::Core(event) = &record.event
                && let Some(service) = &event.service
            {
                self.add_tail(service.as_str());
                self.pump_service(service.as_str())?;
            }
            self.output.json(&serde_json::json!({ "type": "event", "event": record }))?;
            return self.output.flush();
        }
        match &record.event {
            EventBody::Core(event) => {
                let (Some(service), Some(text)) = (&event.service, event_text::brief(event)) else {
                    return Ok(());
                };
                self.pump_service(service.as_str())?;
                self.add_tail(service.as_str());
                let prefix = self.tails.prefix(service.as_str(), '*', self.output);
                let text = self.output.paint.apply(event_text::colour(event), &text);
                self.output.line(&format!("{prefix} {text}"))?;
            }
            // Said at the very end, when nothing more is to come.
            EventBody::Own { message, .. } if message.starts_with("the stack is down") => return Ok(()),
            EventBody::Own { message, .. } => {
                self.tails.pump(self.output)?;
                self.output.line(&format!("* {}", words::printable(message)))?;
            }
            EventBody::Other(_) => {}
        }
        self.output.flush()
    }

    /// What a service wrote before something that happened to it.
    fn pump_service(&mut self, service: &str) -> Result<(), Failure> {
        self.tails.pump_one(service, self.output)?;
        let errors = stderr_name(service);
        if self.tails.has(&errors) { self.tails.pump_one(&errors, self.output) } else { Ok(()) }
    }

    /// For a service that was put into the stack since.
    fn add_tail(&mut self, service: &str) {
        if !self.tails.has(service) {
            let from = end(&self.place.dirs.log, service).unwrap_or_default();
            self.tails.add(service, from);
        }
    }
}
