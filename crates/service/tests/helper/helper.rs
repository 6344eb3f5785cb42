//! The worker of the examples, as a program that tests can find.

#[path = "../../examples/worker.rs"]
mod worker;

fn main() -> std::process::ExitCode {
    worker::main()
}
