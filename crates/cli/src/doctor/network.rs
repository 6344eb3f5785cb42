//! Who listens on this machine, and which names can be resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mainstay_core::doctor::{Contact, Listener};

/// A name that is not resolved by then counts as lost.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// Programs that listen where the contacts ask this machine.
pub(super) fn listeners(asked: &[Contact]) -> Vec<Listener> {
    let known = listeners::get_all().unwrap_or_default();
    let mut found: Vec<Listener> = known
        .into_iter()
        .filter(|it| it.protocol == listeners::Protocol::TCP && it.state == listeners::SocketState::Listen)
        .map(|listener| Listener {
            ip: listener.socket.ip(),
            port: listener.socket.port(),
            holder: Some((listener.process.pid, listener.process.name)),
        })
        .collect();
    let ports: BTreeSet<u16> = asked.iter().filter(|it| it.is_local()).map(|it| it.port).collect();
    let unknown = ports.into_iter().filter(|port| !found.iter().any(|listener| listener.port == *port));
    let others: Vec<Listener> = unknown.filter_map(of_another_account).collect();
    found.extend(others);
    found
}

/// Whose sockets are not shown to us holds its port all the same.
fn of_another_account(port: u16) -> Option<Listener> {
    let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let taken =
        |ip: &IpAddr| TcpListener::bind((*ip, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    local.into_iter().find(taken).map(|ip| Listener { ip, port, holder: None })
}

/// Names of hosts that lead nowhere, with the reason. All are asked at once.
pub(super) fn unresolved(asked: &[Contact]) -> BTreeMap<String, String> {
    let names: BTreeSet<&str> = asked.iter().filter(|it| it.is_name()).map(|it| it.host.as_str()).collect();
    let (sender, answers) = mpsc::channel();
    for name in &names {
        let (name, sender) = ((*name).to_owned(), sender.clone());
        // One that never comes back ends with the program.
        std::thread::spawn(move || {
            let answer = (name.as_str(), 0).to_socket_addrs().map(|mut all| all.next().is_some());
            drop(sender.send((name, answer)));
        });
    }
    let mut open: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    let mut lost = BTreeMap::new();
    let end = Instant::now() + RESOLVE_WITHIN;
    while !open.is_empty() {
        let Ok((name, answer)) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) else {
            break;
        };
        open.remove(&name);
        match answer {
            Ok(true) => {}
            Ok(false) => drop(lost.insert(name, "it has no address".to_owned())),
            Err(error) => drop(lost.insert(name, error.to_string())),
        }
    }
    let late = format!("no answer within {} s", RESOLVE_WITHIN.as_secs());
    lost.extend(open.into_iter().map(|name| (name, late.clone())));
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::ProbeKind;

    #[test]
    fn whoever_listens_is_found_and_named() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let asked = [Contact { host: "localhost".into(), port, probe: ProbeKind::Ready }];
        let found = listeners(&asked);
        let own = found.iter().find(|listener| listener.port == port).expect("it is found");
        assert_eq!(own.holder.as_ref().map(|(pid, _)| *pid), Some(std::process::id()), "{own:?}");
        assert_eq!(of_another_account(port).map(|it| it.holder), Some(None), "the port is held all the same");
        drop(socket);
    }

    #[test]
    fn names_that_lead_nowhere_are_told_and_addresses_are_not_asked() {
        let at = |host: &str| Contact { host: host.into(), port: 80, probe: ProbeKind::Ready };
        let lost = unresolved(&[at("no-such-host.invalid"), at("127.0.0.1"), at("localhost")]);
        assert_eq!(lost.into_keys().collect::<Vec<_>>(), ["no-such-host.invalid"]);
    }
}
