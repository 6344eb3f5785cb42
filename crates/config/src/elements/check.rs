//! What a probe asks: the keys beside its thresholds.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{Check, GrpcCheck, HttpCheck, SecretText, Tls};

use super::{command, duration, http_status, http_url, log_pattern, path, tcp_address};
use crate::context::{Context, Field};
use crate::expand;
use crate::reader::Reader;
use crate::value::Value;

/// The keys that say what is asked; one of them is there.
pub(crate) const CHECKS: &[&str] = &["http", "grpc", "tcp", "exec", "log", "notify"];

/// Keys that only some of them have.
const OF_HTTP: &[&str] = &["method", "headers", "expect", "body"];
const OF_GRPC: &[&str] = &["service", "tls"];
const OF_TLS: &[&str] = &["ca", "cert", "key", "insecure"];

/// Headers that the probe sets itself: another value would break the request.
const OWN_HEADERS: &[&str] =
    &["connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"];

/// What is asked, and how long a service may be silent if that was said there.
pub(crate) struct Asked {
    pub check: Check,
    pub silence: Option<Duration>,
}

/// Reads what is asked. None if something is wrong with it.
pub(crate) fn read<'n>(cx: &mut Context<'_>, reader: &mut Reader<'n>) -> Option<Asked> {
    let asked: Vec<Field<'n>> = CHECKS.iter().filter_map(|name| reader.get(name)).collect();
    let field = asked.first().copied();
    let kind = field.map_or("", |field| field.key);
    let mut extra: BTreeMap<&'static str, Field<'n>> = BTreeMap::new();
    for name in OF_HTTP.iter().chain(OF_GRPC).chain(OF_TLS) {
        let Some(value) = reader.get(name) else { continue };
        let of: &[&str] = match *name {
            name if OF_HTTP.contains(&name) => &["http"],
            name if OF_GRPC.contains(&name) => &["grpc"],
            _ => &["http", "grpc"],
        };
        if !kind.is_empty() && !of.contains(&kind) {
            cx.error(value.span(), format!("`{name}` means nothing for `{kind}`"))
                .hint(format!("it belongs to `{}`; leave it out", of.join("` and `")));
        } else {
            extra.insert(name, value);
        }
    }
    let field = field?;
    let check = match kind {
        "http" => http(cx, field, &extra)?,
        "grpc" => grpc(cx, field, &extra)?,
        "tcp" => Check::Tcp(tcp_address::read(cx, field)?),
        "exec" => Check::Exec(command::read(cx, field)?),
        "log" => Check::Log(log_pattern::read(cx, field)?),
        _ => return notify(cx, field),
    };
    Some(Asked { check, silence: None })
}

/// `true`, or how long it may be silent.
fn notify(cx: &mut Context<'_>, field: Field<'_>) -> Option<Asked> {
    match field.node.value {
        Value::Bool(true) => Some(Asked { check: Check::Notify, silence: None }),
        Value::Bool(false) => {
            cx.error(field.span(), "`notify` can only be true, or a time")
                .hint("leave the probe out if there is none");
            None
        }
        Value::Text(_) => {
            let silence = cx.duration(field, duration::SHORTEST..=duration::MAX)?;
            Some(Asked { check: Check::Notify, silence: Some(silence) })
        }
        _ => {
            cx.wrong_type(field, "true, or a time such as \"30s\"");
            None
        }
    }
}

type Extra<'n> = BTreeMap<&'static str, Field<'n>>;

fn http(cx: &mut Context<'_>, field: Field<'_>, extra: &Extra<'_>) -> Option<Check> {
    let place = http_url::read(cx, field);
    let method = extra.get("method").map(|field| cx.choice(*field, METHODS));
    let headers = extra.get("headers").map(|field| headers(cx, *field));
    let expect = extra.get("expect").map(|field| http_status::read(cx, *field));
    let body = extra.get("body").map(|field| log_pattern::read(cx, *field));
    let tls = tls(cx, extra);
    let place = place?;
    if !place.url.to_ascii_lowercase().starts_with("https://")
        && let Some((name, value)) = OF_TLS.iter().find_map(|name| Some((name, extra.get(name)?)))
    {
        cx.error(value.span(), format!("`{name}` means nothing for an address of http://"))
            .hint("write https://, or leave it out");
        return None;
    }
    if method == Some(Some("HEAD"))
        && let Some(body) = extra.get("body")
    {
        cx.error(body.span(), "an answer to HEAD has no body").hint("leave out `method` or `body`");
        return None;
    }
    let (headers, secret_headers) = whole(headers)?.unwrap_or_default();
    Some(Check::Http(Box::new(HttpCheck {
        url: place.url,
        socket: place.socket,
        method: whole(method)?.map(str::to_owned),
        headers,
        secret_headers,
        expect: whole(expect)?.unwrap_or_default(),
        body: whole(body)?,
        tls: tls?,
    })))
}

pub(crate) const METHOD_NAMES: &[&str] = &["GET", "HEAD", "POST", "OPTIONS"];
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("HEAD", "HEAD"), ("POST", "POST"), ("OPTIONS", "OPTIONS")];

/// None if it is there and wrong.
#[expect(clippy::option_option, reason = "absent, wrong and right")]
fn whole<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(value) => Some(value),
        None => Some(None),
    }
}

/// Those with a plain value, and those in whose value secrets stand.
pub(super) type Headers = (BTreeMap<String, String>, BTreeMap<String, SecretText>);

pub(super) fn headers(cx: &mut Context<'_>, field: Field<'_>) -> Option<Headers> {
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table").hint("write it like { Host = \"api.example\" }");
        return None;
    };
    let (mut headers, mut secret) = Headers::default();
    let mut sound = true;
    for entry in entries {
        let name = entry.key.to_ascii_lowercase();
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            cx.error(entry.key_span, format!("`{}` is no name of a header", entry.key))
                .hint("write it like { Authorization = \"Bearer …\" }");
            sound = false;
            continue;
        }
        if OWN_HEADERS.contains(&name.as_str()) {
            cx.error(entry.key_span, format!("`{}` is set by itself", entry.key)).hint("leave it out");
            sound = false;
            continue;
        }
        let value = Field { key: &entry.key, node: &entry.value };
        let Some(text) = cx.string_with_secrets(value, "a string") else {
            sound = false;
            continue;
        };
        // What stands between the secrets; they are looked at when their values are there.
        let mut plain = text.value.split('\0').step_by(2);
        if plain.any(|text| http::HeaderValue::from_str(text).is_err()) {
            // Without the value: it may be secret.
            cx.error(
                value.span(),
                format!("the value of `{}` has characters that a header cannot have", entry.key),
            )
            .hint("visible characters and blanks are accepted, line ends are not");
            sound = false;
            continue;
        }
        let known = headers.contains_key(&name) || secret.contains_key(&name);
        match expand::has_secret(&text.value) {
            true => drop(secret.insert(name, expand::secret_text(&text.value))),
            false => drop(headers.insert(name, text.value)),
        }
        if known {
            cx.error(entry.key_span, format!("`{}` is given twice", entry.key))
                .hint("upper and lower case are the same in names of headers");
            sound = false;
        }
    }
    sound.then_some((headers, secret))
}

fn grpc(cx: &mut Context<'_>, field: Field<'_>, extra: &Extra<'_>) -> Option<Check> {
    let address = tcp_address::read(cx, field);
    let service = extra.get("service").map(|field| cx.string(*field, "the name of a service"));
    let wanted = extra.get("tls").map(|field| truth(cx, *field));
    let tls = tls(cx, extra);
    let first = OF_TLS.iter().find_map(|name| Some((name, extra.get(name)?)));
    if let (Some(Some(false)), Some((name, value))) = (wanted, first) {
        cx.error(value.span(), format!("`{name}` means nothing without TLS"))
            .hint("leave out `tls = false`, or this");
        return None;
    }
    let secure = whole(wanted)?.unwrap_or(first.is_some());
    let service = whole(service)?.map(|text| text.value).unwrap_or_default();
    let tls = tls?;
    Some(Check::Grpc(Box::new(GrpcCheck { address: address?, service, tls: secure.then_some(tls) })))
}

fn tls(cx: &mut Context<'_>, extra: &Extra<'_>) -> Option<Tls> {
    let mut file = |name: &str| {
        whole(extra.get(name).map(|field| path::read(cx, *field).as_deref().and_then(path::text)))
    };
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    let insecure = whole(extra.get("insecure").map(|field| truth(cx, *field)));
    let tls = Tls { ca: ca?, cert: cert?, key: key?, insecure: insecure?.unwrap_or(false) };
    match (extra.get("cert"), extra.get("key")) {
        (Some(cert), None) => {
            cx.error(cert.span(), "`cert` needs its private `key`").hint("write key = \"client.key\"");
            return None;
        }
        (None, Some(key)) => {
            cx.error(key.span(), "`key` needs its certificate, `cert`").hint("write cert = \"client.pem\"");
            return None;
        }
        _ => {}
    }
    if let Some(insecure) = extra.get("insecure").filter(|_| tls.insecure) {
        if extra.contains_key("ca") {
            cx.error(insecure.span(), "`insecure` and `ca` exclude each other")
                .hint("leave out `insecure`: then the certificate is checked against `ca`");
            return None;
        }
        cx.warning(insecure.span(), "whoever answers this probe is believed: its certificate is not checked")
            .hint("name the authority with `ca` instead");
    }
    Some(tls)
}

pub(super) fn truth(cx: &mut Context<'_>, field: Field<'_>) -> Option<bool> {
    if let Value::Bool(truth) = field.node.value {
        return Some(truth);
    }
    cx.wrong_type(field, "true or false");
    None
}
