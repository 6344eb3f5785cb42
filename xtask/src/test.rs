//! Every check and test.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{Done, cargo, installed, root, run, target};
use crate::{lint, machine, packages, side_by_side, wine};

/// Programs that the end-to-end tests start; built beside `mainstay`.
const PROGRAMS: [&str; 6] = ["-p", "mainstay-cli", "-p", "mainstay-fixture", "-p", "mainstay-demo"];

/// Crates that Windows tests are run for, and those of the programs that these start.
const ON_WINDOWS: [&str; 12] =
    ["core", "config", "sys", "logs", "service", "keeper", "daemon", "api", "cli", "e2e", "fixture", "demo"];

/// Tests, and programs for tests. One command: two that name other packages choose other features of what these share,
/// which is then built twice. Not the examples in the docs.
const BUILD_ALL: [&str; 4] = ["build", "--locked", "--tests", "--bins"];

/// So many programs with Windows tests run at a time: they wait more than they compute.
const AT_A_TIME: usize = 3;

/// insta would ask cargo for it, which is not there on the Windows side.
const INSTA: &str = "INSTA_WORKSPACE_ROOT";

/// Everything, in the order in which mistakes are found soonest.
pub fn all() -> Done {
    packages::install(packages::BUILD)?;
    lint::run()?;
    linux()?;
    apart("openapi-check")?;
    apart("otlp-check")?;
    service_api()?;
    go()?;
    windows(&[])?;
    println!("All checks and tests have passed.");
    Ok(())
}

/// The tests of this platform, with the real programs that they keep up.
pub fn linux() -> Done {
    packages::install(packages::BUILD)?;
    packages::install(packages::REAL)?;
    machine::prepare()?;
    run(cargo().args(BUILD_ALL).arg("--workspace"))?;
    build_go_example(None)?;
    if installed("cargo-nextest") {
        run(cargo().args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]))?;
        run(cargo().args(["test", "--workspace", "--locked", "--doc", "-q"]))
    } else {
        run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    }
}

/// The Windows tests under Wine; `args` go to `cargo test`.
pub fn windows(args: &[&str]) -> Done {
    lint::windows_target()?;
    packages::install(packages::REAL)?;
    let (wine, name) = wine::prepare()?;
    println!("Windows tests run under {name}");
    build_go_example(Some("windows"))?;
    let me = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let done = if args.is_empty() {
        let mut build = cargo();
        build.args(BUILD_ALL).args(["--target", lint::WINDOWS]);
        for name in ON_WINDOWS {
            build.args(["-p", &format!("mainstay-{name}")]);
        }
        side_by_side::run(&mut build, AT_A_TIME, |exe| {
            let mut program = Command::new(&me);
            program.arg("wine-run").arg(exe).env(INSTA, root());
            program
        })
    } else {
        run(cargo().args(["build", "--locked", "--target", lint::WINDOWS]).args(PROGRAMS))?;
        let mut test = cargo();
        test.args(["test", "--locked", "--no-fail-fast", "--target", lint::WINDOWS]).args(args);
        test.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", format!("{} wine-run", me.display()));
        run(test.env(INSTA, root()))
    };
    wine::finish(&wine);
    done
}

/// What of the Windows tests runs under Wine 8: those of the library that is a service. Whole stacks do not, see
/// CONTRIBUTING.md.
pub fn wine_8() -> Done {
    let me = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    run(Command::new(me).args(["windows", "-p", "mainstay-service"]).env(wine::FORCE, "8"))
}

/// What the library offers, compared with what is written down.
pub fn service_api() -> Done {
    lint::windows_target()?;
    apart("service-api-check")
}

/// Checks with others' large libraries, each in a workspace of its own: a generator of clients reads the API's document,
/// a collector of OpenTelemetry what is sent to it, and a lister of public items what the library offers.
fn apart(name: &str) -> Done {
    let manifest = root().join(name).join("Cargo.toml");
    let mut test = cargo();
    // Its own target folder would be one more to clean. Not --locked: its lock file follows what our crates need.
    test.args(["test", "-q", "--manifest-path"]).arg(manifest).env("CARGO_TARGET_DIR", target());
    run(&mut test)
}

/// The Go example's own tests.
fn go() -> Done {
    run(go_command().args(["vet", "./..."]))?;
    run(go_command().args(["test", "./..."]))
}

fn go_command() -> Command {
    let mut go = Command::new("go");
    go.current_dir(root().join("examples/go")).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
    go
}

/// Builds the Go example to where the end-to-end tests look for it: `target/go/<os>/api`.
fn build_go_example(os: Option<&str>) -> Done {
    let os = os.unwrap_or(std::env::consts::OS);
    let program: PathBuf = target().join("go").join(os).join(if os == "windows" { "api.exe" } else { "api" });
    run(go_command().args(["build", "-o"]).arg(program).arg(".").env("GOOS", os).env("CGO_ENABLED", "0"))
}
