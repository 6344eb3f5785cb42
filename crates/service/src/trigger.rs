//! What the SCM starts or stops a service at, beside boot and people: triggers.

use std::fmt;
use std::str::FromStr;

/// What the SCM starts or stops a service at (Windows).
///
/// In words, as `FromStr` reads and `Display` writes them: `network-up`, `domain-join`, `machine-policy`, `pipe:NAME`,
/// `firewall-port:8080/tcp`, `device:GUID,HARDWARE-ID`, `rpc:GUID`, `event:GUID`, and `network-down`, `domain-leave` and
/// `firewall-port-closed:8080/tcp`, which stop. With `start:` or `stop:` before it, any does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// What happens.
    pub on: TriggerEvent,
    /// Whether the service is stopped then, and not started.
    pub stops: bool,
}

/// What a trigger waits for. See `SERVICE_TRIGGER` in Microsoft's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TriggerEvent {
    /// The machine gets its first IP address.
    NetworkUp,
    /// The machine loses its last IP address.
    NetworkDown,
    /// The machine joins a domain.
    DomainJoin,
    /// The machine leaves its domain.
    DomainLeave,
    /// The policy of the machine has changed.
    MachinePolicy,
    /// The policy of a user has changed.
    UserPolicy,
    /// The firewall opens a port. The port or `RPC`, the protocol, and optionally the program and the service that listen.
    FirewallPort(Vec<String>),
    /// The firewall has closed a port, a minute ago. The same.
    FirewallPortClosed(Vec<String>),
    /// Somebody opens a named pipe: its name without `\\.\pipe\`.
    Pipe(String),
    /// Somebody asks where an RPC interface is.
    Rpc(Guid),
    /// A device of this interface class arrives, or is there at boot; only ones with one of these hardware IDs, if there are
    /// any.
    Device(Guid, Vec<String>),
    /// A provider of events (ETW) says something. With data of its own: texts, `hex:00ff` for bytes, and `level:4`,
    /// `any:0x10` and `all:0x10` for the level and the keywords that its event has to have.
    Event(Guid, Vec<String>),
}

/// A GUID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(u128);

impl Guid {
    /// The GUID that is written like this number in hexadecimal.
    pub const fn new(number: u128) -> Guid {
        Guid(number)
    }

    /// As a number.
    pub const fn number(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{{{}-{}-{}-{}-{}}}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = String;

    fn from_str(text: &str) -> Result<Guid, String> {
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let lengths = bare.split('-').map(str::len);
        let digits: String = bare.chars().filter(|c| *c != '-').collect();
        let number = digits.chars().all(|c| c.is_ascii_hexdigit()).then(|| u128::from_str_radix(&digits, 16));
        match number {
            Some(Ok(number)) if lengths.eq([8, 4, 4, 4, 12]) => Ok(Guid(number)),
            _ => Err(format!("`{text}` is no GUID like {{53f56307-b6bf-11d0-94f2-00a0c91efb8b}}")),
        }
    }
}

/// What an event has, in the words of [`TriggerEvent::Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datum {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A level.
    Level(u8),
    /// Keywords, of which one is enough.
    Any(u64),
    /// Keywords, of which none may lack.
    All(u64),
}

impl FromStr for Datum {
    type Err = String;

    fn from_str(text: &str) -> Result<Datum, String> {
        let keywords = |digits: &str| {
            let number = match digits.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            number.map_err(|_| format!("`{text}` has no number like 0x10"))
        };
        match text.split_once(':') {
            Some(("level", level)) => {
                level.parse().map(Datum::Level).map_err(|_| format!("`{text}` is no level from 0 to 255"))
            }
            Some(("any", digits)) => keywords(digits).map(Datum::Any),
            Some(("all", digits)) => keywords(digits).map(Datum::All),
            Some(("hex", digits)) => {
                let pair = |pair: &[u8]| {
                    let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
                    u8::from_str_radix(text, 16).ok()
                };
                let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
                bytes.map(Datum::Bytes).ok_or_else(|| format!("`{text}` are no bytes like 00ff"))
            }
            _ => Ok(Datum::Text(text.to_owned())),
        }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datum::Text(text) => f.write_str(text),
            Datum::Level(level) => write!(f, "level:{level}"),
            Datum::Any(keywords) => write!(f, "any:{keywords:#x}"),
            Datum::All(keywords) => write!(f, "all:{keywords:#x}"),
            Datum::Bytes(bytes) => {
                f.write_str("hex:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

const WORDS: &str = "network-up, network-down, domain-join, domain-leave, machine-policy, user-policy, \
    firewall-port:PORT/PROTOCOL, firewall-port-closed:PORT/PROTOCOL, pipe:NAME, rpc:GUID, device:GUID, event:GUID";

impl TriggerEvent {
    /// Whether it is the end of something.
    fn ends(&self) -> bool {
        matches!(
            self,
            TriggerEvent::NetworkDown | TriggerEvent::DomainLeave | TriggerEvent::FirewallPortClosed(_)
        )
    }
}

impl FromStr for TriggerEvent {
    type Err = String;

    fn from_str(text: &str) -> Result<TriggerEvent, String> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let (first, more) = match rest.split_once(',') {
            Some((first, more)) => (first, more.split(',').map(str::to_owned).collect()),
            None => (rest, Vec::new()),
        };
        let event = match word {
            "network-up" => TriggerEvent::NetworkUp,
            "network-down" => TriggerEvent::NetworkDown,
            "domain-join" => TriggerEvent::DomainJoin,
            "domain-leave" => TriggerEvent::DomainLeave,
            "machine-policy" => TriggerEvent::MachinePolicy,
            "user-policy" => TriggerEvent::UserPolicy,
            "firewall-port" => TriggerEvent::FirewallPort(port(first, more)?),
            "firewall-port-closed" => TriggerEvent::FirewallPortClosed(port(first, more)?),
            "pipe" => {
                let name = first.strip_prefix(r"\\.\pipe\").unwrap_or(first);
                if name.is_empty() || !more.is_empty() {
                    return Err(format!("`{text}` names no pipe"));
                }
                TriggerEvent::Pipe(name.to_owned())
            }
            "rpc" => TriggerEvent::Rpc(first.parse()?),
            "device" => TriggerEvent::Device(first.parse()?, more),
            "event" => {
                let data = more.iter().map(|text| Ok(text.parse::<Datum>()?.to_string()));
                TriggerEvent::Event(first.parse()?, data.collect::<Result<_, String>>()?)
            }
            _ => return Err(format!("`{word}` is none of {WORDS}")),
        };
        let alone = !matches!(
            event,
            TriggerEvent::FirewallPort(_)
                | TriggerEvent::FirewallPortClosed(_)
                | TriggerEvent::Pipe(_)
                | TriggerEvent::Rpc(_)
                | TriggerEvent::Device(..)
                | TriggerEvent::Event(..)
        );
        if alone && !rest.is_empty() {
            return Err(format!("`{word}` takes nothing behind it"));
        }
        Ok(event)
    }
}

/// `8080/tcp`, and who listens there.
fn port(text: &str, who: Vec<String>) -> Result<Vec<String>, String> {
    let wrong = || format!("`{text}` is not PORT/PROTOCOL, as in 8080/tcp");
    let (port, protocol) = text.split_once('/').ok_or_else(wrong)?;
    let port = port.to_ascii_uppercase();
    let protocol = protocol.to_ascii_uppercase();
    let is_port = port == "RPC" || port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port || !["TCP", "UDP"].contains(&protocol.as_str()) || who.len() > 2 {
        return Err(wrong());
    }
    Ok([vec![port, protocol], who].concat())
}

impl fmt::Display for TriggerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |word: &str, strings: &[String]| match strings {
            [port, protocol, who @ ..] => {
                let who: String = who.iter().map(|who| format!(",{who}")).collect();
                format!("{word}:{}/{}{who}", port.to_ascii_lowercase(), protocol.to_ascii_lowercase())
            }
            _ => word.to_owned(),
        };
        let guid = |word: &str, guid: &Guid, more: &[String]| {
            let more: String = more.iter().map(|more| format!(",{more}")).collect();
            format!("{word}:{guid}{more}")
        };
        f.write_str(&match self {
            TriggerEvent::NetworkUp => "network-up".to_owned(),
            TriggerEvent::NetworkDown => "network-down".to_owned(),
            TriggerEvent::DomainJoin => "domain-join".to_owned(),
            TriggerEvent::DomainLeave => "domain-leave".to_owned(),
            TriggerEvent::MachinePolicy => "machine-policy".to_owned(),
            TriggerEvent::UserPolicy => "user-policy".to_owned(),
            TriggerEvent::FirewallPort(strings) => port("firewall-port", strings),
            TriggerEvent::FirewallPortClosed(strings) => port("firewall-port-closed", strings),
            TriggerEvent::Pipe(name) => format!("pipe:{name}"),
            TriggerEvent::Rpc(interface) => guid("rpc", interface, &[]),
            TriggerEvent::Device(class, hardware) => guid("device", class, hardware),
            TriggerEvent::Event(provider, data) => guid("event", provider, data),
        })
    }
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Trigger, String> {
        let (action, on) = match text.split_once(':') {
            Some(("start", on)) => (Some(false), on),
            Some(("stop", on)) => (Some(true), on),
            _ => (None, text),
        };
        let on: TriggerEvent = on.parse()?;
        let stops = action.unwrap_or_else(|| on.ends());
        if stops && matches!(on, TriggerEvent::Pipe(_) | TriggerEvent::Rpc(_)) {
            return Err(format!("`{text}`: a pipe or an interface that somebody asks for can only start"));
        }
        Ok(Trigger { on, stops })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match (self.stops, self.on.ends()) {
            (true, false) => "stop:",
            (false, true) => "start:",
            _ => "",
        };
        write!(f, "{action}{}", self.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for text in [
            "network-up",
            "network-down",
            "start:network-down",
            "stop:domain-join",
            "domain-leave",
            "machine-policy",
            "user-policy",
            "firewall-port:8080/tcp",
            "firewall-port-closed:5001/udp,C:\\x.exe,shop",
            "firewall-port:rpc/tcp",
            "pipe:shop",
            "rpc:{12345678-1234-abcd-ef00-0123456789ab}",
            r"device:{53f56307-b6bf-11d0-94f2-00a0c91efb8b},USBSTOR\GenDisk",
            "stop:event:{53f56307-b6bf-11d0-94f2-00a0c91efb8b}",
            "event:{53f56307-b6bf-11d0-94f2-00a0c91efb8b},level:4,any:0x10,all:0x8000000000000000,hex:00ff,a text",
        ] {
            let trigger: Trigger = text.parse().expect(text);
            assert_eq!(trigger.to_string(), text);
        }
        let stops = |text: &str| text.parse::<Trigger>().expect("a trigger").stops;
        assert!(!stops("network-up") && stops("network-down") && !stops("start:network-down"));
        assert_eq!(r"pipe:\\.\pipe\shop".parse::<Trigger>().expect("a pipe").to_string(), "pipe:shop");
        let bare = "device:53F56307-B6BF-11D0-94F2-00A0C91EFB8B";
        let shown = bare.parse::<Trigger>().expect("a device").to_string();
        assert_eq!(shown, "device:{53f56307-b6bf-11d0-94f2-00a0c91efb8b}");
    }

    #[test]
    fn what_is_no_trigger_is_told() {
        for (text, words) in [
            ("network", "is none of network-up"),
            ("network-up:lan", "takes nothing behind it"),
            ("firewall-port:8080", "PORT/PROTOCOL"),
            ("firewall-port:0/tcp", "PORT/PROTOCOL"),
            ("firewall-port:8080/icmp", "PORT/PROTOCOL"),
            ("pipe:", "names no pipe"),
            ("stop:pipe:x", "can only start"),
            ("device:disk", "is no GUID"),
            ("event:{53f56307b6bf-11d0-94f2-00a0c91efb8b}", "is no GUID"),
            ("event:53f56307-b6bf-11d0-94f2-00a0c91efb8b,level:256", "no level"),
            ("event:53f56307-b6bf-11d0-94f2-00a0c91efb8b,any:x", "no number"),
            ("event:53f56307-b6bf-11d0-94f2-00a0c91efb8b,hex:00f", "no bytes"),
            ("rpc:+3f56307-b6bf-11d0-94f2-00a0c91efb8b", "is no GUID"),
        ] {
            let error = text.parse::<Trigger>().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
