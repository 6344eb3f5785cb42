//! The typed client: a method for each thing that can be asked.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use mainstay_core::ServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::http::{self, Answer, Connector, Failure, Outgoing};
use crate::types::{
    Accepted, Action, AddService, Apply, Changes, EventsQuery, Forecasts, History, HistoryQuery, LogsQuery,
    Notify, Problem, Record, Recording, RefusedConfiguration, Reloading, Revision, Rollback, SecretsChanged,
    Service, Signal, Signalled, Stack, StackUsage, TakeOver, Upgrade, UsageQuery, Version,
};
use crate::{ClientError, Events, Logs, routes};

/// How long a request may take that does not wait for anything. Longer than a keeper needs to notice that its
/// daemon hangs, so that the daemon that follows can answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// How long a request may take for which secrets are read: a command that says one has up to five minutes.
const SECRETS_TIME: Duration = Duration::from_secs(330);
/// How long a forecast may take, which reads the history of all services.
const FORECAST_TIME: Duration = Duration::from_secs(60);
/// How long a daemon that is being replaced is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Talks to the daemon of one stack. Cheap to clone; each request has a connection of its own.
///
/// A daemon may be replaced at any moment. A request that finds none is repeated for up to 5 s
/// ([`patience`](Client::patience)) while the keeper lives; one that was cut off in the middle is repeated only if
/// that is harmless, otherwise it fails with [`ClientError::Lost`].
#[derive(Clone)]
pub struct Client {
    connect: Connector,
    keeper_lives: Arc<dyn Fn() -> bool + Send + Sync>,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the stack at `address`, that takes an endpoint without a daemon for a stack that isn't up.
    pub fn new(address: mainstay_sys::endpoint::Address) -> Self {
        let address = Arc::new(address);
        Client::over(Arc::new(move || {
            let address = Arc::clone(&address);
            Box::pin(async move {
                let stream = mainstay_sys::endpoint::connect(&address).await?;
                Ok(Box::new(stream) as Box<dyn http::Stream>)
            })
        }))
    }

    fn over(connect: Connector) -> Self {
        Client { connect, keeper_lives: Arc::new(|| false), patience: PATIENCE }
    }

    /// Tells how to see whether the stack's keeper lives (its lock is held). While it does, a daemon that can't be
    /// reached is waited for.
    #[must_use]
    pub fn keeper_check(mut self, lives: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.keeper_lives = Arc::new(lives);
        self
    }

    /// How long a daemon that is being replaced is waited for.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Who answers, and which versions of the API it speaks.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.get(routes::VERSION.to_owned(), ANSWER_TIME).await
    }

    /// The OpenAPI document of the daemon that answers.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get(routes::OPENAPI.to_owned(), ANSWER_TIME).await
    }

    /// The whole stack.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stack(&self) -> Result<Stack, ClientError> {
        self.get(routes::STACK.to_owned(), ANSWER_TIME).await
    }

    /// One service.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 404 if there is none of that name.
    pub async fn service(&self, name: &ServiceName) -> Result<Service, ClientError> {
        self.get(routes::service(name), ANSWER_TIME).await
    }

    /// What the services use, as it was seen not longer ago than the query says.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn usage(&self, query: UsageQuery) -> Result<StackUsage, ClientError> {
        self.get(routes::usage(query), ANSWER_TIME).await
    }

    /// When something will be short.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn forecast(&self) -> Result<Forecasts, ClientError> {
        self.get(routes::FORECAST.to_owned(), FORECAST_TIME).await
    }

    /// What a service used in the past.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 404 if there is no such service.
    pub async fn history(&self, name: &ServiceName, query: HistoryQuery) -> Result<History, ClientError> {
        self.get(routes::history(name, query), ANSWER_TIME).await
    }

    /// The whole stack, once its revision differs from `since`; after `timeout` (at most a minute) in any case.
    ///
    /// Revisions of different daemons differ, so that a replacement shows as a change.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn changes(&self, since: u64, timeout: Duration) -> Result<Stack, ClientError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let wait = ANSWER_TIME + timeout.min(Duration::from_secs(60));
        self.get(routes::changes(Changes { since, timeout_ms }), wait).await
    }

    /// Asks something of a service. What comes of it is seen in [`changes`](Client::changes).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn action(&self, name: &ServiceName, action: Action) -> Result<Accepted, ClientError> {
        let repeatable = match action {
            Action::Start | Action::Stop | Action::Pause | Action::Continue => true,
            Action::Restart | Action::Remove => false,
        };
        self.post(routes::action(name, action), &(), repeatable).await
    }

    /// Puts a service into the stack and starts it, unless its plan says otherwise.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 409 if the name is taken.
    pub async fn add(&self, service: &AddService) -> Result<Accepted, ClientError> {
        self.post(routes::SERVICES.to_owned(), service, false).await
    }

    /// Stops every service and ends the stack. The endpoint is gone when it is done.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn down(&self) -> Result<Accepted, ClientError> {
        self.post(routes::DOWN.to_owned(), &(), true).await
    }

    /// Stops every service, also what is to be left running, then ends the stack.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn down_all(&self) -> Result<Accepted, ClientError> {
        self.post(format!("{}?all=true", routes::DOWN), &(), true).await
    }

    /// Brings a stack up again that is down but for what was left running. The daemon that answers is replaced.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Lost`] if it was replaced before it could answer.
    pub async fn take_over(&self, take_over: &TakeOver) -> Result<Accepted, ClientError> {
        self.post(routes::TAKE_OVER.to_owned(), take_over, false).await
    }

    /// What happened, oldest first. It goes on over replacements of the daemon without a gap.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, query: EventsQuery) -> Result<Events, ClientError> {
        Events::open(self.clone(), query).await
    }

    /// A service's output, line by line. It goes on over replacements of the daemon without a gap.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 404 if there is no such service.
    pub async fn logs(&self, name: &ServiceName, query: LogsQuery) -> Result<Logs, ClientError> {
        Logs::open(self.clone(), name.clone(), query).await
    }

    /// Says something for a service, in the words of the notify protocol.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 409 if that run is over.
    pub async fn notify(&self, name: &ServiceName, notify: &Notify) -> Result<Accepted, ClientError> {
        self.post(routes::notify(name), notify, true).await
    }

    /// Sends a signal to processes of a service. Never sent twice: if the answer is lost, it may have been sent or not.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 400 if the platform has no such signal, with 409 if
    /// there is no such process in the service's tree.
    pub async fn signal(&self, name: &ServiceName, signal: &Signal) -> Result<Signalled, ClientError> {
        self.post(routes::signal(name), signal, false).await
    }

    /// Replaces the daemon by one made from another program, while the services run. The answer comes before
    /// the replacement; [`Stack::daemon`] and [`Stack::daemon_reason`] show what came of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn upgrade(&self, upgrade: &Upgrade) -> Result<Accepted, ClientError> {
        self.post(routes::UPGRADE.to_owned(), upgrade, false).await
    }

    /// Turns the recording of inputs on or off. Turning it on begins a new file.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn record(&self, record: Record) -> Result<Recording, ClientError> {
        self.post(routes::RECORD.to_owned(), &record, true).await
    }

    /// Applies a configuration, or tells what that would do.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 409 while another one is being applied.
    pub async fn apply(&self, apply: &Apply) -> Result<Reloading, ClientError> {
        self.post_in(SECRETS_TIME, routes::APPLY.to_owned(), apply, apply.dry_run).await
    }

    /// Goes back to an earlier configuration.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Refused`] with status 404 if it is not kept.
    pub async fn rollback(&self, rollback: Rollback) -> Result<Reloading, ClientError> {
        self.post_in(SECRETS_TIME, routes::ROLLBACK.to_owned(), &rollback, false).await
    }

    /// Has the services restarted whose secrets have other values by now, or tells which these are.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn secrets_changed(&self, changed: &SecretsChanged) -> Result<Reloading, ClientError> {
        self.post_in(SECRETS_TIME, routes::SECRETS.to_owned(), changed, false).await
    }

    /// The last ten configurations, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn revisions(&self) -> Result<Vec<Revision>, ClientError> {
        self.get(routes::REVISIONS.to_owned(), ANSWER_TIME).await
    }

    /// Tells of a configuration that cannot be applied.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn refused(&self, refused: &RefusedConfiguration) -> Result<Accepted, ClientError> {
        self.post(routes::REFUSED.to_owned(), refused, false).await
    }

    async fn get<T: DeserializeOwned>(&self, path: String, time: Duration) -> Result<T, ClientError> {
        let request = Outgoing { method: Method::GET, path, body: Bytes::new(), repeatable: true };
        self.ask(&request, time).await
    }

    async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: String,
        body: &B,
        repeatable: bool,
    ) -> Result<T, ClientError> {
        self.post_in(ANSWER_TIME, path, body, repeatable).await
    }

    async fn post_in<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        time: Duration,
        path: String,
        body: &B,
        repeatable: bool,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Garbled(error.to_string()))?;
        let request = Outgoing { method: Method::POST, path, body: body.into(), repeatable };
        self.ask(&request, time).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Outgoing, time: Duration) -> Result<T, ClientError> {
        let (status, body) = match self.persist(request, time, Part::All).await? {
            Received::All(status, body) => (status, body),
            Received::Head(_) => return Err(ClientError::Garbled("an answer without its body".to_owned())),
        };
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Garbled(format!("{} {}: {error}", request.method, request.path)))
    }

    /// Opens an answer that may have no end; the time counts for its head only.
    pub(crate) async fn open(&self, path: String) -> Result<Answer, ClientError> {
        let request = Outgoing { method: Method::GET, path, body: Bytes::new(), repeatable: true };
        match self.persist(&request, ANSWER_TIME, Part::Head).await? {
            Received::Head(answer) => Ok(answer),
            Received::All(status, body) => Err(refusal(status, &body)),
        }
    }

    pub(crate) fn keeper_is_there(&self) -> bool {
        (self.keeper_lives)()
    }

    /// Tries until it succeeds, or trying again is of no use or harmful.
    async fn persist(&self, request: &Outgoing, time: Duration, part: Part) -> Result<Received, ClientError> {
        let begin = Instant::now();
        let mut first_failure = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match tokio::time::timeout(time, self.attempt(request, part)).await {
                Ok(Ok(received)) => return Ok(received),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Broken(format!("no answer in {} s", time.as_secs())),
            };
            let last = match failure {
                Failure::Connect(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(ClientError::Denied(error));
                }
                Failure::Connect(_) if !self.keeper_is_there() => return Err(ClientError::NotUp),
                Failure::Connect(error) => error.to_string(),
                Failure::Broken(error) if !request.repeatable => return Err(ClientError::Lost(error)),
                Failure::Broken(error) => error,
            };
            let give_up = *first_failure.get_or_insert_with(Instant::now) + self.patience;
            if Instant::now() + pause > give_up {
                return Err(ClientError::NoAnswer { waited: begin.elapsed(), last });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, request: &Outgoing, part: Part) -> Result<Received, Failure> {
        let answer = http::exchange(&self.connect, request).await?;
        if part == Part::Head && answer.status.is_success() {
            return Ok(Received::Head(answer));
        }
        let (status, body) = answer.whole().await?;
        Ok(Received::All(status, body))
    }
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A refusal is nevertheless read whole.
    Head,
    All,
}

enum Received {
    Head(Answer),
    All(StatusCode, Bytes),
}

fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Refused { status: status.as_u16(), problem },
        Err(_) => ClientError::Garbled(format!("status {status} without a reason")),
    }
}

#[cfg(test)]
mod tests;
