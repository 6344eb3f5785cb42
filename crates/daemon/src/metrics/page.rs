//! What `/metrics` shows: states as they are, figures as they were seen at the last look.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_api::types::Usage;
use mainstay_core::{StateName, Time};
use mainstay_metrics::table;
use mainstay_metrics::text::Page;

use super::collector::OWN;
use super::{Seen, Totals};
use crate::api::{Context, Facts};
use crate::driver::now;
use crate::message::{Ask, ServiceView, StackView};

/// All of it, as it is now. None: the driver has more important things to do.
pub(crate) async fn page_now(context: &Context) -> Option<Page> {
    let view = context.ask(Ask::Stack).await.ok()?;
    let seen = context.metrics.seen();
    let mut page = page(&context.facts, &view, &seen, context.driver.waiting(), now());
    let sending = &context.sending;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    page.add(&table::QUEUE, &["spans"], count(&sending.waiting));
    page.add(&table::NOT_SENT, &["traces"], count(&sending.spans_dropped));
    page.add(&table::NOT_SENT, &["metrics"], count(&sending.metrics_dropped));
    Some(page)
}

fn page(facts: &Facts, view: &StackView, seen: &Seen, waiting: usize, now: Time) -> Page {
    let mut page = Page::new();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let began = |at: Time| unix - now.since(at).as_secs_f64();
    page.add(&table::BUILD, &[&facts.daemon.version], 1.0);
    let nothing = Totals::default();
    for service in &view.services {
        let name = service.status.name.as_str();
        state(&mut page, name, service, &began);
        counters(&mut page, name, seen.totals.get(name).map_or(&nothing, |totals| totals));
    }
    for service in &seen.usage.services {
        if let Some(found) = &service.usage {
            usage(&mut page, service.name.as_str(), found);
        }
    }
    let own = [(&seen.usage.keeper, facts.keeper_started), (&seen.usage.daemon, facts.daemon_started)];
    for (name, (found, started)) in OWN.into_iter().zip(own) {
        let name = &[&name[1..]];
        page.add(&table::OWN_START, name, began(started));
        if let Some(found) = found {
            page.add(&table::OWN_CPU, name, found.cpu_seconds);
            page.add(&table::OWN_MEMORY, name, found.memory_bytes as f64);
            page.add(&table::OWN_PRIVATE, name, found.private_bytes as f64);
            page.add(&table::OWN_THREADS, name, f64::from(found.threads));
            page.add_some(&table::OWN_HANDLES, name, found.handles.map(|count| count as f64));
        }
    }
    page.add(&table::REPLACED, &[], f64::from(facts.daemons_before));
    page.add(&table::QUEUE, &["driver"], waiting as f64);
    page.add(&table::QUEUE, &["events"], view.queues.events as f64);
    page.add(&table::QUEUE, &["commands"], view.queues.commands as f64);
    page.add(&table::QUEUE, &["logs"], view.queues.capture as f64);
    if let Some(at) = seen.at {
        page.add(&table::LOOK, &[], seen.took.as_secs_f64());
        page.add(&table::LOOK_TIME, &[], unix - at.elapsed().as_secs_f64());
    }
    page
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn state(page: &mut Page, name: &str, service: &ServiceView, began: &dyn Fn(Time) -> f64) {
    let status = &service.status;
    for state in StateName::ALL {
        page.add(&table::STATE, &[name, state.as_str()], flag(state == status.state));
    }
    page.add(&table::UP, &[name], flag(status.pid.is_some()));
    let asked = status.probes.iter().any(|probe| probe.probe == mainstay_core::ProbeKind::Ready);
    let ready = status.state == StateName::Ready || (!asked && status.state == StateName::Running);
    page.add(&table::READY, &[name], flag(ready));
    page.add(&table::CRASH_LOOP, &[name], flag(status.crash_loop));
    if status.pid.is_some() {
        page.add_some(&table::START_TIME, &[name], status.started.map(began));
    }
    for probe in &status.probes {
        page.add_some(&table::PROBE_OK, &[name, &probe.probe.to_string()], probe.last.map(flag));
    }
}

fn counters(page: &mut Page, name: &str, totals: &Totals) {
    let counters = &totals.counters;
    page.add(&table::STARTS, &[name], counters.starts as f64);
    page.add(&table::START_FAILURES, &[name], counters.start_failures as f64);
    // All of them from the start, so that the first one is a rise.
    for cause in mainstay_metrics::Cause::ALL {
        let count = counters.restarts.get(&cause).copied().unwrap_or(0);
        page.add(&table::RESTARTS, &[name, cause.as_str()], count as f64);
    }
    for (exit, count) in &counters.exits {
        page.add(&table::EXITS, &[name, exit], *count as f64);
    }
    page.add(&table::CPU, &[name], totals.cpu.total);
    page.add(&table::READ, &[name], totals.read.total);
    page.add(&table::WRITTEN, &[name], totals.written.total);
    let output = &totals.output;
    page.add(&table::LOG_WRITTEN, &[name], output.bytes.total);
    page.add(&table::LOG_LINES, &[name], output.lines.total);
    page.add(&table::LOG_DROPPED, &[name], output.dropped_bytes.total);
    page.add(&table::LINES_DROPPED, &[name], output.dropped_lines.total);
    for (probe, answers) in &counters.probes {
        let probe = probe.to_string();
        page.add(&table::PROBE_RESULTS, &[name, &probe, "success"], answers.successes as f64);
        page.add(&table::PROBE_RESULTS, &[name, &probe, "failure"], answers.failures as f64);
        page.add_times(&table::PROBE_TIME, &[name, &probe], answers);
    }
}

fn usage(page: &mut Page, name: &str, found: &Usage) {
    page.add(&table::MEMORY, &[name], found.memory_bytes as f64);
    page.add(&table::PRIVATE, &[name], found.private_bytes as f64);
    page.add(&table::PROCESSES, &[name], f64::from(found.processes));
    page.add(&table::THREADS, &[name], f64::from(found.threads));
    page.add_some(&table::HANDLES, &[name], found.handles.map(|count| count as f64));
}
