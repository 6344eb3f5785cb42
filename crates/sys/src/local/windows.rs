//! Named pipes.

use std::io;
use std::time::Duration;

use tokio::net::windows::named_pipe::ClientOptions;
use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;

use super::Duplex;

/// How soon a busy pipe is tried again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn connect(name: &str) -> io::Result<Box<dyn Duplex>> {
    loop {
        // By default a server may only find out who we are, not act as us.
        match ClientOptions::new().open(name) {
            Ok(client) => return Ok(Box::new(client)),
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
