//! `tcp` of a probe: the host and port that are connected to.

use crate::context::{Context, Field};
use crate::value::Value;

const EXAMPLE: &str = "write it like \"127.0.0.1:5432\" or \"[::1]:5432\"";

/// Reads `host:port`.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let expected = "a host and port such as \"127.0.0.1:5432\"";
    if let Value::Integer(port, _) = &field.node.value {
        let hint = format!("write \"127.0.0.1:{port}\"");
        cx.wrong_type(field, expected).hint(hint);
        return None;
    }
    let text = cx.string(field, expected)?;
    if is_address(&text.value) {
        return Some(text.value);
    }
    let hint = match text.value.trim_start_matches(':') {
        port if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("write the host as well: \"127.0.0.1:{port}\"")
        }
        other if other.contains("://") => format!("leave out the scheme; {EXAMPLE}"),
        _ => EXAMPLE.to_owned(),
    };
    cx.error(field.span(), format!("`{}` is no host and port", text.value)).hint(hint);
    None
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port_good =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let host_good = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    port_good && host_good
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn hosts_and_ports() {
        for good in ["127.0.0.1:1", "localhost:65535", "[::1]:80", "db-1.example_x:5432"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "x",
            "x:",
            ":80",
            "x:0",
            "x:65536",
            "x:+1",
            "::1:80",
            "[::1]",
            "[x]:1",
            "a b:1",
            "http://x:1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
