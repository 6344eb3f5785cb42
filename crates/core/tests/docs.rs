//! The state table in the documentation is the one that the code has.

#[test]
fn the_table_in_the_documentation_is_true() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lifecycle.md");
    let text = std::fs::read_to_string(file).expect("docs/lifecycle.md can be read").replace("\r\n", "\n");
    let (_, rest) = text.split_once("<!-- state table: begin -->\n").expect("the begin mark");
    let (table, _) = rest.split_once("<!-- state table: end -->\n").expect("the end mark");
    assert_eq!(table.trim_end(), mainstay_core::table().trim_end(), "write it anew: cargo xtask schema");
}
