//! `http` of a probe: the address that is asked.

use crate::context::{Context, Field};

const EXAMPLE: &str = "write it like \"http://127.0.0.1:8080/healthz\"";

/// Reads an address for the http probe.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = cx.string(field, "an address such as \"http://127.0.0.1:8080/healthz\"")?;
    match check(&text.value) {
        Ok(()) => Some(text.value),
        Err((message, hint)) => {
            cx.error(field.span(), message).hint(hint);
            None
        }
    }
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
    if scheme.eq_ignore_ascii_case("https") {
        return wrong(
            "https probes are not supported in this version".to_owned(),
            "let the service answer probes on a plain http port of 127.0.0.1, or ask with a program: \
             { exec = [\"curl\", \"--fail\", \"https://…\"] }",
        );
    }
    if !scheme.eq_ignore_ascii_case("http") {
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
            "leave out what stands before the `@`, or ask with a program: { exec = [\"curl\", …] }",
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
    use super::check;

    #[test]
    fn addresses_of_http_pass() {
        for good in [
            "http://127.0.0.1:8080/healthz",
            "http://localhost",
            "http://[::1]:80/x?y=1&z",
            "HTTP://host.example/",
            "http://[::1]/",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn others_do_not() {
        for (bad, why) in [
            ("", "no address"),
            ("localhost:80/x", "no address"),
            ("https://localhost/", "not supported"),
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
