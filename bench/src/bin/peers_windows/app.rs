//! The program that is kept up: this one, with `app` as its first argument.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, which all processes share.
pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis())
}

fn append(path: &OsString, line: &str) {
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// `stamp FILE`, `crash FILE MS`, `args FILE …`, `env FILE NAME`, `beat FILE`, `lines COUNT FILE`
pub fn run(words: &[OsString]) -> ExitCode {
    let Some((how, rest)) = words.split_first() else { return ExitCode::from(2) };
    let Some(file) = rest.last().filter(|_| how == "lines").or(rest.first()) else {
        return ExitCode::from(2);
    };
    match how.to_str() {
        Some("stamp") => append(file, &now().to_string()),
        Some("crash") => {
            append(file, &now().to_string());
            let life = rest.get(1).and_then(|word| word.to_str()?.parse().ok()).unwrap_or(2500);
            std::thread::sleep(Duration::from_millis(life));
            append(file, &now().to_string());
            return ExitCode::from(3);
        }
        Some("args") => {
            let words: Vec<String> =
                rest[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
            append(file, &serde_json::json!(words).to_string());
        }
        Some("env") => {
            let value =
                rest.get(1).and_then(std::env::var_os).map(|value| value.to_string_lossy().into_owned());
            let after = std::env::var("ZZ_AFTER").ok();
            append(file, &serde_json::json!([value, after]).to_string());
        }
        Some("beat") => loop {
            append(file, &format!("{} {}", std::process::id(), now()));
            std::thread::sleep(Duration::from_millis(100));
        },
        Some("lines") => {
            let count: u64 = rest.first().and_then(|word| word.to_str()?.parse().ok()).unwrap_or(0);
            let mut out = std::io::stdout().lock();
            for n in 1..=count {
                let _ = writeln!(out, "line {n:09} of a log that is to be whole, each and every one of them");
            }
            let _ = out.flush();
            append(file, "done");
        }
        _ => return ExitCode::from(2),
    }
    std::thread::sleep(Duration::from_secs(3600));
    ExitCode::SUCCESS
}
