//! systemd's notification protocol (sd_notify(3)): datagrams to the socket in `NOTIFY_SOCKET`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::status::{Accepts, Report, State};

/// The socket of whoever wants to be notified.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: OsString,
    watchdog: Option<Duration>,
}

/// The longest line for people, in bytes.
const MOST_STATUS: usize = 1024;

impl Notifier {
    /// The one that this process was given; none if it was given none. `WATCHDOG_PID` of another process means
    /// that its watchdog is not ours.
    pub fn from_environment() -> Option<Notifier> {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0).map(Duration::from_micros);
        Notifier::to(address, watchdog).ok()
    }

    /// To this address: a path, or `@name` for an abstract one. `watchdog` is how often at least it wants to hear of
    /// us.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn to(address: impl Into<OsString>, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(Notifier { socket, address: address.into(), watchdog })
    }

    /// How often at least it wants to hear that the service lives.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends one message: lines of `NAME=value`.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn send(&self, message: &str) -> io::Result<()> {
        self.send_to(message.as_bytes(), &self.address)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn send_to(&self, message: &[u8], address: &OsStr) -> io::Result<()> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let Some(name) = address.as_bytes().strip_prefix(b"@") {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return self.socket.send_to_addr(message, &address).map(drop);
        }
        self.socket.send_to(message, address).map(drop)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn send_to(&self, message: &[u8], address: &OsStr) -> io::Result<()> {
        self.socket.send_to(message, address).map(drop)
    }

    pub(crate) fn report(&self, report: &Report, _accepts: Accepts) {
        if let Some(message) = message(report) {
            // A manager that is gone is no reason to stop.
            let _ = self.send(&message);
        }
    }

    pub(crate) fn status(&self, text: &str) {
        let _ = self.send(&format!("STATUS={}", one_line(text)));
    }

    pub(crate) fn alive(&self) {
        if self.watchdog.is_some() {
            let _ = self.send("WATCHDOG=1");
        }
    }
}

/// One line, and no second assignment.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > MOST_STATUS {
        line.truncate((0..=MOST_STATUS).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0));
    }
    line
}

/// What systemd is told about a state.
fn message(report: &Report) -> Option<String> {
    let again = report.checkpoint > 1;
    let more = format!("EXTEND_TIMEOUT_USEC={}", report.hint.as_micros());
    Some(match report.state {
        State::Starting if again => more,
        State::Stopping if again => more,
        State::Stopping => format!("STOPPING=1\n{more}"),
        State::Running => "READY=1".to_owned(),
        State::Reloading => match monotonic_usec() {
            Some(usec) => format!("RELOADING=1\nMONOTONIC_USEC={usec}"),
            None => "RELOADING=1".to_owned(),
        },
        State::Paused => "STATUS=paused".to_owned(),
        State::Starting | State::Pausing | State::Continuing | State::Stopped => return None,
    })
}

/// The monotonic clock, which `Type=notify-reload` wants to be told.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn monotonic_usec() -> Option<i128> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Some(i128::from(time.tv_sec) * 1_000_000 + i128::from(time.tv_nsec) / 1000)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn monotonic_usec() -> Option<i128> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Board;

    #[test]
    fn states_as_systemd_wants_them() {
        let mut board = Board::new();
        assert_eq!(message(&board.report()), None);
        board.beat();
        assert_eq!(message(&board.report()).as_deref(), Some("EXTEND_TIMEOUT_USEC=11000000"));
        board.go(State::Running);
        assert_eq!(message(&board.report()).as_deref(), Some("READY=1"));
        board.go(State::Reloading);
        let text = message(&board.report()).expect("it is told");
        assert!(text.starts_with("RELOADING=1"), "{text}");
        board.go(State::Stopping);
        assert_eq!(message(&board.report()).as_deref(), Some("STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000"));
        board.end(3);
        assert_eq!(message(&board.report()), None);
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nREADY=1"), "a READY=1");
        assert!(one_line(&"ä".repeat(MOST_STATUS)).len() <= MOST_STATUS);
    }
}
