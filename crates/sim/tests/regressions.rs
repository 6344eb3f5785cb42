//! Recordings of histories that failed once: each must go well for ever.

use std::path::Path;

use mainstay_core::record::Recording;
use mainstay_sim::recording;

#[test]
fn what_failed_once_goes_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let read = Recording::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let checked = recording::check(&read);
        let steps = checked.unwrap_or_else(|violation| panic!("{}: {violation}", path.display()));
        assert!(steps > 1, "{} is empty", path.display());
    }
}
