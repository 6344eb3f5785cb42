use std::io;

use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ControlService, OpenSCManagerW, OpenServiceW, SC_HANDLE, SC_MANAGER_CONNECT,
    SERVICE_STATUS, SERVICE_USER_DEFINED_CONTROL,
};
use windows_sys::Win32::System::Threading::{EVENT_MODIFY_STATE, OpenEventW, SetEvent};

use crate::win::{check, explain, owned, raw, wide};

pub(super) fn set_event(name: &str) -> io::Result<()> {
    let told = |error: io::Error| explain(format_args!("cannot set the event {name}"), &error);
    let text = wide(name)?;
    // SAFETY: the name ends with a NUL and outlives the call.
    let event = owned(unsafe { OpenEventW(EVENT_MODIFY_STATE, 0, text.as_ptr()) }).map_err(told)?;
    // SAFETY: the event is open with the right to set it.
    check(unsafe { SetEvent(raw(&event)) }).map_err(told)
}

pub(super) fn control_service(service: &str, code: u8) -> io::Result<()> {
    let told =
        |error: io::Error| explain(format_args!("cannot send {code} to the service {service}"), &error);
    let name = wide(service)?;
    // SAFETY: null means this machine and its usual database.
    let manager =
        Handle::new(unsafe { OpenSCManagerW(std::ptr::null(), std::ptr::null(), SC_MANAGER_CONNECT) })
            .map_err(told)?;
    // SAFETY: the manager is open; the name ends with a NUL and outlives the call.
    let service =
        Handle::new(unsafe { OpenServiceW(manager.0, name.as_ptr(), SERVICE_USER_DEFINED_CONTROL) })
            .map_err(told)?;
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the service is open with the right to be sent such codes, and `status` outlives the call.
    check(unsafe { ControlService(service.0, u32::from(code), &mut status) }).map_err(told)
}

/// An open handle of the service manager's.
struct Handle(SC_HANDLE);

impl Handle {
    fn new(handle: SC_HANDLE) -> io::Result<Handle> {
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Handle(handle)) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody uses it after this.
        unsafe { CloseServiceHandle(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
    use windows_sys::Win32::System::Threading::{CreateEventW, WaitForSingleObject};

    #[test]
    fn an_event_that_somebody_has_made_is_set_and_another_one_is_named() {
        let name = format!("mainstay-test-{}", std::process::id());
        assert!(set_event(&name).expect_err("nobody has made it").to_string().contains(&name));
        let text = wide(&name).expect("a name");
        // SAFETY: the name ends with a NUL and outlives the call.
        let event = owned(unsafe { CreateEventW(std::ptr::null(), 1, 0, text.as_ptr()) }).expect("made");
        set_event(&name).expect("set");
        // SAFETY: the event is open.
        assert_eq!(unsafe { WaitForSingleObject(raw(&event), 0) }, WAIT_OBJECT_0);
    }

    #[test]
    fn a_service_that_is_not_there_is_named() {
        let error = control_service("mainstay-no-such-service", 200).expect_err("there is none");
        assert!(error.to_string().contains("mainstay-no-such-service"), "{error}");
    }
}
