//! `http` of a probe, of a step of a stop and of `on_change`: the address that is asked, and how.

use mainstay_core::HttpCall;

use crate::System;
use crate::context::{Context, Field};

const EXAMPLE: &str = "write it like \"http://127.0.0.1:8080/healthz\"";

/// What is asked, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub url: String,
    /// The Unix socket or named pipe, if it is one.
    pub socket: Option<String>,
}

/// Reads an address for the http probe.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<Place> {
    let text = cx.string(field, "an address such as \"http://127.0.0.1:8080/healthz\"")?;
    let read = match local(&text.value, cx.around.system) {
        Some(read) => read,
        None => check(&text.value).map(|()| Place { url: text.value, socket: None }),
    };
    match read {
        Ok(place) => Some(place),
        Err((message, hint)) => {
            cx.error(field.span(), message).hint(hint);
            None
        }
    }
}

/// Reads a request that tells a program something: POST, where no other method stands beside the address.
pub(crate) fn read_call(
    cx: &mut Context<'_>,
    field: Field<'_>,
    method: Option<Field<'_>>,
) -> Option<HttpCall> {
    let method = method.map_or(Some("POST".to_owned()), |method| read_method(cx, method));
    let Place { url, socket } = read(cx, field)?;
    Some(HttpCall { url, method: method?, socket })
}

/// A method of HTTP; their letters are large.
fn read_method(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let text = cx.string(field, "a method such as \"POST\"")?;
    if METHODS.contains(&text.value.as_str()) {
        return Some(text.value);
    }
    cx.not_a_choice(&text, field.key, &METHODS);
    None
}

/// `unix:/path[:/path/of/url]`, and `pipe:` on Windows. None: it is neither.
fn local(text: &str, system: System) -> Option<Result<Place, (String, String)>> {
    let (kind, rest) = text.split_once(':').filter(|(kind, _)| matches!(*kind, "unix" | "pipe"))?;
    let wrong = |message: String, hint: &str| Some(Err((message, hint.to_owned())));
    match (kind, system) {
        ("unix", System::Windows) => {
            return wrong(
                "probes cannot ask Unix sockets on Windows".to_owned(),
                r"write 'pipe:\\.\pipe\NAME'",
            );
        }
        ("pipe", System::Linux) => {
            return wrong("there are no named pipes on Linux".to_owned(), "write \"unix:/run/api.sock\"");
        }
        _ => {}
    }
    // nginx's form: the path on the server follows the last `:`.
    let (socket, path) = match rest.rsplit_once(":/") {
        Some((socket, path)) => (socket, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let absolute = if kind == "unix" { socket.starts_with('/') } else { socket.starts_with(r"\\") };
    if !absolute {
        return wrong(
            format!("`{socket}` is no absolute path of a socket"),
            r"write it like 'unix:/run/api.sock:/healthz', or 'pipe:\\.\pipe\api:/healthz' on Windows",
        );
    }
    let url = format!("http://localhost{path}");
    Some(check(&url).map(|()| Place { url, socket: Some(socket.to_owned()) }))
}

fn check(text: &str) -> Result<(), (String, String)> {
    let wrong = |message: String, hint: &str| Err((message, hint.to_owned()));
    let Some((scheme, rest)) = text.split_once("://") else {
        let hint = if text.starts_with(':') || text.starts_with('/') {
            EXAMPLE.to_owned()
        } else {
            format!("write it with its scheme: \"http://{text}\"")
        };
        return Err((format!("`{text}` is no address of http"), hint));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return wrong(format!("`{scheme}` is not a scheme that a probe can ask"), EXAMPLE);
    }
    let uri: http::Uri = match text.parse() {
        Ok(uri) => uri,
        Err(error) => return wrong(format!("`{text}` is no address of http: {error}"), EXAMPLE),
    };
    let Some(authority) = uri.authority() else {
        return wrong(format!("`{text}` names no host"), EXAMPLE);
    };
    if authority.as_str().contains('@') {
        return wrong(
            "a probe sends no user name or password".to_owned(),
            "leave out what stands before the `@`, and send it as a header: headers = { Authorization = \"Basic …\" }",
        );
    }
    if !text.is_ascii() {
        return wrong(
            format!("`{text}` has characters that an address cannot have"),
            "write them percent-encoded (`%C3%A9` is é)",
        );
    }
    let port_written = authority.as_str().rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let port_good = match port_written {
        None => true,
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
    };
    if authority.host().is_empty() || !port_good {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        return wrong(
            format!("`{}` is no host and port", &rest[..end]),
            "a port is a number from 1 to 65535; write it like \"http://127.0.0.1:8080/healthz\"",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Place, check, local};
    use crate::System;

    #[test]
    fn addresses_of_http_pass() {
        for good in [
            "http://127.0.0.1:8080/healthz",
            "http://localhost",
            "http://[::1]:80/x?y=1&z",
            "HTTP://host.example/",
            "http://[::1]/",
            "https://localhost/",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn sockets_have_a_path_on_the_server() {
        let place = |url: &str, socket: &str| {
            Some(Ok(Place { url: url.to_owned(), socket: Some(socket.to_owned()) }))
        };
        let linux = |text| local(text, System::Linux);
        assert_eq!(linux("unix:/run/a.sock"), place("http://localhost/", "/run/a.sock"));
        assert_eq!(linux("unix:/run/a:b.sock:/x?y"), place("http://localhost/x?y", "/run/a:b.sock"));
        assert_eq!(linux("http://h/"), None);
        for bad in ["unix:", "unix:a.sock", "unix:/run/a.sock:/a b", r"pipe:\\.\pipe\a"] {
            assert!(linux(bad).is_some_and(|read| read.is_err()), "{bad}");
        }
        let windows = |text| local(text, System::Windows);
        assert_eq!(windows(r"pipe:\\.\pipe\a:/x"), place("http://localhost/x", r"\\.\pipe\a"));
        assert!(windows("unix:/run/a.sock").is_some_and(|read| read.is_err()));
    }

    #[test]
    fn others_do_not() {
        for (bad, why) in [
            ("", "no address"),
            ("localhost:80/x", "no address"),
            ("ftp://x/", "not a scheme"),
            ("http://", "no address"),
            ("http:///x", "no address"),
            ("http://h:0/", "no host and port"),
            ("http://h:65536/", "no host and port"),
            ("http://h:/", "no host and port"),
            ("http://u:p@h/", "password"),
            ("http://h/a b", "no address"),
            ("http://h/é", "characters"),
        ] {
            assert!(check(bad).is_err_and(|(message, _)| message.contains(why)), "{bad}: {:?}", check(bad));
        }
    }
}
