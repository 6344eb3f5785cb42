//! systemd, Mainstay, an init script or a terminal: signals ask, a socket or a file is told.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::{Channel, exit_code};
use crate::event::{Event, Reason};
use crate::notify::Notifier;
use crate::service::{Answer, Host, Main, Service, Shared, Taken};
use crate::status::{Accepts, Report, State};

/// The file that an init script watches; it is written to when the service is ready.
pub(crate) const READY_FILE: &str = "SERVICE_READY_FILE";

/// Whoever is told how the service is.
pub(crate) enum Manager {
    /// systemd, or what speaks its protocol.
    Notifier(Notifier),
    /// An init script, which only wants to know when it is ready.
    File(PathBuf),
}

impl Manager {
    fn from_environment() -> Option<Manager> {
        let file = || std::env::var_os(READY_FILE).filter(|path| !path.is_empty());
        let notifier = Notifier::from_environment().map(Manager::Notifier);
        notifier.or_else(|| file().map(|path| Manager::File(path.into())))
    }

    pub(crate) fn report(&self, report: &Report, accepts: Accepts) {
        match self {
            Manager::Notifier(notifier) => notifier.report(report, accepts),
            Manager::File(path) if report.state == State::Running => {
                // Who waits for it has an end of its patience.
                let _ = std::fs::write(path, "ready\n");
            }
            Manager::File(_) => {}
        }
    }

    pub(crate) fn status(&self, text: &str) {
        if let Manager::Notifier(notifier) = self {
            notifier.status(text);
        }
    }

    pub(crate) fn alive(&self) {
        if let Manager::Notifier(notifier) = self {
            notifier.alive();
        }
    }
}

pub(super) fn run(service: Service, main: Main) -> ExitCode {
    let manager = Manager::from_environment();
    let host = if std::env::var_os("MAINSTAY_RUN").is_some() {
        Host::Mainstay
    } else if matches!(manager, Some(Manager::Notifier(_))) {
        Host::Systemd
    } else {
        Host::Terminal
    };
    let shared = service.shared(Channel::new(host, manager));
    let signals: &[i32] = match service.signals() {
        Taken::All => &[SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2],
        Taken::NoEnds => &[SIGHUP, SIGUSR1, SIGUSR2],
        Taken::None => &[],
    };
    if !signals.is_empty()
        && let Err(error) = take_signals(&shared, signals)
    {
        let _ = writeln!(io::stderr(), "{}: cannot take signals: {error}", service.name());
        return ExitCode::FAILURE;
    }
    let arguments = std::env::args_os().skip(1).collect();
    exit_code(service.conduct(&shared, arguments, main, drop))
}

fn take_signals(shared: &Arc<Shared>, signals: &[i32]) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    let shared = Arc::clone(shared);
    let listen = move || {
        let mut interrupted = false;
        for signal in signals.forever() {
            match signal {
                // A second Ctrl+C: whoever sits there has no patience left.
                SIGINT if interrupted => {
                    let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
                }
                SIGTERM | SIGINT => {
                    interrupted |= signal == SIGINT;
                    shared.ask(Event::Stop(Reason::Asked));
                }
                // One that cannot take its configuration anew ends, as it would have without us.
                SIGHUP => {
                    let reloads = shared.ask(Event::Reload) != Answer::Unknown;
                    if !reloads {
                        shared.ask(Event::Stop(Reason::Asked));
                    }
                }
                SIGUSR1 | SIGUSR2 => {
                    shared.ask(Event::Custom(if signal == SIGUSR1 { 128 } else { 129 }));
                }
                _ => {}
            }
        }
    };
    std::thread::Builder::new().name("service-signals".into()).spawn(listen).map(drop)
}
