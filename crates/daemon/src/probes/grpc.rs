//! `grpc.health.v1.Health/Check`, the standard health service: one call over HTTP/2, of which both messages have a
//! single field. `SERVING` is a yes.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_core::{GrpcCheck, ProbeOutcome};
use mainstay_sys::local::Duplex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{bare, http, io_in_words, no, tls, yes};

/// The longest answer; that of a health service has two bytes.
const MAX_ANSWER: usize = 4 << 10;
/// The longest head accepted.
const MAX_HEAD: u32 = 16 << 10;
/// What stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Asks once. The caller limits the time.
pub(super) async fn ask(check: &GrpcCheck) -> ProbeOutcome {
    let unchecked = if check.tls.as_ref().is_some_and(|tls| tls.insecure) { tls::UNCHECKED } else { "" };
    match answer(check).await {
        Ok(1) => yes(format!("SERVING{unchecked}")),
        Ok(0) => no("UNKNOWN"),
        Ok(2) => no(format!("NOT_SERVING{unchecked}")),
        Ok(3) => no("SERVICE_UNKNOWN"),
        Ok(other) => no(format!("status {other}, which has no meaning")),
        Err(detail) => no(detail),
    }
}

async fn answer(check: &GrpcCheck) -> Result<u64, String> {
    let address = &check.address;
    let stream = TcpStream::connect(address.as_str()).await.map_err(|error| io_in_words(&error))?;
    let mut stream: Box<dyn Duplex> = Box::new(stream);
    if let Some(tls) = &check.tls {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        stream = tls::connect(stream, bare(host), tls, b"h2").await?;
    }
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| in_words(&error))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // The call sees its failure, too.
        let _ = connection.await;
    });
    let scheme = if check.tls.is_some() { "https" } else { "http" };
    let request = Request::post(format!("{scheme}://{address}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, concat!("mainstay-probe/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(question(&check.service))))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| in_words(&error))?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("{}: not a gRPC server", head.status));
    }
    // An answer without a message has its status in the head.
    refused(&head.headers)?;
    let (message, trailers) = whole(body).await?;
    if let Some(trailers) = trailers {
        refused(&trailers)?;
    }
    read(&message).ok_or_else(|| "the answer is not one of a health service".to_owned())
}

/// `HealthCheckRequest`: field 1, the service's name.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0A);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend(message);
    framed
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// `HealthCheckResponse`: field 1, the status; 0 if it is left out. None if it is something else.
fn read(framed: &[u8]) -> Option<u64> {
    let (prefix, rest) = framed.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize;
    if prefix[0] != 0 || rest.len() != length {
        return None;
    }
    let mut bytes = rest.iter().copied();
    let mut status = 0;
    while let Some(tag) = take_varint(&mut bytes) {
        let value = match tag & 7 {
            0 => take_varint(&mut bytes)?,
            // A field that later versions may have.
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                bytes.by_ref().take(length).count();
                continue;
            }
            _ => return None,
        };
        if tag >> 3 == 1 {
            status = value;
        }
    }
    Some(status)
}

fn take_varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

async fn whole(mut body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), String> {
    let (mut message, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| in_words(&error))?;
        if let Some(data) = frame.data_ref() {
            message.extend_from_slice(data);
        }
        if message.len() > MAX_ANSWER {
            return Err(format!("an answer of more than {} KiB", MAX_ANSWER >> 10));
        }
        if let Ok(last) = frame.into_trailers() {
            trailers = Some(last);
        }
    }
    Ok((message, trailers))
}

/// The call's own status, which is not that of the service.
fn refused(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let message = text("grpc-message").filter(|text| !text.is_empty());
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some("5") => Err(format!("NOT_FOUND, it does not know that service{message}")),
        Some("12") => Err(format!("UNIMPLEMENTED, it has no health service{message}")),
        Some("14") => Err(format!("UNAVAILABLE{message}")),
        Some(code) => Err(format!("gRPC status {code}{message}")),
    }
}

fn in_words(error: &hyper::Error) -> String {
    let words = http::in_words(error);
    if words.contains("invalid") || words.contains("frame") {
        format!("it does not speak HTTP/2: {words}")
    } else {
        words
    }
}
