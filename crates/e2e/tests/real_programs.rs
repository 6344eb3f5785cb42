//! Real programs: a Go server that needs etcd and Redis; the same server on Windows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mainstay_core::StateName::{Ready, Running, Stopped};
use mainstay_core::{Exit, StateName};
use mainstay_e2e::{Stack, eventually, free_port, get, go_example, kill, repository};

/// The Go example with ports and a data directory of its own.
fn go_stack(file: &str) -> (Stack, u16) {
    let port = free_port();
    let data = tempfile::tempdir().expect("a data directory").keep();
    let set = |name: &str, value: String| (name.to_owned(), value);
    let variables = vec![
        set("API", go_example().to_string_lossy().into_owned()),
        set("CONFIG", data.join("api.json").to_string_lossy().into_owned()),
        set("DATA", data.to_string_lossy().into_owned()),
        set("PORT", port.to_string()),
        set("ETCD_PORT", free_port().to_string()),
        set("ETCD_PEER_PORT", free_port().to_string()),
        set("REDIS_PORT", free_port().to_string()),
    ];
    (Stack::of("go", repository("examples/go").join(file), variables), port)
}

#[test]
fn go_etcd_and_redis_in_order() {
    if cfg!(windows) {
        mainstay_e2e::skip!("etcd and Redis are Debian's, for Linux");
    }
    let (stack, port) = go_stack("mainstay.toml");
    stack.up();
    let api = stack.wait_for("api", &[Ready]);
    let (etcd, redis) = (stack.service("etcd"), stack.service("redis"));
    assert_eq!((etcd.state, redis.state), (Ready, Ready));
    assert!(api.uptime_ms < etcd.uptime_ms && api.uptime_ms < redis.uptime_ms, "the server came last");
    assert!(get(port, "/hello").contains("hello from the Go server"));

    // The daemon dies: nobody notices.
    kill(stack.status().daemon.pid);
    let status =
        eventually("the next daemon answers", || stack.status_of("go").filter(|s| s.daemons_before == 1));
    let pids: Vec<_> = status.services.iter().map(|service| service.pid).collect();
    assert_eq!(pids, [api.pid, etcd.pid, redis.pid]);

    // Redis dies: the server loses its mark, Redis comes back, and so does the mark.
    kill(redis.pid.expect("Redis runs"));
    eventually("Redis is back", || {
        let service = stack.service("redis");
        (service.state == Ready && service.pid != redis.pid).then_some(())
    });
    stack.wait_for("api", &[Ready]);
    assert_eq!(stack.service("api").pid, api.pid, "readiness only marks");

    stops_gracefully(&stack, port);
    stack.down();
}

#[test]
fn go_alone_as_on_windows() {
    let (stack, port) = go_stack("mainstay.windows.toml");
    stack.up();
    stack.wait_for("api", &[Ready]);
    assert!(get(port, "/hello").contains("hello from the Go server"));
    stops_gracefully(&stack, port);
    stack.down();
}

/// Says that it is over, also when a test fails: others wait for that.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The program reads its new file while clients are at it: no request fails, and the process stays.
#[test]
fn go_takes_a_new_limit_under_load() {
    let file = if cfg!(windows) { "mainstay.windows.toml" } else { "mainstay.toml" };
    let (mut stack, port) = go_stack(file);
    stack.up();
    let before = stack.wait_for("api", &[Ready]).pid;
    let limit = || get(port, "/limit").lines().last().map(str::to_owned);
    assert_eq!(limit().as_deref(), Some("50"));
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _end = Ends(&stop);
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let answer = get(port, "/work");
                        assert!(
                            answer.starts_with("HTTP/1.1 200") && answer.ends_with("done\n"),
                            "{answer:?}"
                        );
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let busy = |more: usize| {
            let from = answers.load(Ordering::Relaxed);
            eventually("clients are answered", || {
                assert!(!clients.iter().any(|client| client.is_finished()), "a request failed");
                (answers.load(Ordering::Relaxed) >= from + more).then_some(())
            });
        };
        busy(8);
        for new in ["2", "7"] {
            stack.set("LIMIT", new);
            stack.run(&["apply"]).expect_success();
            eventually("the program has it", || (limit().as_deref() == Some(new)).then_some(()));
            busy(8);
        }
        // One that the program does not want changes nothing.
        stack.set("LIMIT", "0");
        let refused = stack.run(&["apply"]).stderr;
        assert!(refused.contains("limit: 0 is less than 1"), "{refused}");
        assert_eq!(limit().as_deref(), Some("7"));
        busy(8);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no request failed");
        }
    });
    assert_eq!(stack.service("api").pid, before, "the process goes on");
    let events = stack.run(&["events"]).expect_success().stdout;
    let how = if cfg!(windows) { "told by event" } else { "told by SIGHUP" };
    assert!(events.contains(how) && events.contains(", which took "), "{events}");
    stack.down();
}

/// A request in flight gets its answer, and the server says that it has stopped by itself.
fn stops_gracefully(stack: &Stack, port: u16) {
    let answer = std::thread::scope(|scope| {
        let request = scope.spawn(|| get(port, "/work"));
        // The request takes 200 ms; the stop comes while it is under way, or after it on a slow machine.
        stack.run(&["stop", "api", "-s", "go"]).expect_success();
        request.join().expect("the request's thread")
    });
    assert!(answer.is_empty() || answer.contains("done"), "a request in flight was cut: {answer}");
    let service = stack.service("api");
    assert_eq!((service.state, service.last_exit), (Stopped, Some(Exit::Code(0))));
    let log = String::from_utf8(stack.log("api")).expect("text");
    assert!(log.ends_with("stopping: requests in flight may finish\nstopped\n"), "{log}");
}

/// What `start /B` and `nohup &` are used for.
#[test]
fn run_puts_a_program_in_the_background() {
    let stack = Stack::new("");
    let fixture = stack.fixture().to_string_lossy().into_owned();
    let run = ["run", "--name", "job1", "--", &fixture, "--pid", "graceful", "10"];
    stack.run(&run).expect_success();
    let find = |state: StateName| {
        let status = stack.status_of("jobs")?;
        status.services.into_iter().find(|job| job.name.as_str() == "job1" && job.state == state)
    };
    let job = eventually("the job runs", || find(Running));
    // The command that started it has ended; so has its console, if it had one.
    let table = stack.run(&["status"]).expect_success().stdout;
    assert!(table.contains("job1"), "{table}");
    stack.run(&["stop", "job1", "-s", "jobs"]).expect_success();
    let stopped = eventually("the job has stopped", || find(Stopped));
    assert_eq!(stopped.last_exit, Some(Exit::Code(0)));
    assert!(job.pid.is_some());
}
