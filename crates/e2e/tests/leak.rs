//! A program that leaks is found, and restarted in its window: drained first. What takes half a day is seen in half a
//! minute, on a clock of the stack's own that the test moves on.

use std::time::{Duration, Instant};

use mainstay_core::StateName;
use mainstay_e2e::{Clock, Stack, eventually, free_port, get, skip};

const CONFIG: &str = r#"
metrics = { listen = METRICS }

[service.web]
command = ["FIXTURE", "web", "--port", "PORT"]
ready = { http = "http://127.0.0.1:PORT/readyz", interval = "200ms" }
leak = { action = "restart", window = "22:00-23:00" }
stop = { steps = [{ drain = "1m" }], timeout = "2m" }
"#;

/// Noon of a day in UTC.
const NOON: u64 = 1_767_571_200 + 12 * HOUR;
const HOUR: u64 = 3_600;
/// What is looked at is the lowest value of each quarter of an hour.
const QUARTER: u64 = HOUR / 4;

struct Watch {
    stack: Stack,
    clock: Clock,
    metrics: u16,
}

impl Watch {
    /// Waits until Mainstay has looked at this time of its clock.
    fn look(&self, time: u64) {
        self.clock.set_to(time);
        let set = Instant::now();
        eventually("it looks", || {
            let since = set.elapsed();
            (Duration::from_millis(self.stack.usage().age_ms) < since).then_some(())
        });
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let page = get(self.metrics, "/metrics");
        page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    fn ready(&self) -> Option<f64> {
        self.metric("mainstay_service_ready{service=\"web\"}")
    }

    fn events(&self) -> String {
        self.stack.run(&["events", "-s", "t"]).expect_success().stdout
    }
}

#[test]
fn what_leaks_is_drained_and_restarted_in_its_window() {
    let (port, metrics) = (free_port(), free_port());
    let config = CONFIG.replace("METRICS", &metrics.to_string()).replace("PORT", &port.to_string());
    let mut stack = Stack::new(&config);
    stack.set("TZ", "UTC");
    let clock = match Clock::of(&mut stack) {
        Ok(clock) => clock,
        Err(why) => skip!(why),
    };
    clock.set_to(NOON);
    stack.up();
    let first = stack.wait_for("web", &[StateName::Ready]);
    let watch = Watch { stack, clock, metrics };

    // Ten handles more in each quarter of an hour.
    let mut time = NOON;
    while !watch.events().contains("leak: handles grow by") {
        assert!(time < NOON + 9 * HOUR, "not found: {}", watch.events());
        assert!(get(port, "/leak").contains("200 OK"));
        time += QUARTER;
        watch.look(time);
    }
    assert!(time > NOON + 4 * HOUR, "of so little nobody can know: {}", watch.events());
    watch.look(NOON + 10 * HOUR - 60);
    let still = watch.stack.service("web");
    assert_eq!((still.pid, still.state), (first.pid, StateName::Ready), "its window is not open yet");
    assert_eq!(watch.ready(), Some(1.0));

    watch.look(NOON + 10 * HOUR + 60);
    // It is no more sent work, and goes on with what it has.
    let drained = watch.stack.wait_for("web", &[StateName::Stopping]);
    assert_eq!((drained.pid, watch.ready()), (first.pid, Some(0.0)));
    assert!(get(port, "/").contains("200 OK"));
    // It has nothing left to do.
    watch.stack.run(&["signal", "-s", "t", "web", "TERM"]).expect_success();
    let next = watch.stack.wait_for("web", &[StateName::Ready]);
    assert_ne!(next.pid, first.pid);
    assert_eq!(watch.ready(), Some(1.0));
    let why = watch.stack.run(&["explain", "-s", "t", "web"]).expect_success().stdout;
    assert!(why.contains("stopped by Mainstay") && why.contains("handles grow by 40.0/h"), "{why}");
    // Nobody waits for the next one to be drained.
    watch.stack.run(&["stop", "-s", "t", "web", "--no-wait"]).expect_success();
    watch.stack.wait_for("web", &[StateName::Stopping]);
    watch.stack.run(&["signal", "-s", "t", "web", "TERM"]).expect_success();
    watch.stack.down();
}
