//! Unix sockets.

use std::io;

use tokio::net::UnixStream;

use super::Duplex;

pub(super) async fn connect(path: &str) -> io::Result<Box<dyn Duplex>> {
    Ok(Box::new(UnixStream::connect(path).await?))
}
