//! Reading real files.

use std::fs;
use std::path::Path;

use mainstay_config::{MAX_FILE, load};
use mainstay_core::ServiceName;

fn env(name: &str) -> Option<String> {
    (name == "WHO").then(|| "ann".to_owned())
}

#[test]
fn a_file_and_what_it_names_are_read_from_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("shop");
    fs::create_dir_all(base.join("sub")).unwrap();
    let file = base.join("mainstay.toml");
    fs::write(
        &file,
        "[service.a]\ncommand = ['a', '${WHO}', '${X}']\nworking_dir = 'sub'\nenv_file = 'sub/x.env'\n",
    )
    .unwrap();
    fs::write(base.join("sub/x.env"), "X=1\n").unwrap();

    let loaded = load(&file, &env);
    assert_eq!(loaded.diagnostics.to_string(), "");
    assert_eq!(loaded.files, [file, base.join("sub").join("x.env")]);
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.stack, "shop");
    let launch = &plan.services[&ServiceName::new("a").unwrap()].launch;
    assert_eq!(launch.command, ["a", "ann", "1"]);
    assert_eq!(launch.working_dir.as_deref().map(Path::new), Some(base.join("sub").as_path()));
}

#[test]
fn what_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&dir.path().join("none.toml"), &env);
    assert!(missing.plan.is_none());
    let shown = missing.diagnostics.to_string();
    assert!(shown.starts_with("error: cannot read") && shown.contains("help: write one"), "{shown}");

    let directory = load(dir.path(), &env);
    let message = directory.diagnostics.iter().map(|d| d.message.as_str()).collect::<String>();
    assert!(message.contains("there is no configuration in"), "{message}");

    let large = dir.path().join("large.toml");
    fs::File::create(&large).unwrap().set_len(MAX_FILE + 1).unwrap();
    let large = load(&large, &env).diagnostics.to_string();
    assert!(large.contains("larger than 16 MiB"), "{large}");
}

/// All files of a directory, by their names; overlays and hidden files only as everywhere.
#[test]
fn a_directory_is_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("10-a.toml", "name = 'parts'\n[service.a]\ncommand = ['a']\n");
    write("20-b.yaml", "service: { b: { command: [b] }, a: { description: over } }\n");
    write("10-a.prod.toml", "[service.overlay]\ncommand = ['x']\n");
    write(".hidden.toml", "[service.hidden]\ncommand = ['x']\n");
    write("notes.txt", "nothing");
    let loaded = load(dir.path(), &env);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{}", loaded.diagnostics));
    assert_eq!(plan.services.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(plan.services.values().next().unwrap().description.as_deref(), Some("over"));
    assert_eq!(loaded.files.len(), 2);
}

/// A message about a file of variables names it as the configuration file is named: as seen by who asked.
#[test]
fn messages_call_files_as_the_person_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mainstay.toml");
    fs::write(&file, "name = 'x'\n[service.a]\ncommand = ['a']\nenv_file = 'x.env'\n").unwrap();
    fs::write(dir.path().join("x.env"), "wrong\n").unwrap();
    let loaded = load(&file, &env);
    let place = loaded.diagnostics.iter().next().and_then(|d| d.place.clone()).unwrap();
    assert_eq!((Path::new(&place.file), place.line), (dir.path().join("x.env").as_path(), 1));
}
