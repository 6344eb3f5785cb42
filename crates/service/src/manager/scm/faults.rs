//! What is wrong with an installed service, read from the registry, where the SCM keeps it.

use windows_sys::Win32::System::Registry::HKEY_LOCAL_MACHINE;

use super::settings::parameters;
use super::told::marked;
use crate::manager::Fault;
use crate::{log, registry};

/// Nothing if there is no such service, or it cannot be looked at.
pub(super) fn of(name: &str) -> Vec<Fault> {
    let Ok(key) = registry::open(HKEY_LOCAL_MACHINE, &parameters(name)) else { return Vec::new() };
    let mut found = Vec::new();
    // Set by DeleteService, and gone with the key when the last handle is closed.
    if key.number("DeleteFlag").is_some_and(|flag| flag != 0) {
        found.push(Fault::MarkedForDeletion(marked(name)));
    }
    let line = key.text("ImagePath");
    found.extend(line.filter(|line| is_unquoted(line)).map(Fault::UnquotedPath));
    if log::registered(name).is_none() {
        found.push(Fault::NoEventSource);
    }
    found
}

/// Whether the program's path has a blank inside that no quotation mark covers.
fn is_unquoted(line: &str) -> bool {
    let line = line.trim_start();
    let lower = line.to_ascii_lowercase();
    let program = lower.find(".exe").map_or(line, |end| &line[..end]);
    !line.starts_with('"') && program.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_in_the_programs_path_matter() {
        for (line, unquoted) in [
            (r#""C:\Program Files\Mainstay\mainstay.exe" keeper"#, false),
            (r"C:\Mainstay\mainstay.exe keeper --service", false),
            (r"C:\Program Files\Mainstay\mainstay.exe keeper", true),
            (r"C:\Program Files\MAINSTAY.EXE", true),
            (r"%SystemRoot%\system32\svchost.exe -k netsvcs", false),
        ] {
            assert_eq!(is_unquoted(line), unquoted, "{line}");
        }
    }
}
