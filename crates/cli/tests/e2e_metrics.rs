//! What services use, as people and Prometheus see it: with real processes, promtool, and a real Prometheus.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Home, kill, pid};
use serde_json::Value;

/// Waits until it is so.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    common::until(what, || is().then_some(()));
}

/// A port that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn home(port: u16) -> Home {
    let home = Home::new();
    home.config(&format!(
        "name = \"seen\"\nmetrics = {{ listen = {port} }}\n\
         [service.web]\ncommand = [@fixture@, \"sleep\"]\nlive = {{ tcp = \"127.0.0.1:{port}\", interval = \"200ms\" }}\n\
         [service.flaky]\ncommand = [@fixture@, \"exit\", \"7\"]\nrestart = {{ delay = \"50ms\", max_delay = \"1s\" }}\n\
         [service.talk]\ncommand = [@fixture@, \"lines\", \"--count\", \"500\"]\nrestart = \"never\"\n"
    ));
    home.ok(&["up", "--detach"]);
    home.until_state("seen", "web", "running");
    home
}

/// The body of `/metrics`; none while nobody answers.
fn scrape(port: u16, accept: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Some(body.to_owned())
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Whether a program is here; a test that needs it says so and is skipped.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: there is no {program} here (Debian's package prometheus has it)");
    }
    there
}

/// What promtool says to this on its standard input.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("promtool ends");
    writer.join().expect("the writer ends").expect("promtool reads it all");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn metrics_are_served_and_counted() {
    let port = free_port();
    let home = home(port);
    let mut text = String::new();
    until("all is seen", || {
        // A look is wanted: the next one by the clock may be 10 s away.
        home.ok(&["metrics", "-s", "seen", "--json"]);
        text = scrape(port, "text/plain").unwrap_or_default();
        value(&text, "mainstay_service_restarts_total{service=\"flaky\",reason=\"exit_code\"}")
            .is_some_and(|count| count >= 2.0)
            && value(&text, "mainstay_service_memory_resident_bytes{service=\"web\"}").is_some()
            && value(
                &text,
                "mainstay_service_probe_results_total{service=\"web\",probe=\"live\",result=\"success\"}",
            )
            .is_some_and(|count| count >= 1.0)
            && value(&text, "mainstay_service_log_written_lines_total{service=\"talk\"}") == Some(500.0)
            // A command may be on its way.
            && value(&text, "mainstay_queue_length{queue=\"commands\"}") == Some(0.0)
    });
    assert_eq!(value(&text, "mainstay_service_log_dropped_lines_total{service=\"talk\"}"), Some(0.0));
    assert!(value(&text, "mainstay_service_log_written_bytes_total{service=\"talk\"}") > Some(500.0));
    assert_eq!(
        value(&text, "mainstay_service_state{service=\"web\",state=\"running\"}"),
        Some(1.0),
        "{text}"
    );
    assert_eq!(value(&text, "mainstay_service_up{service=\"web\"}"), Some(1.0));
    assert!(value(&text, "mainstay_service_memory_resident_bytes{service=\"web\"}") > Some(100_000.0));
    assert_eq!(value(&text, "mainstay_service_processes{service=\"web\"}"), Some(1.0));
    assert!(value(&text, "mainstay_service_exits_total{service=\"flaky\",exit=\"7\"}") >= Some(2.0));
    assert!(value(&text, "mainstay_process_memory_resident_bytes{process=\"keeper\"}") > Some(0.0));
    let began = value(&text, "mainstay_service_start_time_seconds{service=\"web\"}").expect("it runs");
    assert!(began > 1.6e9, "{began}");
    let open = scrape(port, "application/openmetrics-text; version=1.0.0").expect("it answers");
    assert!(open.ends_with("# EOF\n"), "{open}");
    if has("promtool") {
        let (good, said) = promtool(&["check", "metrics"], &text);
        assert!(good && said.trim().is_empty(), "{said}");
    }

    // Another daemon goes on: no counter falls.
    let series = "mainstay_service_restarts_total{service=\"flaky\",reason=\"exit_code\"}";
    let before = value(&text, series).expect("it was there");
    kill(pid(&home.stack("seen").expect("up")["daemon"]["pid"]));
    until("the next daemon counts on", || {
        home.ok(&["metrics", "-s", "seen", "--json"]);
        let text = scrape(port, "text/plain").unwrap_or_default();
        let now = value(&text, series);
        assert!(now.is_none_or(|now| now >= before), "{before} became {now:?}");
        value(&text, "mainstay_daemon_replacements_total") == Some(1.0) && now > Some(before)
    });
}

#[test]
fn the_command_shows_now_and_the_past() {
    let port = free_port();
    let home = home(port);
    let text = home.ok(&["metrics", "-s", "seen"]);
    assert!(text.contains("web") && text.contains("(keeper)") && text.contains("THREADS"), "{text}");
    // The history gets its first record at the next ten seconds of the clock.
    let mut past = Value::Null;
    until("a record is there", || {
        let text = home.ok(&["metrics", "-s", "seen", "web", "--since", "10m", "--json"]);
        past = serde_json::from_str(&text).expect("JSON");
        past["services"]["web"]["records"].as_array().is_some_and(|records| !records.is_empty())
    });
    let record = &past["services"]["web"]["records"][0];
    assert!(record["figures"]["memory"]["mean"].as_f64() > Some(100_000.0), "{past}");
    let text = home.ok(&["metrics", "-s", "seen", "web"]);
    assert!(text.contains("memory") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    home.fails(3, &["metrics", "-s", "seen", "nobody"]);
    // The machine is known since a moment.
    let text = home.ok(&["forecast", "-s", "seen"]);
    assert!(text.contains("(machine)  memory") && text.contains("known for 0 of 8 days"), "{text}");
    // A file that is damaged is moved aside, and the events say so.
    let ring = home.stack_dir("seen", "state").join("metrics").join("web.ring");
    std::fs::write(&ring, b"nonsense").expect("it is written");
    until("it is moved aside", || {
        home.ok(&["metrics", "-s", "seen", "web"]);
        ring.with_extension("ring.damaged").exists()
    });
    until("it is said", || home.ok(&["events", "-s", "seen"]).contains("is damaged; it was moved to"));
}

#[test]
fn exports_load_without_an_edit() {
    let home = Home::new();
    let dashboard: Value = serde_json::from_str(&home.ok(&["export", "grafana"])).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    let rules = home.ok(&["export", "prometheus-rules"]);
    assert!(rules.contains("alert: MainstayServiceFailed"), "{rules}");
    if has("promtool") {
        std::fs::write(home.file("rules.yml"), &rules).expect("it is written");
        let file = home.file("rules.yml").display().to_string();
        let (good, said) = promtool(&["check", "rules", &file], "");
        assert!(good && said.contains("8 rules found"), "{said}");
        // So are the dashboard's queries, as rules of their own. Grafana puts in its variables.
        let mut text = String::from("groups: [{ name: x, rules: [");
        let panels = dashboard["panels"].as_array().expect("panels");
        for (nth, target) in
            panels.iter().flat_map(|panel| panel["targets"].as_array().expect("some")).enumerate()
        {
            let expr = target["expr"].as_str().expect("a query").replace("$__rate_interval", "5m");
            text.push_str(&format!("{{ record: 'x{nth}', expr: '{expr}' }}, "));
        }
        text.push_str("] }]\n");
        std::fs::write(home.file("queries.yml"), &text).expect("it is written");
        let file = home.file("queries.yml").display().to_string();
        let (good, said) = promtool(&["check", "rules", &file], "");
        assert!(good, "{said}\n{text}");
    }
}

/// Ends it whatever happens.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    if !has("prometheus") {
        return;
    }
    let (port, own) = (free_port(), free_port());
    let home = home(port);
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nrule_files: [rules.yml]\n\
         scrape_configs: [{{ job_name: mainstay, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}]\n"
    );
    std::fs::write(home.file("prometheus.yml"), config).expect("it is written");
    std::fs::write(home.file("rules.yml"), home.ok(&["export", "prometheus-rules"])).expect("it is written");
    let child = Command::new("prometheus")
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address=127.0.0.1:{own}"))
        .current_dir(home.work())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let _prometheus = Prometheus(child);
    let query = |text: &str| -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", own)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let head = format!("GET /api/v1/query?query={text} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    };
    until("it has scraped", || {
        let found = query("mainstay_service_up%7Bservice%3D%22web%22%7D");
        found.is_some_and(|found| found["data"]["result"][0]["value"][1] == "1")
    });
    let up = query("up").expect("it answers");
    assert_eq!(up["data"]["result"][0]["value"][1], "1", "{up}");
}
