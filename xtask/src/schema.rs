//! Files in the repository that a program writes.

use std::fs;

use crate::run::{Done, cargo, output, root};

/// Writes them anew. Tests compare them with what the program says.
pub fn run() -> Done {
    printed(&["config", "schema"], "schemas/mainstay.schema.json")?;
    printed(&["api", "openapi"], "schemas/openapi.json")?;
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

/// Writes what `mainstay` prints for these words.
fn printed(words: &[&str], file: &str) -> Done {
    let text = output(cargo().args(["run", "-q", "-p", "mainstay-cli", "--"]).args(words))
        .ok_or_else(|| format!("`mainstay {}` failed", words.join(" ")))?;
    let file = root().join(file);
    fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}
