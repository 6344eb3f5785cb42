use std::io;

pub(super) fn set_event(_name: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "events with names are a thing of Windows"))
}

pub(super) fn control_service(_service: &str, _code: u8) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "controls of services are a thing of Windows"))
}
