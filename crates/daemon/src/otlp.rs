//! OpenTelemetry: metrics, and each life of a service as a trace, sent to a collector over OTLP/HTTP.
//!
//! Traces are made of the events on disk, and how far they were sent is written down: a daemon that takes over goes on
//! there, with the same ids, so that what was sent twice is the same span. What cannot be sent waits, in a bounded
//! queue; beyond that the oldest is left out, and counted.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_core::OpenTelemetryPlan;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::api::Context;
use crate::message::{Ask, ToDriver};
use crate::metrics::Tail;

mod credentials;
mod lives;
mod metrics;
mod protobuf;
mod send;
mod span;

use credentials::Credentials;
use lives::{Lives, Told};
use protobuf::Message;
use send::{Failed, send};
pub(crate) use span::Ids;
use span::Span;

/// How often it is looked for new events.
const LOOK: Duration = Duration::from_secs(1);
/// So many spans wait at the most.
const MAX_WAITING: usize = 8_192;
/// So many go with one request.
const BATCH: usize = 512;
/// After a failure it is tried again so much later; twice as long after each further one.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Of what was before they are sent at all, so much is: the start of the stack, for one. In nanoseconds.
const FIRST: u64 = 60_000_000_000;
/// How far traces were sent.
const FILE: &str = "otlp.json";

/// What others see of it.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Spans that wait.
    pub waiting: AtomicU64,
    /// Spans that were left out, or refused.
    pub spans_dropped: AtomicU64,
    /// Looks at the metrics that no collector took.
    pub metrics_dropped: AtomicU64,
}

/// Who sends.
pub(super) struct Resource {
    stack: String,
    id: String,
}

impl Resource {
    fn write(&self, out: &mut Message) {
        out.attribute(1, "service.name", "mainstay");
        out.attribute(1, "service.namespace", &self.stack);
        out.attribute(1, "service.instance.id", &self.id);
        out.attribute(1, "service.version", env!("CARGO_PKG_VERSION"));
    }

    fn scope(out: &mut Message) {
        out.text(1, "mainstay");
        out.text(2, env!("CARGO_PKG_VERSION"));
    }
}

/// Sends where the plan says, until the daemon ends.
pub(crate) async fn follow(context: Arc<Context>, mut changes: watch::Receiver<u64>) {
    let mut sending: Option<(OpenTelemetryPlan, [Option<tokio::task::JoinHandle<()>>; 2])> = None;
    loop {
        changes.borrow_and_update();
        let Ok(settings) = context.ask(Ask::Settings).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let wanted = settings.opentelemetry;
        if sending.as_ref().is_none_or(|(plan, _)| *plan != wanted) {
            for task in sending.take().into_iter().flat_map(|(_, tasks)| tasks).flatten() {
                task.abort();
            }
            let there = wanted.endpoint.is_some();
            let traces = (there && wanted.traces).then(|| {
                let traces = Traces::new(Arc::clone(&context), wanted.clone());
                tokio::spawn(traces.run())
            });
            let metrics = (there && wanted.metrics)
                .then(|| tokio::spawn(send_metrics(Arc::clone(&context), wanted.clone())));
            sending = Some((wanted, [traces, metrics]));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn resource(context: &Context) -> Resource {
    Resource { stack: context.facts.stack.clone(), id: crate::metrics::stack_id(&context.state_dir) }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Tells once that something does not work, and once that it does again.
#[derive(Debug, Default)]
struct Trouble(bool);

impl Trouble {
    fn failed(&mut self, context: &Context, what: &str, why: &str) {
        if !std::mem::replace(&mut self.0, true) {
            warn!("{what} can't be sent: {why}");
            context.driver.send(ToDriver::Note(format!("{what} can't be sent to the collector: {why}")));
        }
    }

    fn over(&mut self, what: &str) {
        if std::mem::take(&mut self.0) {
            info!("{what} are sent again");
        }
    }
}

/// Sends the metrics again and again. What is not taken is not sent later: the next look has all of it.
async fn send_metrics(context: Arc<Context>, plan: OpenTelemetryPlan) {
    let resource = resource(&context);
    let mut trouble = Trouble::default();
    let mut credentials = Credentials::new(context.vault.clone(), &plan);
    loop {
        if let Some(page) = crate::metrics::page_now(&context).await {
            let body = metrics::request(&resource, &page, nanos(SystemTime::now()));
            match send(&plan, &mut credentials, "/v1/metrics", body).await {
                Ok(0) => trouble.over("metrics"),
                Ok(refused) => trouble.failed(&context, "metrics", &format!("{refused} figures are refused")),
                Err(Failed { why, .. }) => {
                    context.sending.metrics_dropped.fetch_add(1, Ordering::Relaxed);
                    trouble.failed(&context, "metrics", &why);
                }
            }
        }
        tokio::time::sleep(plan.interval).await;
    }
}

/// Sends the traces.
struct Traces {
    context: Arc<Context>,
    credentials: Credentials,
    plan: OpenTelemetryPlan,
    resource: Resource,
    lives: Lives,
    events: Tail,
    /// What was sent, or left out, by the number of the event that made it.
    sent: u64,
    written: u64,
    /// What ended before this is not sent.
    oldest: u64,
    file: PathBuf,
    waiting: VecDeque<Span>,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    pause: Duration,
    trouble: Trouble,
}

impl Traces {
    fn new(context: Arc<Context>, plan: OpenTelemetryPlan) -> Traces {
        let resource = resource(&context);
        let file = context.state_dir.join(FILE);
        let known = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<u64>(&bytes).ok());
        let now = nanos(SystemTime::now());
        Traces {
            lives: Lives::new(Ids::of_stack(&resource.id)),
            // From the beginning: what is going on began before.
            events: Tail::new(context.state_dir.clone(), context.live.subscribe(), 0),
            credentials: Credentials::new(context.vault.clone(), &plan),
            context,
            plan,
            resource,
            sent: known.unwrap_or(0),
            written: known.unwrap_or(0),
            // For the first time: what was long before is nobody's wish.
            oldest: known.map_or(now.saturating_sub(FIRST), |_| 0),
            file,
            waiting: VecDeque::new(),
            not_before: None,
            pause: SHORTEST,
            trouble: Trouble::default(),
        }
    }

    async fn run(mut self) {
        loop {
            self.look();
            while !self.waiting.is_empty() && self.not_before.is_none_or(|at| at <= Instant::now()) {
                self.send().await;
            }
            self.note();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes in what has happened since.
    fn look(&mut self) {
        let (lives, sent, oldest) = (&mut self.lives, self.sent, self.oldest);
        let mut done = Vec::new();
        self.events.take(|record, event| {
            let at = record.at.parse::<jiff::Timestamp>().map_or(0, |at| at.as_nanosecond());
            let at = u64::try_from(at).unwrap_or(0);
            lives.take(Told { seq: record.seq, at, event }, &mut done);
        });
        self.waiting.extend(done.into_iter().filter(|span| span.seq > sent && span.end >= oldest));
        let over = self.waiting.len().saturating_sub(MAX_WAITING);
        if over > 0 {
            self.waiting.drain(..over);
            self.dropped(over as u64);
        }
        self.count();
    }

    fn count(&self) {
        self.context.sending.waiting.store(self.waiting.len() as u64, Ordering::Relaxed);
    }

    fn dropped(&self, count: u64) {
        self.context.sending.spans_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Sends the oldest.
    async fn send(&mut self) {
        let count = self.waiting.len().min(BATCH);
        let body = self.request(count);
        match send(&self.plan, &mut self.credentials, "/v1/traces", body).await {
            Ok(refused) => {
                self.dropped(refused);
                self.gone(count);
                self.trouble.over("traces");
            }
            Err(Failed { why, again: true, after, .. }) => {
                self.not_before = Some(Instant::now() + after.unwrap_or(self.pause).min(LONGEST));
                self.pause = (self.pause * 2).min(LONGEST);
                self.trouble.failed(&self.context, "traces", &why);
                return;
            }
            Err(Failed { why, .. }) => {
                self.dropped(count as u64);
                self.gone(count);
                self.trouble.failed(&self.context, "traces", &why);
            }
        }
        (self.not_before, self.pause) = (None, SHORTEST);
    }

    fn gone(&mut self, count: usize) {
        self.waiting.drain(..count);
        self.count();
    }

    /// `ExportTraceServiceRequest`
    fn request(&self, count: usize) -> Vec<u8> {
        let request = Message::new(|request| {
            request.message(1, |of| {
                of.message(1, |out| self.resource.write(out));
                of.message(2, |scope| {
                    scope.message(1, Resource::scope);
                    for span in self.waiting.iter().take(count) {
                        scope.message(2, |out| span.write(out));
                    }
                });
            });
        });
        request.into_bytes()
    }

    /// Writes down how far it is.
    fn note(&mut self) {
        let last = self.events.last();
        self.sent = self.waiting.front().map_or(last, |span| span.seq.saturating_sub(1)).max(self.sent);
        if self.sent != self.written {
            // Else it is sent once more by the next daemon, which does no harm.
            if mainstay_sys::file::write_atomic(&self.file, self.sent.to_string().as_bytes(), true).is_ok() {
                self.written = self.sent;
            }
        }
    }
}
