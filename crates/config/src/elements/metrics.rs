//! `metrics`: how others see what is measured.

use mainstay_core::MetricsPlan;

use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&METRICS);

pub(crate) static METRICS: Section = Section {
    id: "metrics",
    title: "`metrics`",
    about: "How others see what Mainstay measures.",
    one_of: &[],
    keys: &[Key::new(
        "listen",
        Form::Scalar,
        "\"9100\"",
        "Where `/metrics` is served for Prometheus: a port (then for this machine only), or `host:port`.",
    )
    .default("nowhere")
    .also(&["address", "addr", "port", "bind"])],
};

const EXAMPLE: &str = "write a port for this machine only, \"9100\", or an address such as \"0.0.0.0:9100\"";

/// Reads it; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> MetricsPlan {
    let mut plan = MetricsPlan::default();
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table").hint("write it like { listen = \"9100\" }");
        return plan;
    }
    let Some(mut reader) = Reader::open(cx, field, &METRICS) else { return plan };
    if let Some(listen) = reader.get("listen") {
        plan.listen = read_listen(cx, listen);
    }
    reader.finish();
    plan
}

fn read_listen(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let text = match &field.node.value {
        Value::Integer(written, _) => written.clone(),
        _ => cx.string(field, "a port or an address")?.value,
    };
    match address(text.trim()) {
        Some(address) => Some(address),
        None => {
            cx.error(field.span(), format!("`{text}` is no port and no address")).hint(EXAMPLE);
            None
        }
    }
}

/// A port alone is that of this machine, to be seen from nowhere else.
fn address(text: &str) -> Option<String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(port) = port(text).filter(|_| digits(text)) {
        return Some(format!("127.0.0.1:{port}"));
    }
    let (host, number) = text.rsplit_once(':')?;
    let number = port(number).filter(|_| digits(number))?;
    let sound = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    // As other tools have it, nothing before the colon is every address; here it has to be said.
    (sound && !host.is_empty()).then(|| format!("{host}:{number}"))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn ports_and_addresses() {
        assert_eq!(address("9100").as_deref(), Some("127.0.0.1:9100"));
        for same in ["0.0.0.0:9100", "[::]:9100", "localhost:1", "db-1.example:65535"] {
            assert_eq!(address(same).as_deref(), Some(same));
        }
        for wrong in
            ["", "0", "65536", ":9100", "host", "host:", "host:0", "::1:80", "[x]:80", "+9100", "a b:1"]
        {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
