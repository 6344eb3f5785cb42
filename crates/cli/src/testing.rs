//! Things with fixed values, for tests.

use mainstay_api::types::{EventBody, EventRecord, Probe, Process, Service, Stack};
use mainstay_core::{ProbeKind, ServiceName, StateName};

/// A service without anything remarkable.
pub fn service(name: &str, state: StateName) -> Service {
    let runs = !state.is_down() && state != StateName::Backoff;
    Service {
        name: ServiceName::new(name).expect("a name"),
        description: None,
        state,
        reason: String::new(),
        since_ms: 303_000,
        run: runs.then_some(3),
        pid: runs.then_some(1250),
        uptime_ms: runs.then_some(7_500_000),
        restarts: 0,
        crash_loop: false,
        next_start_ms: None,
        last_exit: None,
        last_exit_text: None,
        waiting_for: Vec::new(),
        says: None,
        probes: Vec::new(),
        log_dropped_bytes: 0,
        when_mainstay_stops: mainstay_core::WhenMainstayStops::default(),
        left: false,
        not_enforced: Vec::new(),
        leaks: Vec::new(),
        limit_hits: mainstay_core::LimitHits::default(),
    }
}

/// Something that happened.
pub fn event(seq: u64, service: Option<&str>, kind: mainstay_core::EventKind) -> EventRecord {
    let service = service.map(|name| ServiceName::new(name).expect("a name"));
    let event = mainstay_core::Event { service, run: Some(mainstay_core::RunId(seq)), kind };
    EventRecord { seq, at: format!("2026-11-22T19:00:{seq:02}.000Z"), event: EventBody::Core(event) }
}

/// What a probe saw.
pub fn probe(probe: ProbeKind, ok: Option<bool>, detail: &str, failures: u32) -> Probe {
    Probe {
        probe,
        check: "http http://127.0.0.1:8080/healthz".to_owned(),
        ok,
        last: Some(failures == 0),
        detail: detail.to_owned(),
        ago_ms: Some(1_200),
        took_ms: Some(3),
        successes: u32::from(failures == 0),
        failures,
    }
}

/// A stack of these services.
pub fn stack(name: &str, services: Vec<Service>) -> Stack {
    let process = |pid| Process { pid, version: "0.1.0".to_owned(), uptime_ms: 7_560_000 };
    Stack {
        name: name.to_owned(),
        config: Some(format!("/home/me/{name}/mainstay.toml")),
        keeper: process(1200),
        daemon: process(1204),
        daemons_before: 0,
        daemon_reason: String::new(),
        containment: "cgroup".to_owned(),
        going_down: false,
        resting: false,
        revision: 42,
        configuration: mainstay_api::types::Configuration::default(),
        services,
    }
}

/// Memory that grows.
pub fn growth() -> mainstay_core::leak::Growth {
    mainstay_core::leak::Growth {
        limit: None,
        resource: mainstay_core::leak::Resource::Memory,
        per_hour: 12e6,
        low: 11.2e6,
        high: 12.9e6,
        since: 1_767_571_200,
        at: 1_767_571_200 + 9 * 3600,
        value: 410e6,
    }
}
