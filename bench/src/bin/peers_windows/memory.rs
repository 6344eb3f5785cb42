//! Memory of the wrappers' processes, from the /proc of the machine below Wine, which is drive Z:.

use std::fs;
use std::path::Path;

/// Resident and private bytes of all processes whose command line has one of these words in it, and not `app`.
pub fn of(words: &[&str]) -> Option<(u64, u64)> {
    let (mut resident, mut private) = (0, 0);
    for entry in fs::read_dir(r"Z:\proc").ok()?.flatten() {
        let dir = entry.path();
        if !entry.file_name().to_string_lossy().chars().all(|c| c.is_ascii_digit()) {
            continue;
        }
        let line = fs::read(dir.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).to_lowercase();
        let first = line.split('\0').next().unwrap_or_default();
        if words.iter().any(|word| first.contains(word)) {
            let (more, own) = sizes(&dir);
            resident += more;
            private += own;
        }
    }
    Some((resident, private))
}

fn sizes(dir: &Path) -> (u64, u64) {
    let text = fs::read_to_string(dir.join("smaps_rollup")).unwrap_or_default();
    let sum = |names: &[&str]| -> u64 {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| names.contains(name))
            .filter_map(|(_, value)| value.split_whitespace().next()?.parse::<u64>().ok())
            .sum::<u64>()
            * 1024
    };
    (sum(&["Rss"]), sum(&["Private_Clean", "Private_Dirty"]))
}
