//! Compiles the sentences of events into the Windows program, so that the Event Viewer finds them there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "src/system_log/numbers.rs"]
mod numbers;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/system_log/numbers.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") != "windows" {
        return;
    }
    if target("ENV") != "gnu" {
        println!(
            "cargo:warning=events will be shown without their sentences: only mingw's windmc is known here"
        );
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    if let Err(error) = compile(&out, &format!("{}-w64-mingw32-", target("ARCH"))) {
        println!("cargo:error={error}");
        std::process::exit(1);
    }
    println!("cargo:rustc-link-arg-bins={}", out.join("messages.o").display());
}

fn compile(out: &Path, prefix: &str) -> Result<(), String> {
    let source = out.join("messages.mc");
    fs::write(&source, message_file()).map_err(|error| format!("{}: {error}", source.display()))?;
    run(out, prefix, "windmc", &["-A", "-h", ".", "-r", ".", "messages.mc"])?;
    run(out, prefix, "windres", &["-i", "messages.rc", "-O", "coff", "-o", "messages.o"])
}

/// In the form that windmc and Microsoft's mc read. A text ends with a line of a single dot.
fn message_file() -> String {
    let mut text = "LanguageNames=(English=0x409:MSG00409)\n".to_owned();
    for kind in numbers::KINDS {
        let name = kind.name.to_uppercase().replace('-', "_");
        text.push_str(&format!(
            "\nMessageId={}\nSymbolicName=MAINSTAY_{name}\nLanguage=English\n{}\n.\n",
            kind.number, kind.text
        ));
    }
    text
}

/// Debian's name of the program, or the plain one of an installation on Windows.
fn run(dir: &Path, prefix: &str, program: &str, arguments: &[&str]) -> Result<(), String> {
    let start = |name: &str| Command::new(name).args(arguments).current_dir(dir).output();
    let output = start(&format!("{prefix}{program}")).or_else(|_| start(program)).map_err(|error| {
        format!(
            "{prefix}{program} is needed for the Event Log's texts ({error}); Debian has it in binutils-mingw-w64-x86-64"
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr)))
}
