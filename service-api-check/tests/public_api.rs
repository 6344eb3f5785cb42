//! `mainstay-service` is for others, who build on what it offers. All of that is written down in `linux.txt` and
//! `windows.txt`; a change of it is seen in a review, and says which version has to come (CONTRIBUTING.md).
//!
//! `MAINSTAY_BLESS=1` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a platform's list is called, and for which target it is made.
const PLATFORMS: [(&str, &str); 2] =
    [("linux.txt", "x86_64-unknown-linux-gnu"), ("windows.txt", "x86_64-pc-windows-gnu")];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(repository().join("crates/service"));
    command
}

/// A folder of its own: cargo would build everything anew that looks whether it may use what is not stable.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-api")
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("cargo runs");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Each public item on a line.
fn offered(triple: &str) -> String {
    // rustdoc's JSON is not stable. This Rust is the one of rust-toolchain.toml, so that it is no moving target either.
    run(cargo()
        .args(["rustdoc", "-q", "--locked", "--lib", "--target", triple, "--target-dir"])
        .arg(target())
        .args(["--", "-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTC_BOOTSTRAP", "1"));
    let json = target().join(triple).join("doc/mainstay_service.json");
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .expect("public-api reads what this rustdoc writes");
    api.items().map(|item| format!("{item}\n")).collect()
}

#[test]
fn what_is_offered_is_what_is_written_down() {
    for (file, triple) in PLATFORMS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let (offered, written) = (offered(triple), fs::read_to_string(&path).unwrap_or_default());
        if std::env::var_os("MAINSTAY_BLESS").is_some() {
            fs::write(&path, offered).expect("written");
            continue;
        }
        let only = |one: &str, other: &str, sign: char| -> String {
            let other: Vec<&str> = other.lines().collect();
            one.lines().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
        };
        let difference = only(&written, &offered, '-') + &only(&offered, &written, '+');
        assert!(
            written == offered,
            "{file}: mainstay-service offers something else than before:\n{difference}\
             A line that is gone or different breaks programs of others: raise the version as CONTRIBUTING.md says. Then \
             `MAINSTAY_BLESS=1 cargo xtask service-api` writes the lists anew."
        );
    }
}

/// `cargo publish` would take it: everything that it wants is there, and nothing that others do not need is packed.
#[test]
fn it_can_be_published() {
    let packed = run(cargo().args(["package", "--offline", "--locked", "--allow-dirty", "--list"]));
    for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs", "examples/worker.rs"] {
        assert!(packed.lines().any(|line| line == file), "{file} is missing in:\n{packed}");
    }
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = |path: PathBuf| fs::read_to_string(path).expect("a licence");
        assert_eq!(text(repository().join("crates/service").join(file)), text(repository().join(file)));
    }
    let done = cargo()
        .args(["package", "-q", "--offline", "--locked", "--allow-dirty", "--no-verify", "--target-dir"])
        .arg(target())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && !said.contains("manifest has no"), "{said}");
}
