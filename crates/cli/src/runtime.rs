//! The async runtime: one thread, made only by the commands that talk to a daemon.

use crate::failure::Failure;

/// Runs `future` to its end.
///
/// # Errors
/// The system refuses a runtime.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start: {e}")))?
        .block_on(future)
}
