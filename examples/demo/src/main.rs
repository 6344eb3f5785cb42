//! `mainstay-demo web|worker|flaky`: three small programs to see Mainstay at work. Nothing here knows of Mainstay.
#![forbid(unsafe_code)]

mod flaky;
mod web;
mod worker;

use std::io::Write;
use std::process::ExitCode;

/// Where web listens and worker asks, unless `PORT` says otherwise.
const PORT: &str = "8470";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("web") => web::run(&port()),
        Some("worker") => worker::run(&port()),
        Some("flaky") => return flaky::run(),
        _ => Err("usage: mainstay-demo web|worker|flaky".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn port() -> String {
    std::env::var("PORT").unwrap_or_else(|_| PORT.to_owned())
}

/// A line of output; a reader that is gone is no reason to end.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A number that differs from call to call, below `limit`: enough chance for a demonstration.
fn some_number(limit: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Splitmix64's last steps, so that close times give far numbers.
    let mut x = now.subsec_nanos() as u64 ^ now.as_secs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) % limit
}
