//! The fuzz target of the configuration, on the stable toolchain.
//!
//! cargo-fuzz wants a nightly one for its sanitizers. What is looked for here are panics, and libFuzzer's coverage is
//! had from LLVM's own options.

use crate::run::{Done, cargo, root, run};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// As cargo-fuzz has them, without a sanitizer.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=16 -Cpasses=sancov-module \
                     -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds it and runs it for so many seconds; what it finds worth keeping goes to `target/fuzz`, not to the corpus.
pub fn run_for(seconds: &str) -> Done {
    if seconds.parse::<u32>().is_err() {
        return Err(format!("{seconds} is no number of seconds"));
    }
    let found = "target/fuzz/corpus";
    std::fs::create_dir_all(root().join(found)).map_err(|error| format!("cannot make {found}: {error}"))?;
    run(cargo()
        .args([
            "run",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target",
            TARGET,
            "--target-dir",
            "target/fuzz",
        ])
        .args(["--config", "profile.dev.opt-level=1", "--bin", "config", "--", found, "fuzz/corpus/config"])
        .args([
            &format!("-max_total_time={seconds}"),
            "-artifact_prefix=target/fuzz/",
            "-print_final_stats=1",
        ])
        .env("RUSTFLAGS", FLAGS))
}
