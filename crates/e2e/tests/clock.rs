//! The wall clock jumps by a day, back and forth: no storm of restarts, no timer that is stuck.

use std::time::Instant;

use mainstay_core::StateName;
use mainstay_e2e::{Clock, Stack, eventually, skip};

const CONFIG: &str = r#"
[service.crasher]
command = ["FIXTURE", "exit", "1", "--after", "50"]
restart = { policy = "always", delay = "300ms", max_delay = "300ms" }

[service.probed]
command = ["FIXTURE", "sleep"]
live = { exec = ["FIXTURE", "exit", "0"], interval = "200ms", timeout = "5s", failures = 3 }

[service.writer]
command = ["FIXTURE", "lines", "--rate", "50"]
"#;

#[test]
fn a_day_back_and_a_day_forward() {
    let mut stack = Stack::new(CONFIG);
    let clock = match Clock::of(&mut stack) {
        Ok(clock) => clock,
        Err(why) => skip!(why),
    };
    stack.up();
    let probed = stack.wait_for("probed", &[StateName::Running]);
    for offset in ["-1d", "+1d", "+0", "-400d", "+0"] {
        clock.set(offset);
        let restarts = stack.service("crasher").restarts;
        let began = Instant::now();
        let lines = stack.log("writer").len();
        let now = eventually("it goes on crashing and coming back", || {
            let now = stack.service("crasher").restarts;
            (now > restarts + 3).then_some(now)
        });
        let most = restarts + 6 + u32::try_from(began.elapsed().as_millis() / 200).unwrap();
        assert!(now <= most, "{offset}: {now} restarts after {restarts}, at most {most} expected");
        eventually("it goes on writing", || (stack.log("writer").len() > lines).then_some(()));
        let after = stack.service("probed");
        assert_eq!((after.pid, after.restarts), (probed.pid, 0), "{offset}: probed was restarted");
        assert!(after.uptime_ms.unwrap() < 600_000, "{offset}: up for {:?} ms", after.uptime_ms);
        let probe_age = eventually("it is probed again", || after.probes.first()?.ago_ms.or(Some(0)));
        assert!(probe_age < 600_000, "{offset}: probed {probe_age} ms ago");
    }
    assert_eq!(stack.status().daemons_before, 0);
    // What happened is told with the clock's times, in the order in which it happened.
    let events = stack.run(&["events", "-s", "t", "--json"]).expect_success().stdout;
    assert!(events.lines().count() > 10);
    stack.down();
}
