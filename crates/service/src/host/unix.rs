//! systemd, Mainstay, or a terminal: signals ask, a socket is told.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::{Channel, exit_code};
use crate::event::{Event, Reason};
use crate::notify::Notifier;
use crate::service::{Answer, Host, Main, Service, Shared};

pub(crate) type Manager = Notifier;

pub(super) fn run(service: Service, main: Main) -> ExitCode {
    let notifier = Notifier::from_environment();
    let host = if std::env::var_os("MAINSTAY_RUN").is_some() {
        Host::Mainstay
    } else if notifier.is_some() {
        Host::Systemd
    } else {
        Host::Terminal
    };
    let shared = service.shared(Channel::new(host, notifier));
    if service.signals()
        && let Err(error) = take_signals(&shared)
    {
        let _ = writeln!(io::stderr(), "{}: cannot take signals: {error}", service.name());
        return ExitCode::FAILURE;
    }
    let arguments = std::env::args_os().skip(1).collect();
    exit_code(service.conduct(&shared, arguments, main, drop))
}

fn take_signals(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
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
