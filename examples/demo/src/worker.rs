//! A worker that needs the web program: fetches a job, works on it, fetches the next.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::{say, some_number};

/// Works until the web program is gone.
pub fn run(port: &str) -> Result<(), String> {
    say("the web program is ready, so I can start");
    loop {
        let job = fetch(port).map_err(|error| format!("no job from 127.0.0.1:{port}: {error}"))?;
        let took = 200 + some_number(600);
        thread::sleep(Duration::from_millis(took));
        say(&format!("resized {job} in {took} ms"));
        thread::sleep(Duration::from_millis(1500));
    }
}

fn fetch(port: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(8 * 1024).read_to_string(&mut answer)?;
    Ok(answer.lines().last().unwrap_or("nothing").to_owned())
}
