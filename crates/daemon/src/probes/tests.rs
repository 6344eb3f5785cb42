//! Probes against real sockets and files.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use mainstay_core::{HttpCheck, ProbePlan};
use tokio::sync::mpsc;

use super::*;

struct Asker {
    probes: Probes,
    answers: mpsc::UnboundedReceiver<Answer>,
    service: ServiceName,
    seq: u64,
}

impl Asker {
    fn new(logs: &std::path::Path) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        let answered: Answered = Arc::new(move |answer| sender.send(answer).is_ok());
        let probes = Probes::new(Handle::current(), Vault::for_tests(logs), answered, logs.to_owned());
        Asker { probes, answers, service: ServiceName::new("web").unwrap(), seq: 0 }
    }

    fn put(&mut self, check: Check, timeout: Duration, log_start: LogPos) {
        self.seq += 1;
        let second = Duration::from_secs(1);
        let ready =
            ProbePlan { check, initial_delay: second, interval: second, timeout, failures: 1, successes: 1 };
        let plan = ServicePlan { ready: Some(ready), ..ServicePlan::default() };
        self.probes.ask(
            Time::ZERO,
            &Question {
                service: &self.service,
                plan: &plan,
                run: RunId(1),
                probe: ProbeKind::Ready,
                seq: self.seq,
                log_start,
            },
        );
    }

    async fn answer(&mut self) -> ProbeOutcome {
        let answer = self.answers.recv().await.unwrap();
        assert_eq!((answer.run, answer.probe, answer.seq), (RunId(1), ProbeKind::Ready, self.seq));
        self.probes.done(&answer);
        assert!(self.probes.tasks.is_empty());
        answer.outcome
    }
}

pub(super) async fn ask(check: Check, timeout: Duration) -> ProbeOutcome {
    let mut asker = Asker::new(std::path::Path::new("."));
    asker.put(check, timeout, LogPos::default());
    asker.answer().await
}

/// Generous: a test that depends on it fails anyway.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A server for one connection. Gives its port.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    port
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Waits until the other side has gone, so that nothing is lost in a reset.
fn wait_closed(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn says(answer: &'static str) -> u16 {
    server(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        wait_closed(stream);
    })
}

fn url(port: u16) -> Check {
    Check::Http(format!("http://127.0.0.1:{port}/healthz").into())
}

async fn http_says(answer: &'static str) -> ProbeOutcome {
    ask(url(says(answer)), LONG).await
}

#[tokio::test]
async fn http_judges_by_status() {
    let answers = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true, "200 OK"),
        ("HTTP/1.1 204 No Content\r\n\r\n", true, "204 No Content"),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", true, "200 OK"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            true,
            "302 Found",
        ),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false, "404 Not Found"),
        ("HTTP/1.1 503 Nope\r\ncontent-length: 0\r\n\r\n", false, "503 Service Unavailable"),
        ("HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n", false, "599 <unknown status code>"),
    ];
    for (answer, ok, detail) in answers {
        assert_eq!(http_says(answer).await, ProbeOutcome { ok, detail: detail.to_owned() });
    }
}

#[tokio::test]
async fn http_sends_a_plain_get() {
    let (heads, head) = std::sync::mpsc::channel();
    let port = server(move |mut stream| {
        heads.send(read_head(&mut stream)).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        wait_closed(stream);
    });
    let outcome = ask(Check::Http(format!("http://127.0.0.1:{port}?a=b").into()), LONG).await;
    assert!(outcome.ok, "{outcome:?}");
    let head = head.recv().unwrap();
    assert!(head.starts_with("GET /?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
}

#[tokio::test]
async fn http_tells_what_is_wrong() {
    let odd = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort";
    assert_eq!(http_says(odd).await, no("200 OK, but its body broke off: connection closed"));
    assert_eq!(http_says("").await, no("connection closed before an answer"));
    assert_eq!(http_says("SSH-2.0-OpenSSH_9.2p1 Debian\r\n").await, no("the answer is not HTTP"));
    let outcome = ask(Check::Http("ftp://127.0.0.1/".into()), LONG).await;
    assert_eq!(outcome, no("ftp://127.0.0.1/: only http:// and https:// can be asked"));
    let outcome = ask(Check::Http("no url".into()), LONG).await;
    assert!(!outcome.ok && outcome.detail.starts_with("no url is not a URL"), "{outcome:?}");
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(ask(url(port), LONG).await, no("connection refused"));
    assert_eq!(ask(Check::Tcp(format!("127.0.0.1:{port}")), LONG).await, no("connection refused"));
}

#[tokio::test]
async fn a_reset_is_told() {
    let port = server(|mut stream| {
        // What is not read makes the close a reset.
        stream.read_exact(&mut [0; 4]).unwrap();
    });
    let outcome = ask(url(port), LONG).await;
    assert!(!outcome.ok && outcome.detail.starts_with("connection "), "{outcome:?}");
}

#[tokio::test]
async fn one_that_ends_instead_of_answering_has_heard_that_it_is_to_end() {
    let asked = async |port: u16| {
        let url = format!("http://127.0.0.1:{port}/quit");
        http::ask_to_end(&HttpCheck { url, ..HttpCheck::default() }).await
    };
    assert_eq!(asked(says("")).await, yes("connection closed before an answer"));
    let reset = server(|mut stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
    });
    assert!(asked(reset).await.ok);
    assert!(!asked(says("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")).await.ok);
    assert!(!asked(says("SSH-2.0\r\n")).await.ok);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(asked(port).await, no("connection refused"));
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let port = server(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    assert_eq!(ask(url(port), LONG).await, yes("200 OK"));
    let port = server(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x-more: and more and more and more and more and more\r\n").is_ok() {}
    });
    let outcome = ask(url(port), LONG).await;
    assert!(!outcome.ok && outcome.detail.contains("head of more than"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_covers_everything() {
    let held: Arc<std::sync::Mutex<Vec<TcpStream>>> = Arc::default();
    // Nothing is said; a part of the head is; a part of the body is.
    for said in ["", "HTTP/1.1 200 OK\r\nx-y: ", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"] {
        let held = Arc::clone(&held);
        let port = server(move |mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(said.as_bytes());
            held.lock().unwrap().push(stream);
        });
        let outcome = ask(url(port), Duration::from_millis(1500)).await;
        assert_eq!(outcome, no("no answer in 1.5s"));
    }
}

#[tokio::test]
async fn tcp_wants_a_connection_only() {
    let port = server(wait_closed);
    assert_eq!(ask(Check::Tcp(format!("127.0.0.1:{port}")), LONG).await, yes("connected"));
    let outcome = ask(Check::Tcp("127.0.0.1".into()), LONG).await;
    assert!(!outcome.ok, "{outcome:?}");
}

#[tokio::test]
async fn log_finds_a_line_of_this_run_only_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.log");
    std::fs::write(&path, "ready in the run before\n").unwrap();
    let start = LogPos { segment: 1, offset: std::fs::metadata(&path).unwrap().len() };
    let mut asker = Asker::new(dir.path());
    let check = Check::Log("^ready( now)?$".into());
    let append = |text: &str| {
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };

    asker.put(check.clone(), LONG, start);
    assert_eq!(asker.answer().await, no("no line has matched"));
    append("starting\nnot ready\n");
    asker.put(check.clone(), LONG, start);
    assert_eq!(asker.answer().await, no("no line has matched"));
    // No line end yet, and a beginning that the rest changes.
    append("re");
    asker.put(check.clone(), LONG, start);
    assert_eq!(asker.answer().await, no("no line has matched"));
    append("ady now");
    asker.put(check.clone(), LONG, start);
    assert_eq!(asker.answer().await, yes("a line matched"));

    std::fs::remove_file(&path).unwrap();
    asker.put(check.clone(), LONG, start);
    assert_eq!(asker.answer().await, yes("a line matched"));
    assert_eq!(asker.probes.seen().len(), 1);
    assert!(asker.probes.cancel(RunId(1)));
    asker.put(check, LONG, start);
    assert_eq!(asker.answer().await, no("no line has matched"));
}

#[tokio::test]
async fn a_bad_pattern_is_no_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut asker = Asker::new(dir.path());
    for pattern in ["(", "(a{500}){500}"] {
        asker.probes.cancel(RunId(1));
        asker.put(Check::Log(pattern.into()), LONG, LogPos::default());
        let outcome = asker.answer().await;
        assert!(!outcome.ok && outcome.detail.starts_with("not a pattern"), "{outcome:?}");
        assert!(outcome.detail.chars().count() <= MAX_DETAIL + 1);
    }
}

#[tokio::test]
async fn one_question_at_a_time_and_none_after_the_end() {
    let mut asker = Asker::new(std::path::Path::new("."));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut end = [0; 1024];

    asker.put(url(port), LONG, LogPos::default());
    let (first, _) = listener.accept().await.unwrap();
    // Asked again, the first one is let go.
    asker.put(url(port), LONG, LogPos::default());
    assert_eq!(asker.probes.tasks.len(), 1);
    let (second, _) = listener.accept().await.unwrap();
    for stream in [first, second] {
        loop {
            stream.readable().await.unwrap();
            match stream.try_read(&mut end) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
        asker.probes.cancel(RunId(1));
        assert!(asker.probes.tasks.is_empty());
    }
    assert!(asker.answers.try_recv().is_err());
}

#[test]
fn words_are_bounded_and_times_short() {
    assert_eq!(no("ä".repeat(201)).detail, "ä".repeat(200) + "…");
    assert_eq!(no("ä".repeat(200)).detail, "ä".repeat(200));
    let words = [1, 250, 1000, 1500, 60_000].map(|ms| in_words(Duration::from_millis(ms)));
    assert_eq!(words, ["1ms", "250ms", "1s", "1.5s", "60s"]);
}
