//! A terminal needs no preparation here.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

pub(super) fn enable_colour() -> bool {
    true
}

/// What is typed is not shown while this lives.
pub(super) struct Hidden(Termios);

pub(super) fn hide_input() -> io::Result<Hidden> {
    let before = tcgetattr(io::stdin())?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    Ok(Hidden(before))
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

pub(super) fn decode(_bytes: &[u8]) -> Option<String> {
    None
}

pub(super) fn send_ctrl_c(_pids: &[u32], _brk: bool) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Ctrl+C is a signal here: send SIGINT"))
}

pub(super) fn send_as_told(_word: &str, pids: &[u32]) -> Option<io::Result<()>> {
    Some(send_ctrl_c(pids, true))
}
