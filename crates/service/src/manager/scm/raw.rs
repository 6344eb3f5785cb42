//! Making and changing a service, where windows-service does something else than we want: it quotes a path only if there
//! is a space in it, and cannot take dependencies away.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not make as we want them")]

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::ptr;

use windows_service::service::Service;
use windows_sys::Win32::System::Services::{
    ChangeServiceConfigW, CloseServiceHandle, ControlService, CreateServiceW, OpenSCManagerW,
    QueryServiceConfig2W, SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE, SERVICE_QUERY_STATUS,
    SERVICE_STATUS,
};

/// What a service is made of, in the SCM's numbers and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) display_name: String,
    /// `SERVICE_WIN32_…`
    pub(super) kind: u32,
    /// `SERVICE_AUTO_START` …
    pub(super) start: u32,
    /// `SERVICE_ERROR_…`
    pub(super) error_control: u32,
    /// The whole command line.
    pub(super) image: String,
    /// Services, and groups with a `+` before them.
    pub(super) dependencies: Vec<String>,
    pub(super) account: String,
}

struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { CloseServiceHandle(self.0) };
    }
}

fn wide(text: &str) -> Vec<u16> {
    OsStr::new(text).encode_wide().chain([0]).collect()
}

/// Each with a NUL behind it, and one more at the end; none at all are two.
pub(super) fn list(texts: &[String]) -> Vec<u16> {
    let mut units: Vec<u16> = texts.iter().flat_map(|text| wide(text)).collect();
    units.push(0);
    if texts.is_empty() {
        units.push(0);
    }
    units
}

/// The same as Windows takes it: texts that end with a NUL, lists that end with two.
struct Wide {
    name: Vec<u16>,
    display: Vec<u16>,
    image: Vec<u16>,
    account: Vec<u16>,
    dependencies: Vec<u16>,
    password: Option<Vec<u16>>,
}

impl Wide {
    fn new(settings: &Settings, password: Option<&str>) -> Wide {
        Wide {
            name: wide(&settings.name),
            display: wide(&settings.display_name),
            image: wide(&settings.image),
            account: wide(&settings.account),
            dependencies: list(&settings.dependencies),
            password: password.map(wide),
        }
    }

    fn password(&self) -> *const u16 {
        self.password.as_ref().map_or(ptr::null(), Vec::as_ptr)
    }
}

/// Makes a service.
pub(super) fn create(settings: &Settings, password: Option<&str>) -> io::Result<()> {
    // SAFETY: no name means this machine and its active database.
    let manager =
        unsafe { OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE) };
    if manager.is_null() {
        return Err(io::Error::last_os_error());
    }
    let manager = Handle(manager);
    let wide = Wide::new(settings, password);
    // SAFETY: all texts end with a NUL, the list with two, and outlive the call.
    let service = unsafe {
        CreateServiceW(
            manager.0,
            wide.name.as_ptr(),
            wide.display.as_ptr(),
            SERVICE_QUERY_STATUS,
            settings.kind,
            settings.start,
            settings.error_control,
            wide.image.as_ptr(),
            ptr::null(),
            ptr::null_mut(),
            wide.dependencies.as_ptr(),
            wide.account.as_ptr(),
            wide.password(),
        )
    };
    if service.is_null() {
        return Err(io::Error::last_os_error());
    }
    drop(Handle(service));
    Ok(())
}

/// Changes a service into this one.
pub(super) fn change(service: &Service, settings: &Settings, password: Option<&str>) -> io::Result<()> {
    let wide = Wide::new(settings, password);
    // SAFETY: the handle is open while `service` is; all texts end with a NUL, the list with two, and outlive the call.
    let done = unsafe {
        ChangeServiceConfigW(
            service.raw_handle(),
            settings.kind,
            settings.start,
            settings.error_control,
            wide.image.as_ptr(),
            ptr::null(),
            ptr::null_mut(),
            wide.dependencies.as_ptr(),
            wide.account.as_ptr(),
            wide.password(),
            wide.display.as_ptr(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What `QueryServiceConfig2W` says at this level: a structure, and behind it what it points at. Made of usize for the
/// alignment.
pub(super) fn query_config(service: &Service, level: u32) -> io::Result<Vec<usize>> {
    // So much a query fills at the most.
    let mut buffer = vec![0_usize; 1024];
    let mut needed = 0;
    // SAFETY: the handle is open while `service` is; the place is as long as said, and aligned for the structure.
    let done = unsafe {
        QueryServiceConfig2W(
            service.raw_handle(),
            level,
            buffer.as_mut_ptr().cast(),
            u32::try_from(size_of_val(buffer.as_slice())).unwrap_or(0),
            &mut needed,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(buffer) }
}

/// # Safety
/// It is a text that ends with a NUL.
pub(super) unsafe fn text_at(at: *const u16) -> String {
    // SAFETY: what the caller promises.
    unsafe {
        let length = (0..).take_while(|unit| *at.add(*unit) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(at, length))
    }
}

/// Passes a control on.
pub(super) fn control(service: &Service, code: u32) -> io::Result<()> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open while `service` is, and the status outlives the call.
    let done = unsafe { ControlService(service.raw_handle(), code, &mut status) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_with_two_nuls() {
        let text = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            String::from_utf16(&list(&texts)).expect("text")
        };
        assert_eq!(text(&["Tcpip", "+net"]), "Tcpip\0+net\0\0");
        assert_eq!(text(&[]), "\0\0");
    }
}
