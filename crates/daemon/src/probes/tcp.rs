//! A connection that comes about is a yes.

use mainstay_core::ProbeOutcome;
use tokio::net::TcpStream;

use super::{io_in_words, no, yes};

/// Asks once. The caller limits the time.
pub(super) async fn ask(address: &str) -> ProbeOutcome {
    match TcpStream::connect(address).await {
        Ok(_) => yes("connected"),
        Err(error) => no(io_in_words(&error)),
    }
}
