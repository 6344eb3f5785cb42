//! What probes can ask.
#![expect(clippy::unwrap_used, reason = "a test says what it does")]

mod common;

use std::time::Duration;

use common::{parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{Check, GrpcCheck, HttpCheck, ProbePlan, ServiceName, Tls};

fn probe_of(kind: &str, probe: &str) -> (Option<ProbePlan>, String) {
    let text = format!("[service.a]\ncommand = ['a']\n{kind} = {probe}\n");
    let loaded = parse_in(&text, &[("TOKEN", "secret")], &[]);
    let service = loaded.plan.map(|mut plan| plan.services.remove(&ServiceName::new("a").unwrap()).unwrap());
    let plan = service.and_then(|service| service.startup.or(service.ready).or(service.live));
    (plan, loaded.diagnostics.to_string())
}

fn check(probe: &str) -> Check {
    let (plan, said) = probe_of("ready", probe);
    plan.unwrap_or_else(|| panic!("{probe}: {said}")).check
}

fn below(file: &str) -> Option<String> {
    let (plan, said) = probe_of("ready", &format!("{{ http = 'https://h/', ca = '{file}' }}"));
    match plan.unwrap_or_else(|| panic!("{said}")).check {
        Check::Http(http) => http.tls.ca,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_http_probe_with_everything() {
    let read = check(
        "{ http = 'https://h:8443/x', method = 'POST', headers = { Authorization = 'Bearer ${TOKEN}', X-A = '' }, \
         expect = [204, '300-399', '2xx'], body = 'up', ca = 'ca.pem', cert = 'c.pem', key = 'c.key' }",
    );
    assert_eq!(below("ca.pem").map(|path| std::path::Path::new(&path).is_absolute()), Some(true));
    let headers =
        [("authorization", "Bearer secret"), ("x-a", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let http = HttpCheck {
        secret_headers: std::collections::BTreeMap::new(),
        url: "https://h:8443/x".into(),
        socket: None,
        method: Some("POST".into()),
        headers: headers.into(),
        expect: vec![(204, 204), (300, 399), (200, 299)],
        body: Some("up".into()),
        tls: Tls { ca: below("ca.pem"), cert: below("c.pem"), key: below("c.key"), insecure: false },
    };
    assert_eq!(read, Check::Http(Box::new(http)));
}

#[test]
fn short_forms_stay() {
    assert_eq!(check("{ http = 'http://h/' }"), Check::Http("http://h/".into()));
    let socket =
        HttpCheck { url: "http://localhost/x".into(), socket: Some("/run/a".into()), ..HttpCheck::default() };
    assert_eq!(check("{ http = 'unix:/run/a:/x' }"), Check::Http(Box::new(socket)));
    let grpc = |service: &str, tls| GrpcCheck { address: "h:1".into(), service: service.into(), tls };
    assert_eq!(check("{ grpc = 'h:1' }"), Check::Grpc(Box::new(grpc("", None))));
    assert_eq!(
        check("{ grpc = 'h:1', service = 'a.B', tls = true }"),
        Check::Grpc(Box::new(grpc("a.B", Some(Tls::default()))))
    );
    let tls = Tls { ca: below("ca.pem"), ..Tls::default() };
    assert_eq!(check("{ grpc = 'h:1', ca = 'ca.pem' }"), Check::Grpc(Box::new(grpc("", Some(tls)))));
}

#[test]
fn a_watchdog_is_a_live_probe_that_is_notified() {
    for (probe, seconds, failures) in [
        ("'notify'", 30, 1),
        ("{ notify = true }", 30, 1),
        ("{ notify = '5s' }", 5, 1),
        ("{ notify = true, interval = '7s', failures = 2 }", 7, 2),
    ] {
        let (plan, said) = probe_of("live", probe);
        let plan = plan.unwrap_or_else(|| panic!("{probe}: {said}"));
        assert_eq!(
            (plan.check, plan.interval, plan.failures),
            (Check::Notify, Duration::from_secs(seconds), failures)
        );
    }
}

#[test]
fn insecure_is_never_silent() {
    let (plan, said) = probe_of("ready", "{ http = 'https://h/', insecure = true }");
    assert!(plan.unwrap().check.to_string().ends_with("(certificate not checked)"));
    assert!(said.contains("warning: whoever answers this probe is believed"), "{said}");
    let (plan, said) = probe_of("ready", "{ http = 'https://h/', insecure = false }");
    assert!(plan.is_some() && said.is_empty(), "{said}");
}

#[test]
fn what_does_not_belong_together_is_told() {
    for (probe, words) in [
        ("{ tcp = 'h:1', headers = { A = 'b' } }", "`headers` means nothing for `tcp`"),
        ("{ http = 'http://h/', service = 'x' }", "`service` means nothing for `http`"),
        ("{ http = 'http://h/', ca = 'ca.pem' }", "`ca` means nothing for an address of http://"),
        ("{ http = 'https://h/', cert = 'a' }", "`cert` needs its private `key`"),
        ("{ http = 'https://h/', key = 'a' }", "`key` needs its certificate"),
        ("{ http = 'https://h/', ca = 'a', insecure = true }", "exclude each other"),
        ("{ http = 'https://h/', insecure = 'yes' }", "expected true or false"),
        ("{ http = 'http://h/', method = 'HEAD', body = 'x' }", "an answer to HEAD has no body"),
        ("{ http = 'http://h/', method = 'BREW' }", "method"),
        ("{ http = 'http://h/', expect = 99 }", "cannot be 99"),
        ("{ http = 'http://h/', expect = '2xy' }", "`2xy` is no status"),
        ("{ http = 'http://h/', expect = [] }", "no status at all"),
        ("{ http = 'http://h/', body = '(' }", "no regular expression"),
        ("{ http = 'http://h/', headers = { 'a b' = 'c' } }", "no name of a header"),
        ("{ http = 'http://h/', headers = { Connection = 'c' } }", "`Connection` is set by itself"),
        ("{ http = 'http://h/', headers = { A = 'c', a = 'd' } }", "given twice"),
        ("{ http = 'http://h/', headers = { A = \"c\\nd\" } }", "characters that a header cannot have"),
        ("{ http = 'unix:run/a' }", "no absolute path of a socket"),
        ("{ grpc = 'h:1', tls = false, ca = 'x' }", "`ca` means nothing without TLS"),
        ("{ grpc = 'http://h:1' }", "no host and port"),
        ("{ notify = '5s', interval = '6s' }", "`notify` has said the interval already"),
    ] {
        let (plan, said) = probe_of("ready", probe);
        assert!(plan.is_none() && said.contains(words), "{probe}:\n{said}");
    }
    // A header may be a secret.
    let (_, said) = probe_of("ready", "{ http = 'http://h/', headers = { A = \"${TOKEN}\\n\" } }");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn sockets_are_those_of_the_platform() {
    let text = "service.a = { command = ['a'], ready = { http = 'pipe:\\\\.\\pipe\\a:/x' } }";
    let loaded = parse_for(System::Windows, text, &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let loaded = parse_for(System::Linux, text, &[], &[]);
    assert!(loaded.diagnostics.to_string().contains("no named pipes on Linux"));
}
