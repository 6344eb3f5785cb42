// What has to hold of any input, in any format: called by the property tests and by the fuzz target alike.

use std::io;
use std::path::Path;

use mainstay_config::{Asked, FileText, Loaded, Surroundings, System, parse_all};

fn read(name: &str, bytes: &[u8]) -> Loaded {
    let base_dir = Path::new(if std::env::consts::OS == "windows" { r"C:\srv\shop" } else { "/srv/shop" });
    let env = |name: &str| matches!(name, "A" | "PORT" | "HOME").then(|| "1$ \"x\"".to_owned());
    let read_file = |path: &Path| match path.extension().and_then(|ending| ending.to_str()) {
        Some("env") => Ok(b"FROM_FILE=first\nONLY_FILE='x y'\n".to_vec()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
    };
    let around = Surroundings { env: &env, base_dir, read_file: &read_file, system: System::Linux };
    let file = FileText { name, base_dir, bytes, overlay: false };
    parse_all(&[file], &Asked { effective: true, ..Asked::default() }, &around)
}

/// Reads `bytes` as a configuration in each format: nothing panics, every place is in the text, and what `config show`
/// prints makes the same plan.
pub fn try_bytes(bytes: &[u8]) {
    for name in ["mainstay.toml", "mainstay.yaml", "mainstay.json"] {
        let loaded = read(name, bytes);
        assert_eq!(loaded.plan.is_none(), loaded.diagnostics.has_errors());
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split('\n').count();
        for diagnostic in &loaded.diagnostics {
            if let Some(place) = diagnostic.place.as_ref().filter(|place| place.file == name) {
                assert!(place.line >= 1 && place.line <= lines, "{name}: {place:?} of\n{text}");
            }
        }
        assert!(!loaded.diagnostics.to_string().contains(|c: char| c.is_control() && c != '\n'));
        if let (Some(plan), Some(effective)) = (&loaded.plan, &loaded.effective) {
            for origins in [false, true] {
                let shown = effective.to_toml(origins);
                let again = read("mainstay.toml", shown.as_bytes());
                assert_eq!(again.plan.as_ref(), Some(plan), "{shown}\n{}", again.diagnostics);
            }
        }
    }
}
