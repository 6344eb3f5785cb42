//! Mainstay's chores, run as `cargo xtask <chore>`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod bench;
mod demo;
mod fuzz;
mod lint;
mod machine;
mod packages;
mod run;
mod schema;
mod second_try;
mod side_by_side;
mod test;
mod wine;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <chore>

  demo              build Mainstay and keep the example stack up; Ctrl+C stops it
  test              every check and test: lint, Linux, Windows under Wine, the Go example
  test linux        only the tests of this platform
  test wine8        what runs under Wine 8, too
  lint              rustfmt, clippy for both targets, cargo-deny
  schema            write the generated files (JSON schema, OpenAPI document, state table) anew
  service-api       compare what mainstay-service offers with the lists of it; MAINSTAY_BLESS=1 writes them
  windows [ARGS]    only the Windows tests, under Wine; ARGS go to cargo test
  fuzz [SECONDS]    random configurations, for a minute if nothing is said
  bench [NAMES]     the figures: ratios measured side by side in one run
  bench peers-windows --nssm NSSM.EXE --shawl SHAWL.EXE
                    the same under Wine, beside other wrappers of services
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo", rest @ ..] => demo::run(rest),
        ["test"] => test::all(),
        ["test", "linux"] => test::linux(),
        ["test", "wine8"] => test::wine_8(),
        ["service-api"] => test::service_api(),
        ["lint"] => lint::run(),
        ["schema"] => schema::run(),
        ["windows", rest @ ..] => test::windows(rest),
        ["fuzz"] => fuzz::run_for("60"),
        ["fuzz", seconds] => fuzz::run_for(seconds),
        ["bench", "peers-windows", rest @ ..] => bench::peers_windows(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["wine-run", exe, rest @ ..] => return wine::runner(exe, rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
