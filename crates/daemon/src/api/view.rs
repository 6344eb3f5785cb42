//! From the core's view to the wire's: times become relative.

use mainstay_api::types::{Probe, Process, Service, Stack};
use mainstay_core::Time;

use super::Facts;
use crate::message::{ServiceView, StackView};

fn millis(from: Time, to: Time) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}

/// One service.
pub(super) fn service(view: ServiceView, now: Time) -> Service {
    let ServiceView {
        status,
        description,
        when_mainstay_stops,
        log_dropped,
        not_enforced,
        limit_hits,
        leaks,
    } = view;
    Service {
        name: status.name,
        description,
        state: status.state,
        reason: status.reason,
        since_ms: millis(status.since, now),
        run: status.run.map(|run| run.0),
        pid: status.pid,
        uptime_ms: status.started.map(|started| millis(started, now)),
        restarts: status.restarts,
        crash_loop: status.crash_loop,
        next_start_ms: status.next_start.map(|at| millis(now, at)),
        last_exit: status.last_exit,
        last_exit_text: status.last_exit.map(|exit| exit.to_string()),
        waiting_for: status.waiting_for,
        says: status.says,
        probes: status
            .probes
            .into_iter()
            .map(|probe| Probe {
                probe: probe.probe,
                check: probe.check,
                ok: probe.ok,
                last: probe.last,
                detail: probe.detail,
                ago_ms: probe.at.map(|at| millis(at, now)),
                took_ms: probe.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                successes: probe.successes,
                failures: probe.failures,
            })
            .collect(),
        log_dropped_bytes: log_dropped,
        not_enforced,
        when_mainstay_stops,
        left: status.left,
        limit_hits,
        leaks,
    }
}

/// The whole stack.
pub(super) fn stack(facts: &Facts, view: StackView, now: Time) -> Stack {
    Stack {
        name: facts.stack.clone(),
        config: facts.config.clone(),
        keeper: Process { uptime_ms: millis(facts.keeper_started, now), ..facts.keeper.clone() },
        daemon: Process { uptime_ms: millis(facts.daemon_started, now), ..facts.daemon.clone() },
        daemons_before: facts.daemons_before,
        daemon_reason: facts.daemon_reason.clone(),
        containment: facts.containment.clone(),
        going_down: view.going_down,
        resting: view.resting,
        revision: view.revision,
        configuration: view.configuration,
        services: view.services.into_iter().map(|view| service(view, now)).collect(),
    }
}
