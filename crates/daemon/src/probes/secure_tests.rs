//! Probes over TLS, over HTTP/2 and at sockets with names, against real servers.

use std::convert::Infallible;
use std::sync::Mutex;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_core::{Check, GrpcCheck, HttpCheck, ProbeOutcome, Tls};
use mainstay_sys::local::Duplex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::tests::{LONG, ask};
use super::*;

/// An authority and what it has signed, as files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name could not be told apart by it.
        let name = dir.path().to_str().unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { dir, issuer }
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Signs a certificate for a name, valid or long over.
    fn sign(&self, name: &str, valid: bool) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if !valid {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let issuer: &Issuer<'_, KeyPair> = &self.issuer;
        let cert = params.signed_by(&key, issuer).unwrap();
        std::fs::write(self.file("cert.pem"), cert.pem()).unwrap();
        std::fs::write(self.file("key.pem"), key.serialize_pem()).unwrap();
    }

    /// A server's side, with the certificate that was signed last.
    fn server(&self, client: bool, protocol: &[u8]) -> TlsAcceptor {
        let certs =
            CertificateDer::pem_file_iter(self.file("cert.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if client {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(certs, key).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server does with a connection.
type Serve = Arc<dyn Fn(Box<dyn Duplex>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Takes connections for ever. Gives its port.
async fn listen(tls: Option<TlsAcceptor>, serve: Serve) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, serve) = (tls.clone(), Arc::clone(&serve));
            tokio::spawn(async move {
                match tls {
                    None => serve(Box::new(stream)).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(Box::new(stream)).await;
                        }
                    }
                }
            });
        }
    });
    port
}

/// Says what it was asked, with this body.
fn web(asked: &Arc<Mutex<Vec<Request<()>>>>, body: &'static str) -> Serve {
    let asked = Arc::clone(asked);
    Arc::new(move |stream| {
        let asked = Arc::clone(&asked);
        Box::pin(async move {
            let service = service_fn(|request: Request<Incoming>| {
                asked.lock().unwrap().push(request.map(drop));
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body.as_bytes())))) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
    })
}

fn https(port: u16, tls: Tls) -> HttpCheck {
    HttpCheck { url: format!("https://localhost:{port}/x"), tls, ..HttpCheck::default() }
}

async fn http(check: HttpCheck) -> ProbeOutcome {
    ask(Check::Http(Box::new(check)), LONG).await
}

#[tokio::test]
async fn the_servers_certificate_has_to_be_right() {
    let authority = Authority::new();
    authority.sign("localhost", true);
    let port = listen(Some(authority.server(false, b"http/1.1")), web(&Arc::default(), "hello")).await;
    let ca = Tls { ca: Some(authority.file("ca.pem")), ..Tls::default() };
    assert_eq!(http(https(port, ca.clone())).await, yes("200 OK"));

    let unknown = no("its certificate is of an authority that is not trusted; name the authority with `ca`");
    let other = Authority::new();
    let others = Tls { ca: Some(other.file("ca.pem")), ..Tls::default() };
    assert_eq!(http(https(port, others)).await, unknown);
    let insecure = Tls { insecure: true, ..Tls::default() };
    assert_eq!(http(https(port, insecure)).await, yes("200 OK (certificate not checked)"));

    let by_number =
        HttpCheck { url: format!("https://127.0.0.1:{port}/"), tls: ca.clone(), ..HttpCheck::default() };
    let outcome = http(by_number).await;
    assert!(!outcome.ok && outcome.detail.starts_with("its certificate is for another name"), "{outcome:?}");

    // A file that comes later, or is renewed, counts without a restart.
    let missing = Tls { ca: Some(authority.file("later.pem")), ..Tls::default() };
    let outcome = http(https(port, missing.clone())).await;
    assert!(!outcome.ok && outcome.detail.starts_with("cannot read"), "{outcome:?}");
    std::fs::copy(authority.file("ca.pem"), authority.file("later.pem")).unwrap();
    assert_eq!(http(https(port, missing)).await, yes("200 OK"));

    authority.sign("localhost", false);
    let port = listen(Some(authority.server(false, b"http/1.1")), web(&Arc::default(), "")).await;
    assert_eq!(http(https(port, ca)).await, no("its certificate has expired"));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let authority = Authority::new();
    authority.sign("localhost", true);
    let port = listen(Some(authority.server(true, b"http/1.1")), web(&Arc::default(), "")).await;
    let without = Tls { ca: Some(authority.file("ca.pem")), ..Tls::default() };
    let outcome = http(https(port, without.clone())).await;
    // Depending on who is faster, the alert is lost with the connection.
    assert!(!outcome.ok, "{outcome:?}");
    let (cert, key) = (Some(authority.file("cert.pem")), Some(authority.file("key.pem")));
    let outcome = http(https(port, Tls { cert, key, ..without.clone() })).await;
    assert_eq!(outcome, yes("200 OK"));
    let (cert, key) = (Some(authority.file("cert.pem")), Some(authority.file("ca.pem")));
    let outcome = http(https(port, Tls { cert, key, ..without })).await;
    assert!(!outcome.ok && outcome.detail.contains("has no private key in PEM"), "{outcome:?}");
}

#[tokio::test]
async fn what_is_no_tls_is_told_so() {
    let port = listen(None, web(&Arc::default(), "")).await;
    let outcome = http(https(port, Tls { insecure: true, ..Tls::default() })).await;
    assert_eq!(outcome, no("the answer is not TLS"));
}

#[tokio::test]
async fn headers_method_status_and_body() {
    let asked: Arc<Mutex<Vec<Request<()>>>> = Arc::default();
    let port = listen(None, web(&asked, "{\"status\": \"up\"}")).await;
    let url = format!("http://127.0.0.1:{port}/x");
    let plain = HttpCheck { url, ..HttpCheck::default() };
    let headers = [("host", "api.example"), ("authorization", "Bearer x")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let full =
        HttpCheck { method: Some("POST".into()), headers, body: Some("\"up\"".into()), ..plain.clone() };
    assert_eq!(http(full).await, yes("200 OK, the body matches"));
    {
        let asked = asked.lock().unwrap();
        let said = |name: &str| asked[0].headers().get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(asked[0].method(), "POST");
        assert_eq!(said("host"), ["api.example"]);
        assert_eq!(said("authorization"), ["Bearer x"]);
    }
    let down = HttpCheck { body: Some("down|failed".into()), ..plain.clone() };
    assert_eq!(http(down).await, no("200 OK, but its body (16 bytes) does not match"));
    let other = HttpCheck { expect: vec![(201, 299), (404, 404)], ..plain.clone() };
    assert_eq!(http(other).await, no("200 OK"));
    assert_eq!(http(HttpCheck { expect: vec![(200, 200)], ..plain.clone() }).await, yes("200 OK"));
    let bad = HttpCheck { body: Some("(a{500}){500}".into()), ..plain };
    let outcome = http(bad).await;
    assert!(!outcome.ok && outcome.detail.starts_with("not a pattern"), "{outcome:?}");
}

#[tokio::test]
async fn only_the_beginning_of_a_body_is_searched() {
    let endless: Serve = Arc::new(|stream| {
        Box::pin(async move {
            let service = service_fn(|_: Request<Incoming>| async {
                let body = StreamBody::new(Endless);
                Ok::<_, Infallible>(Response::new(body))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
    });
    let port = listen(None, endless).await;
    let check = HttpCheck {
        url: format!("http://127.0.0.1:{port}/"),
        body: Some("y".into()),
        ..HttpCheck::default()
    };
    let outcome = http(check).await;
    assert_eq!(outcome, no("200 OK, but the beginning of its body (65536 bytes) does not match"));
}

struct Endless;

impl futures_core::Stream for Endless {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8192])))))
    }
}

/// The stack's endpoint is a server at a socket or pipe with a name.
#[tokio::test]
async fn a_socket_with_a_name_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let below = |name: &str| dir.path().join(name);
    let dirs = mainstay_sys::dirs::Dirs { run: below("run"), state: below("state"), log: below("log") };
    mainstay_sys::dirs::create_private(&dirs.run).unwrap();
    let address = mainstay_sys::endpoint::address(&dirs, "probed");
    let mut listener = mainstay_sys::endpoint::Listener::bind(&address).unwrap();
    let serve = web(&Arc::default(), "");
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap();
            tokio::spawn(serve(Box::new(stream)));
        }
    });
    let at = |socket: String| HttpCheck {
        url: "http://localhost/healthz".into(),
        socket: Some(socket),
        ..HttpCheck::default()
    };
    assert_eq!(http(at(address.to_string())).await, yes("200 OK"));
    assert!(!http(at(format!("{address}-nobody"))).await.ok);
}

/// A health service. Its answer depends on the service that is asked for.
fn health() -> Serve {
    Arc::new(|stream| {
        Box::pin(async move {
            let service = service_fn(|request: Request<Incoming>| async {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                let question = request.into_body().collect().await.unwrap().to_bytes();
                let (answer, status): (&'static [u8], &str) = match &question[..] {
                    [0, 0, 0, 0, 0] => (&[0, 0, 0, 0, 2, 8, 1], "0"),
                    [0, 0, 0, 0, 6, 0x0A, 4, b'd', b'o', b'w', b'n'] => (&[0, 0, 0, 0, 2, 8, 2], "0"),
                    [.., b'o', b'd', b'd'] => (&[1, 0, 0, 0, 1, 8], "0"),
                    [.., b'b', b'i', b'g'] => (&[0; 8192], "0"),
                    [.., b'z', b'e', b'r', b'o'] => (&[0, 0, 0, 0, 0], "0"),
                    _ => (&[], "5"),
                };
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                let trailers = async move { Some(Ok::<_, Infallible>(trailers)) };
                let body = Full::new(Bytes::from_static(answer)).with_trailers(trailers);
                Ok::<_, Infallible>(
                    Response::builder().header("content-type", "application/grpc").body(body).unwrap(),
                )
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        })
    })
}

async fn grpc(port: u16, service: &str, tls: Option<Tls>) -> ProbeOutcome {
    let address = format!("localhost:{port}");
    ask(Check::Grpc(Box::new(GrpcCheck { address, service: service.to_owned(), tls })), LONG).await
}

#[tokio::test]
async fn grpc_asks_the_health_service() {
    let port = listen(None, health()).await;
    assert_eq!(grpc(port, "", None).await, yes("SERVING"));
    assert_eq!(grpc(port, "down", None).await, no("NOT_SERVING"));
    assert_eq!(grpc(port, "zero", None).await, no("UNKNOWN"));
    assert_eq!(grpc(port, "who", None).await, no("NOT_FOUND, it does not know that service"));
    assert_eq!(grpc(port, "odd", None).await, no("the answer is not one of a health service"));
    assert_eq!(grpc(port, "big", None).await, no("an answer of more than 4 KiB"));
    // The name's length takes more than one byte.
    assert_eq!(
        grpc(port, &format!("{}down", "x".repeat(200)), None).await,
        no("NOT_FOUND, it does not know that service")
    );
}

#[tokio::test]
async fn grpc_over_tls_and_against_others() {
    let authority = Authority::new();
    authority.sign("localhost", true);
    let port = listen(Some(authority.server(false, b"h2")), health()).await;
    let ca = Tls { ca: Some(authority.file("ca.pem")), ..Tls::default() };
    assert_eq!(grpc(port, "", Some(ca)).await, yes("SERVING"));
    let insecure = Tls { insecure: true, ..Tls::default() };
    assert_eq!(grpc(port, "", Some(insecure)).await, yes("SERVING (certificate not checked)"));
    assert!(!grpc(port, "", None).await.ok);
    let http1 = listen(None, web(&Arc::default(), "")).await;
    let outcome = grpc(http1, "", None).await;
    assert!(!outcome.ok, "{outcome:?}");
}
