//! Whom a service's probes talk to.

use std::net::IpAddr;

use crate::{Check, ProbeKind, ServicePlan};

/// An address that is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Which probe asks it.
    pub probe: ProbeKind,
}

impl Contact {
    /// Whether it is this machine.
    pub fn is_local(&self) -> bool {
        let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(is_here)
    }

    /// Whether it has to be resolved first.
    pub fn is_name(&self) -> bool {
        !self.is_local() && self.host.parse::<IpAddr>().is_err()
    }

    /// Whether a program that listens on `ip` and `port` gets what is sent here.
    pub(super) fn reaches(&self, ip: IpAddr, port: u16) -> bool {
        let host: Option<IpAddr> = self.host.parse().ok();
        port == self.port && self.is_local() && (ip.is_unspecified() || host.is_none_or(|host| host == ip))
    }
}

/// All that the service's probes ask over the network.
pub fn contacts(plan: &ServicePlan) -> Vec<Contact> {
    [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live]
        .into_iter()
        .filter_map(|probe| {
            let (host, port) = match &plan.probe(probe)?.check {
                Check::Http(http) if http.socket.is_none() => of_url(&http.url)?,
                Check::Grpc(grpc) => split(&grpc.address, None)?,
                Check::Tcp(address) => split(address, None)?,
                _ => return None,
            };
            Some(Contact { host, port, probe })
        })
        .collect()
}

fn of_url(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    split(host, Some(if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 }))
}

/// `host:port`, `[address]:port`, or without a port where there is a usual one.
fn split(text: &str, usual: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => usual?,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_probes_read_them() {
        let of = |url| of_url(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(of("http://localhost:8080/ok?x=http://y:1"), Some("localhost 8080".into()));
        assert_eq!(of("https://me:pw@shop.example/"), Some("shop.example 443".into()));
        assert_eq!(of("http://[::1]:9/"), Some("::1 9".into()));
        assert_eq!(of("http://[::1]"), Some("::1 80".into()));
        assert_eq!(of("nothing"), None);
        assert_eq!(split("db:5432", None), Some(("db".into(), 5432)));
        assert_eq!(split("db", None), None);
    }

    #[test]
    fn a_listener_is_reached_where_its_address_allows_it() {
        let at = |host: &str| Contact { host: host.into(), port: 80, probe: ProbeKind::Ready };
        let ip = |text: &str| text.parse().expect("an address");
        assert!(at("localhost").reaches(ip("127.0.0.1"), 80));
        assert!(at("127.0.0.1").reaches(ip("0.0.0.0"), 80));
        assert!(at("::1").reaches(ip("::"), 80));
        assert!(!at("127.0.0.1").reaches(ip("127.0.0.2"), 80));
        assert!(!at("127.0.0.1").reaches(ip("127.0.0.1"), 81));
        assert!(!at("shop.example").reaches(ip("0.0.0.0"), 80), "another machine");
    }
}
