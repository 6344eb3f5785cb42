//! `mainstay control`

use crate::args::Select;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::installed;
use crate::output::Output;
use crate::system_view::OfSystem;

/// Send an installed stack a control through its service manager
///
/// What a code from 128 to 255 does is said by `controls` of its services. systemd has signals for two of them: 128 is
/// SIGUSR1 and 129 is SIGUSR2; paramchange is SIGHUP.
#[derive(Debug, clap::Args)]
pub struct Control {
    #[command(flatten)]
    select: Select,

    /// The stack; on Windows also a service that has an entry of its own
    #[arg(value_name = "NAME")]
    name: String,

    /// A code from 128 to 255, or paramchange, which takes the configuration anew
    #[arg(value_name = "CODE", value_parser = code)]
    code: u32,
}

/// `SERVICE_CONTROL_PARAMCHANGE`
const PARAMCHANGE: u32 = 6;

fn code(text: &str) -> Result<u32, String> {
    match text.parse() {
        _ if text.eq_ignore_ascii_case("paramchange") => Ok(PARAMCHANGE),
        Ok(code @ (PARAMCHANGE | 128..=255)) => Ok(code),
        _ => Err(format!("`{text}` is no code from 128 to 255, and not paramchange")),
    }
}

/// Does it.
///
/// # Errors
/// It is not installed, does not run, or does not take this one.
pub fn run(args: &Control, output: &mut Output) -> Outcome {
    let meant = OfSystem::meant(&args.select, std::slice::from_ref(&args.name))?;
    let [service] = meant.as_slice() else { return Err(Failure::usage("one service at a time")) };
    service.manager.control(&service.name, args.code).map_err(installed::failure)?;
    if output.json {
        output.json(&serde_json::json!({ "service": service.name, "control": args.code }))?;
    } else {
        output.line(&format!("{}: has taken control {}", service.name, args.code))?;
    }
    Ok(ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn codes_of_ones_own_and_one_by_name() {
        assert_eq!(
            (code("128"), code("255"), code("paramchange"), code("6")),
            (Ok(128), Ok(255), Ok(6), Ok(6))
        );
        for wrong in ["1", "127", "256", "stop", "-1", ""] {
            assert!(code(wrong).is_err(), "{wrong}");
        }
    }
}
