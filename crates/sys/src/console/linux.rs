//! A terminal needs no preparation here.

use std::io;

pub(super) fn enable_colour() -> bool {
    true
}

pub(super) fn decode(_bytes: &[u8]) -> Option<String> {
    None
}

pub(super) fn send_ctrl_c(_pids: &[u32], _brk: bool) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Ctrl+C is a signal here: send SIGINT"))
}
