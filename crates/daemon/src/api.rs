//! The API's server: HTTP over the stack's endpoint, in the I/O thread.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay_api::types::Process;
use mainstay_core::Time;
use mainstay_sys::endpoint::{Address, Listener, Stream};
use mainstay_sys::mux::Sender;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use tower_service::Service as _;
use tracing::{debug, warn};

use crate::events_log::Line;
use crate::message::{Ask, Refused, Reply, ToDriver};

mod access;
mod events;
mod handlers;
mod logs;
pub(crate) mod reload;
mod serve;
mod stream;
mod view;

/// More connections are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// A request's head has to be there in this time.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The driver answers in this time, or the request fails.
const DRIVER_TIME: Duration = Duration::from_secs(10);

/// What every request needs.
pub(crate) struct Context {
    pub driver: Sender<ToDriver>,
    pub revision: watch::Receiver<u64>,
    /// The count of the plan's changes that are on disk.
    pub plan_written: watch::Receiver<u64>,
    pub live: broadcast::Sender<Line>,
    pub state_dir: std::path::PathBuf,
    /// The services' output.
    pub log_dir: std::path::PathBuf,
    pub facts: Facts,
    pub metrics: crate::metrics::Metrics,
    pub sending: crate::otlp::Sending,
    pub vault: crate::secrets::Vault,
}

/// What doesn't change in a daemon's life.
pub(crate) struct Facts {
    pub stack: String,
    pub config: Option<String>,
    pub keeper: Process,
    pub keeper_started: Time,
    pub daemon: Process,
    pub daemon_started: Time,
    pub daemons_before: u32,
    pub daemon_reason: String,
    pub containment: String,
}

impl Context {
    /// That of a stack `shop` whose driver never answers.
    #[cfg(test)]
    pub fn for_tests(state: &std::path::Path, log: &crate::events_log::EventsLog) -> Arc<Context> {
        let facts = Facts {
            stack: "shop".into(),
            config: None,
            keeper: Process::default(),
            keeper_started: Time::ZERO,
            daemon: Process::default(),
            daemon_started: Time::ZERO,
            daemons_before: 0,
            daemon_reason: String::new(),
            containment: "session".into(),
        };
        Arc::new(Context {
            driver: mainstay_sys::mux::Mux::new().unwrap().sender(),
            revision: watch::channel(0).1,
            plan_written: watch::channel(0).1,
            live: log.live(),
            state_dir: state.to_owned(),
            log_dir: state.to_owned(),
            facts,
            metrics: crate::metrics::Metrics::none(),
            sending: crate::otlp::Sending::default(),
            vault: crate::secrets::Vault::for_tests(state),
        })
    }

    /// Asks the driver.
    pub async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        let late = || Refused::new(503, "the daemon is too busy to answer").hint("try again in a moment");
        if !self.driver.send(ToDriver::Ask(ask(reply))) {
            return Err(late());
        }
        match tokio::time::timeout(DRIVER_TIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refused::new(503, "the daemon is ending")),
            Err(_) => Err(late()),
        }
    }
}

/// Serves for ever. An endpoint that can't be had is tried for again: services are looked after without it.
pub(crate) async fn serve(address: Address, context: Arc<Context>) {
    let router = handlers::router(context);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut listener = bind(&address).await;
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                warn!("can't take a connection on {address}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!("more than {MAX_CONNECTIONS} connections; one is closed");
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            connection(stream, router).await;
            drop(place);
        });
    }
}

async fn bind(address: &Address) -> Listener {
    let mut pause = Duration::from_millis(5);
    loop {
        match Listener::bind(address) {
            Ok(listener) => return listener,
            // A daemon that is just going may still hold it.
            Err(error) if pause < Duration::from_secs(1) => debug!("{address}: {error}"),
            Err(error) => warn!("nobody can ask anything, because {address} can't be had: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn connection(stream: Stream, router: axum::Router) {
    let peer = access::Peer { who: stream.peer(), caller: stream.caller() };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().call(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        // A connection for each request: nobody holds a place for nothing.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!("a connection broke: {error}");
    }
}
