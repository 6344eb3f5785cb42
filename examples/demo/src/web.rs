//! A web program: needs a moment to warm up, then answers `/readyz` and hands out jobs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::say;

const WARM_UP: Duration = Duration::from_millis(1500);
const JOBS: [&str; 6] = ["owl.png", "fox.png", "hare.png", "lynx.png", "heron.png", "otter.png"];

/// Serves for ever.
pub fn run(port: &str) -> Result<(), String> {
    let address = format!("127.0.0.1:{port}");
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}; choose another with PORT=…"))?;
    say(&format!("listening on http://{address}, warming up"));
    let begin = Instant::now();
    let mut ready = false;
    let mut job = 0;
    for stream in listener.incoming().flatten() {
        if !ready && begin.elapsed() >= WARM_UP {
            ready = true;
            say("warm: /readyz says 200 from now on");
        }
        // A caller that hangs up half-way is its own trouble.
        let _ = serve(&stream, ready, &mut job);
    }
    Ok(())
}

fn serve(stream: &TcpStream, ready: bool, job: &mut usize) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut head = BufReader::new(stream.take(8 * 1024));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body) = match request.split(' ').nth(1) {
        Some("/readyz") if ready => ("200 OK", "ready"),
        Some("/readyz") => ("503 Service Unavailable", "warming up"),
        Some("/job") => {
            *job += 1;
            say(&format!("handed out job {job}"));
            ("200 OK", JOBS[*job % JOBS.len()])
        }
        _ => ("404 Not Found", "try /readyz or /job"),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}\n",
        body.len() + 1
    )
}
