//! The SCM, or a console.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use windows_service::service::{
    PowerEventParam, ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus,
    ServiceType, SessionChangeReason,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};

use super::{Channel, exit_code};
use crate::event::{Event, Power, Reason, Session};
use crate::log::{self, Level};
use crate::service::{Answer, Host, Main, Service, Shared, Taken};
use crate::status::{Accepts, Report, State};

mod console;

/// What the dispatcher's thread finds: functions that Windows calls take nothing of ours along.
struct Job {
    service: Service,
    main: Main,
}

static JOB: Mutex<Option<Job>> = Mutex::new(None);

/// Where the control handler finds the service. The handler itself is a plain function, of no size: windows-service
/// frees a handler when a stop returns, and a control that comes after it (a shutdown after a stop) would run in freed
/// memory if there were any.
static SHARED: OnceLock<Arc<Shared>> = OnceLock::new();

/// What `main` ended with.
static CODE: OnceLock<u32> = OnceLock::new();

/// The program was not started by the SCM.
const NOT_A_SERVICE: i32 = 1063;
/// `ERROR_SERVICE_CANNOT_ACCEPT_CTRL`
const CANNOT_ACCEPT: u32 = 1061;
/// `ERROR_BUSY`
const BUSY: u32 = 170;

define_windows_service!(service_main_of_windows, service_main);

pub(super) fn run(service: Service, main: Main) -> ExitCode {
    let name = service.name().to_owned();
    *JOB.lock().unwrap_or_else(PoisonError::into_inner) = Some(Job { service, main });
    match service_dispatcher::start(&name, service_main_of_windows) {
        // The SCM was told the code, too.
        Ok(()) => exit_code(CODE.get().copied().unwrap_or(1)),
        Err(windows_service::Error::Winapi(error)) if error.raw_os_error() == Some(NOT_A_SERVICE) => {
            let Some(Job { service, main }) = take_job() else { return ExitCode::FAILURE };
            in_console(service, main)
        }
        Err(error) => {
            let text = format!("cannot talk to the service control manager: {error:?}");
            log::write(&name, Host::Scm, Level::Error, &text);
            ExitCode::FAILURE
        }
    }
}

fn take_job() -> Option<Job> {
    JOB.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn in_console(service: Service, main: Main) -> ExitCode {
    let host = if std::env::var_os("MAINSTAY_RUN").is_some() { Host::Mainstay } else { Host::Terminal };
    let shared = service.shared(Channel::new(host, None));
    if service.signals() == Taken::All {
        let asked = Arc::clone(&shared);
        // Without it Ctrl+C ends the program as it ends any other.
        let _ = console::on_ctrl(move || {
            asked.ask(Event::Stop(Reason::Asked));
        });
    }
    let arguments = std::env::args_os().skip(1).collect();
    exit_code(service.conduct(&shared, arguments, main, drop))
}

/// On the thread that the dispatcher has made.
fn service_main(arguments: Vec<OsString>) {
    let Some(Job { service, main }) = take_job() else { return };
    let handle = match service_control_handler::register(service.name(), on_control) {
        Ok(handle) => handle,
        Err(error) => {
            let text = format!("cannot take controls: {error:?}");
            return log::write(service.name(), Host::Scm, Level::Error, &text);
        }
    };
    let shared = service.shared(Channel::new(Host::Scm, Some(Manager { handle })));
    // Set once: there is one service in the process.
    let shared = SHARED.get_or_init(|| shared);
    // The first is the service's name.
    let arguments = arguments.into_iter().skip(1).collect();
    // Told before the SCM is: once it knows, the dispatcher returns and the process may end.
    service.conduct(shared, arguments, main, |code| {
        let _ = CODE.set(code);
    });
}

/// What a control asks the program for.
fn meant(control: ServiceControl) -> Option<Event> {
    Some(match control {
        ServiceControl::Stop => Event::Stop(Reason::Asked),
        ServiceControl::Shutdown | ServiceControl::Preshutdown => Event::Stop(Reason::Shutdown),
        ServiceControl::Pause => Event::Pause,
        ServiceControl::Continue => Event::Continue,
        ServiceControl::ParamChange => Event::Reload,
        ServiceControl::PowerEvent(power) => Event::Power(power_of(&power)?),
        ServiceControl::SessionChange(changed) => {
            Event::Session { id: changed.notification.session_id, change: session_of(changed.reason)? }
        }
        ServiceControl::UserEvent(code) => Event::Custom(u8::try_from(code.to_raw()).unwrap_or(0)),
        _ => return None,
    })
}

/// Others of them say nothing that these do not: after each sleep Windows tells `ResumeAutomatic`, and `ResumeSuspend`
/// besides if somebody is there.
fn power_of(power: &PowerEventParam) -> Option<Power> {
    match power {
        PowerEventParam::Suspend => Some(Power::Suspend),
        PowerEventParam::ResumeAutomatic => Some(Power::Resume),
        PowerEventParam::PowerStatusChange => Some(Power::Source),
        _ => None,
    }
}

fn session_of(reason: SessionChangeReason) -> Option<Session> {
    match reason {
        SessionChangeReason::SessionLogon => Some(Session::Logon),
        SessionChangeReason::SessionLogoff => Some(Session::Logoff),
        SessionChangeReason::SessionLock => Some(Session::Lock),
        SessionChangeReason::SessionUnlock => Some(Session::Unlock),
        SessionChangeReason::ConsoleConnect | SessionChangeReason::RemoteConnect => Some(Session::Connect),
        SessionChangeReason::ConsoleDisconnect | SessionChangeReason::RemoteDisconnect => {
            Some(Session::Disconnect)
        }
        _ => None,
    }
}

/// Called on the dispatcher's thread, one control after the other. It only leaves a note: whatever the service does, the SCM
/// has its answer at once.
fn on_control(control: ServiceControl) -> ServiceControlHandlerResult {
    let Some(shared) = SHARED.get() else {
        // Between the registration and the first report. To interrogate is always allowed.
        return match control {
            ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
            _ => ServiceControlHandlerResult::Other(CANNOT_ACCEPT),
        };
    };
    if matches!(control, ServiceControl::Interrogate) {
        shared.tell();
        return ServiceControlHandlerResult::NoError;
    }
    // What is only told is not refused: for a sleep that would be a veto, to those that ask.
    let only_told = matches!(control, ServiceControl::PowerEvent(_) | ServiceControl::SessionChange(_));
    let Some(event) = meant(control) else {
        return match only_told {
            true => ServiceControlHandlerResult::NoError,
            false => ServiceControlHandlerResult::NotImplemented,
        };
    };
    match shared.ask(event) {
        Answer::Taken => ServiceControlHandlerResult::NoError,
        _ if only_told => ServiceControlHandlerResult::NoError,
        Answer::Unknown => ServiceControlHandlerResult::NotImplemented,
        Answer::NotNow => ServiceControlHandlerResult::Other(CANNOT_ACCEPT),
        Answer::Full => ServiceControlHandlerResult::Other(BUSY),
    }
}

pub(crate) struct Manager {
    handle: ServiceStatusHandle,
}

impl Manager {
    pub(super) fn report(&self, report: &Report, accepts: Accepts) {
        // A refused report cannot be told anywhere either; the next one comes.
        let _ = self.handle.set_service_status(status(report, accepts));
    }

    #[expect(clippy::unused_self, reason = "systemd's takes it")]
    pub(super) fn status(&self, _text: &str) {}

    #[expect(clippy::unused_self, reason = "systemd's takes it")]
    pub(super) fn alive(&self) {}
}

/// As the SCM takes it.
fn status(report: &Report, accepts: Accepts) -> ServiceStatus {
    let current_state = match report.state {
        State::Starting => ServiceState::StartPending,
        State::Running | State::Reloading => ServiceState::Running,
        State::Pausing => ServiceState::PausePending,
        State::Paused => ServiceState::Paused,
        State::Continuing => ServiceState::ContinuePending,
        State::Stopping => ServiceState::StopPending,
        State::Stopped => ServiceState::Stopped,
    };
    let mut controls_accepted = ServiceControlAccept::empty();
    if report.controls {
        // Not SHUTDOWN beside it: one of them is enough, and it is the one that comes in time.
        controls_accepted |= ServiceControlAccept::STOP;
        if accepts.shutdown {
            controls_accepted |= ServiceControlAccept::PRESHUTDOWN;
        }
        if accepts.pause && report.state != State::Starting {
            controls_accepted |= ServiceControlAccept::PAUSE_CONTINUE;
        }
        if accepts.reload {
            controls_accepted |= ServiceControlAccept::PARAM_CHANGE;
        }
        if accepts.power {
            controls_accepted |= ServiceControlAccept::POWER_EVENT;
        }
        if accepts.sessions {
            controls_accepted |= ServiceControlAccept::SESSION_CHANGE;
        }
    }
    let exit_code = match report.code {
        0 => ServiceExitCode::NO_ERROR,
        code => ServiceExitCode::ServiceSpecific(code),
    };
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state,
        controls_accepted,
        exit_code,
        checkpoint: report.checkpoint,
        wait_hint: report.hint,
        process_id: None,
    }
}

#[cfg(test)]
mod tests {
    use windows_service::service::{SessionChangeParam, SessionNotification};

    use super::*;
    use crate::status::Board;

    #[test]
    fn the_handler_has_nothing_that_could_be_freed() {
        assert_eq!(size_of_val(&on_control), 0);
    }

    #[test]
    fn a_machine_that_goes_down_is_told_from_a_stop_that_somebody_asked_for() {
        let down = Some(Event::Stop(Reason::Shutdown));
        assert_eq!((meant(ServiceControl::Preshutdown), meant(ServiceControl::Shutdown)), (down, down));
        assert_eq!(meant(ServiceControl::Stop), Some(Event::Stop(Reason::Asked)));
        assert_eq!(meant(ServiceControl::NetBindAdd), None);
    }

    /// There is one service in a process, so one test has it: one whose `main` is busy for ever and takes nothing from its
    /// queue, as the keeper's is while it hangs.
    #[test]
    fn the_handler_waits_for_nobody() {
        let before = on_control(ServiceControl::Interrogate);
        assert!(matches!(before, ServiceControlHandlerResult::NoError), "even before there is a service");
        let service = Service::new("x").pausable().reloadable().custom_controls();
        let shared = SHARED.get_or_init(|| service.shared(Channel::new(Host::Scm, None)));
        let running = crate::Running::new(shared);
        running.ready();
        let code = |control| match on_control(control) {
            ServiceControlHandlerResult::NoError => 0,
            ServiceControlHandlerResult::NotImplemented => 120,
            ServiceControlHandlerResult::Other(code) => code,
        };
        let custom = || {
            ServiceControl::UserEvent(windows_service::service::UserEventCode::from_raw(200).expect("a code"))
        };
        let answers: Vec<u32> = (0..10_000).map(|_| code(custom())).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == 0).count(), crate::event::MOST);
        assert_eq!(answers.last(), Some(&BUSY), "whoever asks for more is told so, at once");
        assert_eq!(code(ServiceControl::Interrogate), 0);
        assert_eq!(code(ServiceControl::NetBindAdd), 120);

        // The machine goes down: taken though the queue is full, seen at once, and nothing else is taken any more.
        assert_eq!(code(ServiceControl::Preshutdown), 0);
        assert_eq!(running.state(), State::Stopping);
        assert!(running.is_stopping());
        assert_eq!(running.next(std::time::Duration::ZERO), Some(Event::Stop(Reason::Shutdown)));
        for control in [ServiceControl::Pause, ServiceControl::ParamChange, custom()] {
            assert_eq!(code(control), CANNOT_ACCEPT);
        }
        assert_eq!(code(ServiceControl::Stop), 0, "a stop is what happens");
        assert_eq!(
            running.next(std::time::Duration::ZERO),
            Some(Event::Stop(Reason::Shutdown)),
            "for the first reason"
        );
    }

    /// The numbers are those of winuser.h: Wine sends none of these.
    #[expect(unsafe_code, reason = "windows-service reads them from what a handler is called with")]
    #[test]
    fn power_and_sessions_are_told_as_windows_numbers_them() {
        let power = |number| {
            // SAFETY: of these events none comes with data.
            let told = unsafe { PowerEventParam::from_event(number, std::ptr::null_mut()) };
            meant(ServiceControl::PowerEvent(told.expect("known")))
        };
        assert_eq!(power(0x4), Some(Event::Power(Power::Suspend)), "PBT_APMSUSPEND");
        assert_eq!(power(0x12), Some(Event::Power(Power::Resume)), "PBT_APMRESUMEAUTOMATIC");
        assert_eq!(power(0x7), None, "PBT_APMRESUMESUSPEND comes after that");
        assert_eq!(power(0xA), Some(Event::Power(Power::Source)), "PBT_APMPOWERSTATUSCHANGE");
        let session = |number| {
            let reason = SessionChangeReason::from_raw(number).expect("known");
            let notification = SessionNotification { size: 8, session_id: 3 };
            meant(ServiceControl::SessionChange(SessionChangeParam { reason, notification }))
        };
        let told = [
            (1, Session::Connect),
            (2, Session::Disconnect),
            (3, Session::Connect),
            (4, Session::Disconnect),
            (5, Session::Logon),
            (6, Session::Logoff),
            (7, Session::Lock),
            (8, Session::Unlock),
        ];
        for (number, change) in told {
            assert_eq!(session(number), Some(Event::Session { id: 3, change }), "{number}");
        }
        assert_eq!(session(9), None, "WTS_SESSION_REMOTE_CONTROL");
    }

    #[test]
    fn states_as_the_scm_wants_them() {
        let all =
            Accepts { pause: true, reload: true, custom: true, power: true, sessions: true, shutdown: true };
        let mut board = Board::new();
        let told = |board: &Board| status(&board.report(), all);
        let start = told(&board);
        assert_eq!((start.current_state, start.checkpoint), (ServiceState::StartPending, 1));
        assert!(start.controls_accepted.contains(ServiceControlAccept::STOP));
        assert!(!start.controls_accepted.contains(ServiceControlAccept::PAUSE_CONTINUE));
        board.go(State::Running);
        let running = told(&board);
        assert_eq!((running.checkpoint, running.wait_hint.as_millis()), (0, 0));
        assert!(running.controls_accepted.contains(ServiceControlAccept::PAUSE_CONTINUE));
        assert!(running.controls_accepted.contains(ServiceControlAccept::PRESHUTDOWN));
        assert!(running.controls_accepted.contains(ServiceControlAccept::PARAM_CHANGE));
        assert!(!running.controls_accepted.contains(ServiceControlAccept::SHUTDOWN));
        assert!(running.controls_accepted.contains(ServiceControlAccept::POWER_EVENT));
        assert!(running.controls_accepted.contains(ServiceControlAccept::SESSION_CHANGE));
        let deaf = status(&board.report(), Accepts { shutdown: false, ..Accepts::default() });
        assert_eq!(deaf.controls_accepted, ServiceControlAccept::STOP);
        board.go(State::Stopping);
        assert_eq!(told(&board).controls_accepted, ServiceControlAccept::empty());
        board.end(4);
        assert_eq!(told(&board).exit_code, ServiceExitCode::ServiceSpecific(4));
    }
}
