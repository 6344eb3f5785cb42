//! The client against a server that says what the test wants.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"revision\":7}";

/// What becomes of one connection.
#[derive(Clone)]
enum Fate {
    /// None comes about.
    Fails(io::ErrorKind),
    /// This is answered, then it is closed.
    Says(String),
    /// Nothing is answered, and it stays open.
    Hangs,
}

struct Server {
    fates: Mutex<VecDeque<Fate>>,
    connections: AtomicU32,
    requests: Mutex<Vec<String>>,
    lives: AtomicBool,
}

/// A client, and the server that has these fates in store; the last one for ever.
fn client(fates: impl IntoIterator<Item = Fate>) -> (Client, Arc<Server>) {
    let server = Arc::new(Server {
        fates: Mutex::new(fates.into_iter().collect()),
        connections: AtomicU32::new(0),
        requests: Mutex::default(),
        lives: AtomicBool::new(true),
    });
    let (serving, keeper) = (Arc::clone(&server), Arc::clone(&server));
    let connect: Connector = Arc::new(move || {
        let server = Arc::clone(&serving);
        Box::pin(async move {
            server.connections.fetch_add(1, Ordering::Relaxed);
            let mut fates = server.fates.lock().unwrap_or_else(PoisonError::into_inner);
            let fate = if fates.len() > 1 { fates.pop_front() } else { fates.front().cloned() };
            drop(fates);
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            match fate.unwrap() {
                Fate::Fails(kind) => return Err(kind.into()),
                Fate::Says(answer) => drop(tokio::spawn(say(server, theirs, answer))),
                Fate::Hangs => std::mem::forget(theirs),
            }
            Ok(Box::new(ours) as Box<dyn http::Stream>)
        })
    });
    let client = Client::over(connect).keeper_check(move || keeper.lives.load(Ordering::Relaxed));
    (client, server)
}

async fn say(server: Arc<Server>, mut stream: DuplexStream, answer: String) {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut block = [0; 4096];
        let read = stream.read(&mut block).await.unwrap();
        request.extend_from_slice(&block[..read]);
    }
    server.requests.lock().unwrap().push(String::from_utf8(request).unwrap());
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn says(answer: &str) -> Fate {
    Fate::Says(answer.to_owned())
}

const REFUSED: Fate = Fate::Fails(io::ErrorKind::ConnectionRefused);

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_being_replaced_is_waited_for() {
    let (client, server) = client([REFUSED, Fate::Fails(io::ErrorKind::NotFound), REFUSED, says(ACCEPTED)]);
    assert_eq!(client.action(&web(), Action::Restart).await.unwrap(), Accepted { revision: 7 });
    assert_eq!(server.connections.load(Ordering::Relaxed), 4);
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST /v1/services/web/restart HTTP/1.1\r\n"), "{request}");
}

#[tokio::test(start_paused = true)]
async fn the_patience_has_an_end() {
    let (client, server) = client([REFUSED]);
    let start = Instant::now();
    let error = client.stack().await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error:?}");
    assert!(start.elapsed() <= PATIENCE && start.elapsed() > PATIENCE - LONGEST_PAUSE * 2);
    assert!(server.connections.load(Ordering::Relaxed) < 50);
    let error = client.patience(Duration::ZERO).stack().await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_keeper_nothing_is_waited_for() {
    let (client, server) = client([REFUSED]);
    server.lives.store(false, Ordering::Relaxed);
    let error = client.stack().await.unwrap_err();
    assert!(matches!(error, ClientError::NotUp) && error.is_not_found(), "{error:?}");
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_stack_is_left_alone() {
    let (client, server) = client([Fate::Fails(io::ErrorKind::PermissionDenied)]);
    assert!(matches!(client.stack().await, Err(ClientError::Denied(_))));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_harmless_is_repeated() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"rev";
    for broken in ["", "HTTP/1.1 20", cut] {
        let (client, server) = client([says(broken), says(ACCEPTED)]);
        client.action(&web(), Action::Stop).await.unwrap();
        assert_eq!(server.connections.load(Ordering::Relaxed), 2);
    }
    for broken in ["", cut] {
        let (client, server) = client([says(broken), says(ACCEPTED)]);
        let error = client.action(&web(), Action::Restart).await.unwrap_err();
        assert!(matches!(error, ClientError::Lost(_)), "{error:?}");
        assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_is_not_waited_for_for_ever() {
    let (client, _server) = client([Fate::Hangs]);
    let start = Instant::now();
    let error = client.stack().await.unwrap_err();
    assert!(matches!(&error, ClientError::NoAnswer { last, .. } if last == "no answer in 15 s"), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(60));
    // A wait for changes has its own time on top.
    let start = Instant::now();
    client.changes(1, Duration::from_secs(30)).await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_secs(45));
    // So has what needs secrets, which a command may take its time to say.
    let start = Instant::now();
    client.rollback(crate::types::Rollback { to: None }).await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_its_reason_and_hint() {
    let body = r#"{"message":"there is no service 'we'","hint":"did you mean 'web'?"}"#;
    let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (client, server) = client([says(&answer)]);
    let error = client.service(&web()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service 'we'");
    assert_eq!(error.hint(), Some("did you mean 'web'?"));
    assert!(error.is_not_found());
    let Err(ClientError::Refused { status: 404, .. }) = client.events(EventsQuery::default()).await else {
        panic!("not refused");
    };
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_told_as_such() {
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"]
    {
        let (client, _server) = client([says(answer)]);
        let error = client.action(&web(), Action::Start).await.unwrap_err();
        assert!(matches!(error, ClientError::Garbled(_)), "{error:?}");
    }
}

fn lines(seqs: impl IntoIterator<Item = u64>) -> String {
    seqs.into_iter().map(|seq| format!("{{\"seq\":{seq},\"at\":\"now\",\"message\":\"m\"}}\n")).collect()
}

fn stream(text: &str) -> Fate {
    // Without a length it ends with the connection; `chunked` says whether it ends as it should.
    says(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n", text.len()))
}

async fn seqs(events: &mut Events) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(event) = events.next().await {
        seqs.push(event.unwrap().seq);
    }
    seqs
}

#[tokio::test(start_paused = true)]
async fn events_go_on_where_they_were_cut_off() {
    let torn = lines([3]) + "{\"seq\":4,\"at";
    let whole =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", lines([4, 5]).len(), lines([4, 5]));
    let (client, server) = client([stream(&lines([1, 2])), REFUSED, stream(&torn), says(&whole)]);
    let mut events = client.events(EventsQuery { since: 0, follow: false, limit: 9 }).await.unwrap();
    assert_eq!(seqs(&mut events).await, [1, 2, 3, 4, 5]);
    assert!(events.next().await.is_none());
    let paths: Vec<String> = {
        let requests = server.requests.lock().unwrap();
        requests.iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    let expected = [(0, 9), (2, 0), (3, 0)]
        .map(|(since, limit)| format!("/v1/events?since={since}&follow=false&limit={limit}"));
    assert_eq!(paths, expected);
}

#[tokio::test(start_paused = true)]
async fn followed_events_end_with_the_keeper() {
    let (client, server) = client([stream(&lines([1])), REFUSED]);
    let mut events = client.events(EventsQuery { since: 0, follow: true, limit: 0 }).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().seq, 1);
    server.lives.store(false, Ordering::Relaxed);
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_without_end_is_refused() {
    let (client, _server) = client([stream(&"x".repeat(3 << 20))]);
    let mut events = client.events(EventsQuery { since: 0, follow: true, limit: 0 }).await.unwrap();
    assert!(matches!(events.next().await, Some(Err(ClientError::Garbled(_)))));
    assert!(events.next().await.is_none());
}

#[test]
fn requests_can_move_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let (client, _server) = client([REFUSED]);
    sendable(&client.stack());
    sendable(&client.changes(1, PATIENCE));
    sendable(&client.action(&web(), Action::Start));
    sendable(&client.events(EventsQuery::default()));
}
