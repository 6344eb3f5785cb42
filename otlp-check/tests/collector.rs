//! A stack sends its metrics and traces to a collector that reads them with OpenTelemetry's own types.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;

/// What the collector got.
#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    metrics: BTreeMap<String, Metric>,
    resource: BTreeMap<String, String>,
    heads: Vec<String>,
}

/// Listens for ever. The first request of each kind is put off: it has to come again.
fn collector() -> (String, Arc<Mutex<Got>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Got::default()));
    let into = Arc::clone(&got);
    std::thread::spawn(move || {
        let mut put_off = true;
        for stream in listener.incoming().flatten() {
            serve(stream, &into, &mut put_off);
        }
    });
    (address, got)
}

fn serve(mut stream: TcpStream, got: &Mutex<Got>, put_off: &mut bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    if head.starts_with("POST /v1/traces ") && std::mem::take(put_off) {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(answer.as_bytes()).unwrap();
    }
    take(&head, &body, &mut got.lock().unwrap());
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
}

fn take(head: &str, body: &[u8], got: &mut Got) {
    got.heads.push(head.to_lowercase());
    if head.starts_with("POST /v1/traces ") {
        let request = ExportTraceServiceRequest::decode(body).expect("a request for traces");
        for of in request.resource_spans {
            got.resource = texts(&of.resource.unwrap().attributes);
            got.spans.extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    } else if head.starts_with("POST /v1/metrics ") {
        let request = ExportMetricsServiceRequest::decode(body).expect("a request for metrics");
        for of in request.resource_metrics {
            let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            got.metrics.extend(metrics.map(|metric| (metric.name.clone(), metric)));
        }
    } else {
        panic!("nobody asked for {head}");
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some((pair.key.clone(), text.clone())),
        any_value::Value::IntValue(number) => Some((pair.key.clone(), number.to_string())),
        other => panic!("{other:?}"),
    };
    attributes.iter().filter_map(text).collect()
}

fn until<T>(what: &str, mut is: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = is() {
            return found;
        }
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `mainstay`, where the build of the workspace puts it.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join("mainstay");
    assert!(path.is_file(), "{} is missing: `cargo xtask test` builds it before", path.display());
    path
}

struct Stack(tempfile::TempDir);

impl Stack {
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(program());
        command.args(words).current_dir(self.0.path()).env("MAINSTAY_HOME", self.0.path().join("home"));
        // Into files: a keeper in the background would hold a pipe.
        let out = tempfile::tempfile().unwrap();
        let status = command.stdout(out.try_clone().unwrap()).status().unwrap();
        assert!(status.success(), "{words:?}");
        let mut text = String::new();
        std::io::Seek::rewind(&mut &out).unwrap();
        (&out).read_to_string(&mut text).unwrap();
        text
    }
}

impl Stack {
    fn set_token(&self, value: &str) {
        let home = self.0.path().join("home");
        let mut command = Command::new(program());
        command.args(["secret", "set", "token", "--from-env", "TOKEN"]).current_dir(self.0.path());
        command.env("MAINSTAY_HOME", home).env("TOKEN", value).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

#[test]
fn lives_are_traces_and_all_metrics_arrive() {
    let (endpoint, got) = collector();
    let stack = Stack(tempfile::tempdir().unwrap());
    let config = format!(
        r#"
        name = "o"
        opentelemetry = {{ endpoint = "{endpoint}", headers = {{ X-Key = "open", Authorization = "Bearer ${{secret:token}}" }}, interval = "1s" }}

        [service.web]
        command = ["/bin/sh", "-c", "echo $TRACEPARENT; exec sleep 1000"]
        ready = {{ exec = ["/bin/true"], interval = "200ms" }}
        hooks = {{ before_start = ["/bin/true"], after_ready = ["/bin/true"] }}
        stop = {{ steps = [{{ drain = "300ms" }}, {{ ctrl_c = "5s" }}] }}

        [service.bad]
        command = ["/bin/sh", "-c", "exit 3"]
        restart = "never"
        "#
    );
    std::fs::write(stack.0.path().join("mainstay.toml"), config).unwrap();
    stack.set_token("first-value");
    stack.run(&["up", "-d"]);
    let named = |name: &str| {
        let got = got.lock().unwrap();
        got.spans.iter().find(|span| span.name == name).cloned()
    };
    until("web is ready", || named("until ready"));

    // Whoever sends goes on where a killed one was.
    let status: serde_json::Value = serde_json::from_str(&stack.run(&["status", "--json"])).unwrap();
    let daemon = status["stacks"][0]["daemon"]["pid"].as_u64().unwrap().to_string();
    assert!(Command::new("kill").args(["-9", &daemon]).status().unwrap().success());
    stack.run(&["stop", "web"]);
    let whole = until("the end of web", || named("web"));

    // The program knows its trace, and the whole life is its parent.
    let parent = stack.run(&["logs", "web"]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(parent.trim(), format!("00-{}-{}-01", hex(&whole.trace_id), hex(&whole.span_id)));
    assert!(whole.parent_span_id.is_empty() && whole.status.is_none(), "{whole:?}");
    let about = texts(&whole.attributes);
    assert_eq!(
        (about["mainstay.service"].as_str(), about["mainstay.exit"].as_str()),
        ("web", "signal SIGTERM")
    );

    // What was sent by two daemons is the same span.
    let spans: BTreeMap<Vec<u8>, Span> = {
        let got = got.lock().unwrap();
        let own = got.spans.iter().filter(|span| span.trace_id == whole.trace_id);
        own.map(|span| (span.span_id.clone(), span.clone())).collect()
    };
    let mut parts: Vec<&Span> = spans.values().filter(|span| span.span_id != whole.span_id).collect();
    parts.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    let mut names: Vec<&str> = parts.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    let wanted = [
        "hook after_ready",
        "hook before_start",
        "run",
        "spawn",
        "stop",
        "stop: ctrl_c",
        "stop: drain",
        "until ready",
    ];
    assert_eq!(names, wanted);
    for span in &parts {
        assert_eq!(span.parent_span_id, whole.span_id, "{}", span.name);
        assert!(whole.start_time_unix_nano <= span.start_time_unix_nano, "{}", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
        assert!(span.end_time_unix_nano <= whole.end_time_unix_nano, "{}", span.name);
    }
    let drain = parts.iter().find(|span| span.name == "stop: drain").unwrap();
    assert!(drain.end_time_unix_nano - drain.start_time_unix_nano >= 290_000_000, "{drain:?}");

    let bad = named("bad").unwrap();
    let status = bad.status.unwrap();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "exit code 3"));
    assert_ne!(bad.trace_id, whole.trace_id);
    stack.run(&["start", "web"]);
    metrics(&got);
    // Nothing but the value has changed.
    assert!(got.lock().unwrap().heads.iter().all(|head| head.contains("authorization: bearer first-value")));
    stack.set_token("other-value");
    until("the new token is sent", || {
        got.lock().unwrap().heads.iter().any(|head| head.contains("bearer other-value")).then_some(())
    });
    let shown = stack.run(&["config", "show"]) + &stack.run(&["events"]) + &stack.run(&["secret", "list"]);
    assert!(shown.contains("${secret:token}") && !shown.contains("-value"), "{shown}");
    let got = got.lock().unwrap();
    assert_eq!(got.resource["service.name"], "mainstay");
    assert_eq!(got.resource["service.namespace"], "o");
    for head in &got.heads {
        assert!(head.contains("x-key: open") && head.contains("application/x-protobuf"), "{head}");
    }
}

fn metrics(got: &Mutex<Got>) {
    let point = |name: &str, service: &str| {
        let got = got.lock().unwrap();
        let points = match got.metrics.get(name)?.data.as_ref()? {
            metric::Data::Gauge(gauge) => &gauge.data_points,
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{name}");
                &sum.data_points
            }
            other => panic!("{name} is {other:?}"),
        };
        let own = points.iter().find(|point| texts(&point.attributes)["service"] == service)?;
        match own.value? {
            number_data_point::Value::AsDouble(value) => Some(value),
            number_data_point::Value::AsInt(_) => panic!("{name} has whole numbers"),
        }
    };
    until("web is up", || (point("mainstay_service_up", "web")? == 1.0).then_some(()));
    until("its starts are counted", || (point("mainstay_service_starts", "web")? == 2.0).then_some(()));
    until("probes are counted", || {
        let got = got.lock().unwrap();
        let Some(metric::Data::Histogram(times)) =
            &got.metrics.get("mainstay_service_probe_duration_seconds")?.data
        else {
            panic!("no histogram")
        };
        let point = times.data_points.first()?;
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        (point.count > 0 && point.sum? > 0.0).then_some(())
    });
    let got = got.lock().unwrap();
    assert_eq!(got.metrics["mainstay_service_cpu_seconds"].unit, "s");
    assert!(got.metrics.values().all(|metric| !metric.description.is_empty()));
}
