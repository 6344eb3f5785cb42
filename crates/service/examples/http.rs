//! An HTTP server of the standard library alone: `http install`, `http start`, `curl http://127.0.0.1:8080/`.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use mainstay_service::{Definition, Failure, Handler, Level, Running, Service, command_line};

#[derive(Default)]
struct Server {
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Handler for Server {
    fn start(&mut self, running: &Running) -> Result<(), Failure> {
        let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
        let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
        // So that the stop is seen between two requests.
        listener.set_nonblocking(true)?;
        running.status(&format!("serves {}", listener.local_addr()?));
        let stop = running.stop_token();
        self.thread = Some(std::thread::spawn(move || {
            while !stop.wait_timeout(Duration::from_millis(20)) {
                while let Ok((stream, _)) = listener.accept() {
                    let _ = answer(stream);
                }
            }
        }));
        Ok(())
    }

    fn stop(&mut self, running: &Running) -> Result<(), Failure> {
        running.log(Level::Info, "the last answers are given");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        Ok(())
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let body = "hello\n";
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn main() -> ExitCode {
    if let Some(done) = command_line::run("http", || Definition::of_this_program("http")) {
        return done;
    }
    Service::new("http").run_handler(Server::default())
}
