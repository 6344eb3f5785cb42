//! Large graphs of dependencies, and people who want opposite things at the same time.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use mainstay_core::StateName;
use mainstay_e2e::{Stack, eventually, is_wine, running};

/// The number of each service's run. Runs are numbered in the order in which they are made.
fn runs(stack: &Stack) -> BTreeMap<String, u64> {
    let services = stack.status().services;
    services.into_iter().map(|service| (service.name.as_str().to_owned(), service.run.unwrap())).collect()
}

fn all(stack: &Stack, count: usize, state: StateName) {
    eventually(&format!("all are {state}"), || {
        let status = stack.status_of("t")?;
        let there = status.services.iter().filter(|service| service.state == state).count();
        (there == count).then_some(())
    });
}

/// A chain: each waits for the one before.
#[test]
fn fifty_deep() {
    let depth = if is_wine() { 10 } else { 50 };
    let mut config = String::new();
    for n in 0..depth {
        writeln!(config, "[service.s{n}]\ncommand = [\"FIXTURE\", \"sleep\"]").unwrap();
        if n > 0 {
            writeln!(config, "depends_on = {{ s{} = \"started\" }}", n - 1).unwrap();
        }
    }
    let stack = Stack::new(&config);
    stack.up();
    all(&stack, depth, StateName::Running);
    let first = runs(&stack);
    for n in 1..depth {
        assert!(
            first[&format!("s{n}")] > first[&format!("s{}", n - 1)],
            "s{n} was made before what it needs"
        );
    }
    // The last one holds all others up: the first cannot be stopped before it.
    stack.run(&["stop", "s0", "-s", "t"]).expect_success();
    all(&stack, depth, StateName::Stopped);
    stack.run(&["start", &format!("s{}", depth - 1), "-s", "t"]).expect_success();
    all(&stack, depth, StateName::Running);
    stack.down();
}

/// A fan: five hundred wait for one, and one waits for them all.
#[test]
fn five_hundred_wide() {
    let width = if is_wine() { 20 } else { 500 };
    let mut config = String::from("[service.base]\ncommand = [\"FIXTURE\", \"sleep\"]\n");
    let mut needed = String::new();
    for n in 0..width {
        writeln!(config, "[service.s{n}]\ncommand = [\"FIXTURE\", \"sleep\"]").unwrap();
        config.push_str("depends_on = { base = \"started\" }\n");
        write!(needed, "s{n} = \"started\", ").unwrap();
    }
    writeln!(config, "[service.top]\ncommand = [\"FIXTURE\", \"sleep\"]").unwrap();
    writeln!(config, "depends_on = {{ {} }}", needed.trim_end_matches(", ")).unwrap();
    let stack = Stack::new(&config);
    stack.up();
    all(&stack, width + 2, StateName::Running);
    let first = runs(&stack);
    for n in 0..width {
        let middle = first[&format!("s{n}")];
        assert!(first["base"] < middle && middle < first["top"], "s{n} came at the wrong time");
    }
    stack.down();
}

/// Each start is either done or called off; nothing is left, and nobody waits for ever.
#[test]
fn down_while_up_is_still_starting() {
    let count = if is_wine() { 15 } else { 200 };
    for round in 0..3 {
        let mut config = String::new();
        for n in 0..count {
            writeln!(config, "[service.s{n}]\ncommand = [\"FIXTURE\", \"sleep\"]").unwrap();
            // Never ready: whoever waits for it waits until the stack goes down.
            config.push_str("ready = { exec = [\"FIXTURE\", \"exit\", \"1\"], interval = \"1s\" }\n");
            if n % 10 > 0 {
                writeln!(config, "depends_on = {{ s{} = \"{}\" }}", n - 1, ["started", "ready"][n % 2])
                    .unwrap();
            }
        }
        let stack = Stack::new(&config);
        let mut foreground = stack.up_foreground();
        // The first moment at which there is somebody to tell; then later ones.
        eventually("some have started", || {
            let status = stack.status_of("t")?;
            let started = status.services.iter().filter(|service| service.pid.is_some()).count();
            (started >= round * count / 20).then_some(())
        });
        stack.down();
        let ended = eventually("up ends too", || foreground.try_wait().unwrap());
        assert!(ended.code().is_some(), "{ended:?}");
        assert_eq!(running(stack.fixture()), Vec::<u32>::new());
    }
}

/// Four ask for starts, stops and restarts all the time. Each gets an answer, the service never runs twice, and
/// the last word counts.
#[test]
fn opposite_wishes_at_once() {
    let stack = Stack::new(
        "[service.a]\ncommand = [\"FIXTURE\", \"--sole\", \"HOME/a.sole\", \"graceful\", \"30\"]\n\
         [service.b]\ncommand = [\"FIXTURE\", \"--sole\", \"HOME/b.sole\", \"graceful\", \"10\"]\n\
         depends_on = { a = \"started\" }\n",
    );
    stack.up();
    let rounds = if is_wine() { 5 } else { 20 };
    std::thread::scope(|scope| {
        for words in [["start", "a"], ["stop", "a"], ["restart", "b"], ["stop", "b"]] {
            let stack = &stack;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let begin = Instant::now();
                    let outcome = stack.run(&[words[0], words[1], "-s", "t", "--timeout", "20"]);
                    // What one asks for, another may take back before it came about: then it says so.
                    assert!(matches!(outcome.code, Some(0 | 1)), "{words:?}: {outcome:?}");
                    assert!(
                        begin.elapsed() < Duration::from_secs(60),
                        "{words:?} took {:?}",
                        begin.elapsed()
                    );
                }
            });
        }
    });
    stack.run(&["stop", "a", "-s", "t"]).expect_success();
    assert_eq!(running(stack.fixture()), Vec::<u32>::new());
    stack.run(&["start", "b", "-s", "t"]).expect_success();
    for name in ["a", "b"] {
        stack.wait_for(name, &[StateName::Running]);
        assert_eq!(stack.text(&format!("{name}.sole.violations")), "", "{name} ran twice at once");
    }
    stack.down();
}

/// It goes when its processes have gone, and its name is free again.
#[test]
fn removed_while_it_stops() {
    let stack = Stack::new("");
    let fixture = stack.fixture().to_string_lossy().into_owned();
    let run =
        |name: &str| stack.run(&["run", "--name", name, "--", &fixture, "graceful", "1500"]).expect_success();
    run("job");
    run("other");
    let job = |name: &str| {
        let status = stack.status_of("jobs")?;
        status.services.into_iter().find(|service| service.name.as_str() == name)
    };
    eventually("it has started", || {
        let log = stack.home().join("jobs/log/job.log");
        std::fs::read_to_string(log).is_ok_and(|text| text.contains("started")).then_some(())
    });
    stack.run(&["stop", "job", "-s", "jobs", "--no-wait"]).expect_success();
    eventually("it stops", || job("job").filter(|job| job.state == StateName::Stopping));
    stack.run(&["rm", "job", "-s", "jobs"]).expect_success();
    eventually("it is gone", || job("job").is_none().then_some(()));
    assert_eq!(running(stack.fixture()).len(), 1, "only the other one is left");
    run("job");
    eventually("it runs anew", || job("job").filter(|job| job.state == StateName::Running));
    stack.run(&["down", "-s", "jobs"]).expect_success();
    assert_eq!(running(stack.fixture()), Vec::<u32>::new());
}
