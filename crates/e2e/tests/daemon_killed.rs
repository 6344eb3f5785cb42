//! `kill -9` of the daemon at random moments, while services start, stop, crash, and one writes at full speed.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it saw")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, is_wine, kill};

const CONFIG: &str = r#"
[service.writer]
command = ["FIXTURE", "--sole", "HOME/writer.sole", "lines", "--burst", "50000", "--pause", "50"]
restart = "never"
log = { rotate = { size = "20MB" }, keep = { files = 1000 } }

[service.steady]
command = ["FIXTURE", "--sole", "HOME/steady.sole", "--pid", "sleep"]

[service.crasher]
command = ["FIXTURE", "--sole", "HOME/crasher.sole", "exit", "3", "--after", "40"]
restart = { policy = "always", delay = "10ms", max_delay = "50ms" }

[service.cycled]
command = ["FIXTURE", "--sole", "HOME/cycled.sole", "graceful", "20"]
depends_on = { steady = "started" }
"#;

/// A number that differs from call to call and is printed, so that a failure says with which it came.
fn seed() -> u64 {
    let given = std::env::var("FAULT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    println!("FAULT_SEED={seed}");
    seed
}

/// xorshift64*: enough to pick moments.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

#[test]
fn nothing_restarts_and_no_line_is_lost() {
    let rounds = if is_wine() { 30 } else { 200 };
    let stack = Stack::new(CONFIG);
    stack.up();
    let writer = stack.wait_for("writer", &[StateName::Running]);
    let over = AtomicBool::new(false);
    let mut random = seed() | 1;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut up = true;
            while !over.load(Ordering::Relaxed) {
                // Commands may meet a daemon that dies; what counts is what services do.
                stack.run(&[if up { "stop" } else { "start" }, "cycled", "--no-wait"]);
                up = !up;
            }
        });
        for round in 0..rounds {
            let status = eventually("the daemon answers", || stack.status_of("t"));
            assert!(round == 0 || status.daemons_before >= 1);
            // A moment chosen by chance: that is the test, not a wait for something.
            std::thread::sleep(Duration::from_micros(next(&mut random) % 60_000));
            kill(status.daemon.pid);
        }
        over.store(true, Ordering::Relaxed);
    });

    let status = eventually("the daemon answers", || stack.status_of("t"));
    assert!(status.daemons_before >= rounds, "{} of {rounds} kills were noticed", status.daemons_before);
    let service = stack.service("writer");
    assert_eq!((service.pid, service.run), (writer.pid, writer.run), "the writer was restarted");
    let steady = String::from_utf8(stack.log("steady")).unwrap();
    assert_eq!(steady.lines().count(), 1, "the steady one was restarted: {steady}");
    for name in ["writer", "steady", "crasher", "cycled"] {
        assert_eq!(stack.text(&format!("{name}.sole.violations")), "", "{name} ran twice at once");
    }
    assert!(stack.service("crasher").restarts > 0);

    stack.run(&["start", "cycled"]).expect_success();
    stack.run(&["stop", "writer"]).expect_success();
    check_lines(&stack.log("writer"));
    stack.down();
}

/// Every line whole, numbered without gap or repetition; the last may be cut by the writer's own death.
fn check_lines(log: &[u8]) {
    let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let text = std::str::from_utf8(&log[..end]).expect("only ASCII was written");
    let mut expected: u64 = 1;
    let mut wrong = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("line ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok()) {
            Some(number) if number == expected => expected += 1,
            _ if wrong.len() < 5 => {
                wrong.insert(format!("expected {expected}, found `{line}`"));
                expected += 1;
            }
            _ => {}
        }
    }
    println!("{} lines", expected - 1);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(expected > 1, "nothing was written");
}
