//! Asks the questions that the core wants asked, each once, never two of one probe at the same time.
//!
//! http, grpc, tcp and log questions are tasks of the I/O thread; exec questions are processes of the keeper.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::{Check, ProbeKind, ProbeOutcome, RunId, ServiceName, ServicePlan, Time};
use mainstay_link::LogPos;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

mod exec;
mod grpc;
mod http;
mod log;
mod steps;
mod tcp;
mod tls;

use crate::secrets::{Vault, in_words as why};

pub(crate) use exec::{Exec, Helper};
pub(crate) use http::{beginning, open};
pub(crate) use steps::{Step, StepDone, StepEnded};

/// The longest answer in words, in characters.
const MAX_DETAIL: usize = 200;
/// The most memory that a compiled pattern may take.
const MAX_PATTERN: usize = 1 << 20;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// About this run.
    pub run: RunId,
    /// Of this probe.
    pub probe: ProbeKind,
    /// The question's number.
    pub seq: u64,
    /// The answer.
    pub outcome: ProbeOutcome,
}

/// Where answers go. False: no room now.
pub(crate) type Answered = Arc<dyn Fn(Answer) -> bool + Send + Sync>;

/// One question.
pub(crate) struct Question<'a> {
    pub service: &'a ServiceName,
    pub plan: &'a ServicePlan,
    pub run: RunId,
    pub probe: ProbeKind,
    pub seq: u64,
    /// Where the run's output starts.
    pub log_start: LogPos,
}

/// A host of a URL without the brackets around an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// All questions that are being asked.
pub(crate) struct Probes {
    runtime: Handle,
    vault: Vault,
    answered: Answered,
    step_ended: StepEnded,
    /// Requests of stops that are being made.
    steps: BTreeMap<RunId, AbortHandle>,
    logs: PathBuf,
    /// Processes that ask.
    pub exec: Exec,
    tasks: BTreeMap<(RunId, ProbeKind), AbortHandle>,
    scans: BTreeMap<(RunId, ProbeKind), Arc<log::Scan>>,
    /// Log probes that have seen their line. For good: the line may be gone with its segment.
    seen: BTreeSet<(RunId, ProbeKind)>,
}

impl Probes {
    /// Asks in `runtime`; `logs` is the directory of the services' output.
    pub fn new(runtime: Handle, vault: Vault, answered: Answered, logs: PathBuf) -> Self {
        Probes {
            runtime,
            vault,
            answered,
            step_ended: Arc::new(|_| true),
            steps: BTreeMap::new(),
            logs,
            exec: Exec::default(),
            tasks: BTreeMap::new(),
            scans: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Where the ends of requests of stops go.
    pub fn with_steps(mut self, step_ended: StepEnded) -> Self {
        self.step_ended = step_ended;
        self
    }

    /// Asks a question. Its answer comes within the probe's timeout.
    pub fn ask(&mut self, now: Time, question: &Question<'_>) {
        let key = (question.run, question.probe);
        let Some(plan) = plan_of(question.plan, question.probe) else { return };
        let timeout = plan.timeout;
        let asking: std::pin::Pin<Box<dyn Future<Output = ProbeOutcome> + Send>> = match &plan.check {
            Check::Exec(command) => {
                self.exec.ask(now.after(timeout), question, command, timeout);
                return;
            }
            // The core answers itself.
            Check::Notify => return,
            Check::Http(check) if check.secret_headers.is_empty() => {
                let check = check.clone();
                Box::pin(async move { http::ask(&check).await })
            }
            Check::Http(check) => {
                let (check, vault) = (check.clone(), self.vault.clone());
                Box::pin(async move {
                    match vault.headers(&check).await {
                        Ok(check) => http::ask(&check).await,
                        Err(error) => no(why(&error)),
                    }
                })
            }
            Check::Grpc(check) => {
                let check = check.clone();
                Box::pin(async move { grpc::ask(&check).await })
            }
            Check::Tcp(address) => {
                let address = address.clone();
                Box::pin(async move { tcp::ask(&address).await })
            }
            Check::Log(pattern) => {
                let seen = self.seen.contains(&key);
                let scan = self.scans.entry(key).or_insert_with(|| {
                    Arc::new(log::Scan::new(&self.logs, question.service, pattern, question.log_start))
                });
                let scan = Arc::clone(scan);
                Box::pin(async move { if seen { log::seen() } else { log::ask(scan).await } })
            }
        };
        let (run, probe, seq) = (question.run, question.probe, question.seq);
        let answered = Arc::clone(&self.answered);
        let task = self.runtime.spawn(async move {
            let outcome = match tokio::time::timeout(timeout, asking).await {
                Ok(outcome) => outcome,
                Err(_) => no(format!("no answer in {}", in_words(timeout))),
            };
            let answer = Answer { run, probe, seq, outcome };
            // No room means that the driver is far behind; the core waits for this answer.
            while !answered(answer.clone()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if let Some(earlier) = self.tasks.insert(key, task.abort_handle()) {
            earlier.abort();
        }
    }

    /// A question was answered. True: a log probe saw its line for the first time.
    pub fn done(&mut self, answer: &Answer) -> bool {
        let key = (answer.run, answer.probe);
        self.tasks.remove(&key);
        answer.outcome.ok && self.scans.remove(&key).is_some() && self.seen.insert(key)
    }

    /// The run's process is gone; nobody is asked about it any more. True: a log probe of it had seen its line.
    pub fn cancel(&mut self, run: RunId) -> bool {
        let mut seen = false;
        for probe in [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live] {
            if let Some(task) = self.tasks.remove(&(run, probe)) {
                task.abort();
            }
            self.scans.remove(&(run, probe));
            seen |= self.seen.remove(&(run, probe));
        }
        self.exec.cancel(run, false);
        seen
    }

    /// The log probes that have seen their line, for the next daemon.
    pub fn seen(&self) -> &BTreeSet<(RunId, ProbeKind)> {
        &self.seen
    }

    /// What the daemon before had seen.
    pub fn restore_seen(&mut self, seen: BTreeSet<(RunId, ProbeKind)>) {
        self.seen = seen;
    }
}

fn plan_of(service: &ServicePlan, probe: ProbeKind) -> Option<&mainstay_core::ProbePlan> {
    match probe {
        ProbeKind::Startup => service.startup.as_ref(),
        ProbeKind::Ready => service.ready.as_ref(),
        ProbeKind::Live => service.live.as_ref(),
    }
}

fn outcome(ok: bool, detail: impl Into<String>) -> ProbeOutcome {
    let detail = detail.into();
    let detail = match detail.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail,
    };
    ProbeOutcome { ok, detail }
}

fn yes(detail: impl Into<String>) -> ProbeOutcome {
    outcome(true, detail)
}

fn no(detail: impl Into<String>) -> ProbeOutcome {
    outcome(false, detail)
}

/// "1s", "1.5s", "250ms".
fn in_words(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}s", time.as_secs_f64())
    }
}

/// The same words for a failure on every platform.
fn io_in_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::in_words(tls);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::ConnectionAborted => "connection aborted".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "connection closed".to_owned(),
        ErrorKind::TimedOut => "no connection: timed out".to_owned(),
        ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod secure_tests;
#[cfg(test)]
mod tests;
