//! Files in the repository that a program writes.

use std::fs;

use crate::run::{Done, cargo, output, root};

/// Writes them anew. Tests compare them with what the program says.
pub fn run() -> Done {
    let schema = output(cargo().args(["run", "-q", "-p", "mainstay-cli", "--", "config", "schema"]))
        .ok_or("`mainstay config schema` failed")?;
    let file = root().join("schemas/mainstay.schema.json");
    fs::write(&file, schema).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    let table = output(cargo().args(["run", "-q", "-p", "mainstay-cli", "--", "debug", "explain-table"]))
        .ok_or("`mainstay debug explain-table` failed")?;
    let file = root().join("docs/lifecycle.md");
    let old =
        fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    const BEGIN: &str = "<!-- state table: begin -->\n";
    const END: &str = "<!-- state table: end -->\n";
    let (before, rest) = old.split_once(BEGIN).ok_or("docs/lifecycle.md has lost its begin mark")?;
    let (_, after) = rest.split_once(END).ok_or("docs/lifecycle.md has lost its end mark")?;
    fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}"))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}
