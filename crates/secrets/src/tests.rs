use std::time::Duration;

use super::*;

fn secrets(state: &Path, sources: &[(&str, SecretSource)]) -> Secrets {
    let sources = sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
    Secrets::new(state, &sources)
}

fn why(secrets: &Secrets, name: &str) -> SecretError {
    secrets.get(name).expect_err("no value")
}

fn path(path: &Path) -> String {
    path.to_str().expect("a name in UTF-8").to_owned()
}

#[test]
fn the_store_keeps_what_it_is_given() {
    let state = tempfile::tempdir().expect("a directory");
    let secrets = secrets(state.path(), &[]);
    assert_eq!(secrets.list().expect("empty"), BTreeMap::new());
    let error = why(&secrets, "db");
    assert_eq!(error.to_string(), "the secret db: it is not set");
    assert!(error.hint.is_some_and(|hint| hint.contains("mainstay secret set db")));

    let before = secrets.stamp(["db"]);
    for (name, value) in
        [("db", "hunter2"), ("DB", "other"), ("con", "x"), ("db", "ümläut \"$'\n\n second line")]
    {
        secrets.set(name, value).expect("set");
        assert_eq!(secrets.get(name).expect("there").as_str(), value);
    }
    assert_eq!(secrets.get("DB").expect("there").as_str(), "other");
    assert_ne!(secrets.stamp(["db"]), before);
    assert_eq!(secrets.list().expect("listed").into_keys().collect::<Vec<_>>(), ["DB", "con", "db"]);
    assert_eq!(secrets.remove("db"), Ok(true));
    assert_eq!(secrets.remove("db"), Ok(false));
    assert_eq!(why(&secrets, "db").why, "it is not set");
}

#[test]
fn what_cannot_be_a_value_is_refused_and_not_repeated() {
    let state = tempfile::tempdir().expect("a directory");
    let secrets = secrets(state.path(), &[]);
    for value in ["", "canary\0", &"canary".repeat(6000)] {
        let error = secrets.set("db", value).expect_err("refused");
        assert!(!format!("{error:?}").contains("canary"), "{error}");
    }
    for name in ["../x", "", "a/b", "a.b"] {
        assert!(
            secrets.set(name, "x").is_err() && secrets.get(name).is_err() && secrets.remove(name).is_err()
        );
    }
}

#[test]
fn a_file_counts_if_it_is_ours_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("db");
    let secrets = secrets(dir.path(), &[("db", SecretSource::File { path: path(&file) })]);
    assert!(why(&secrets, "db").why.starts_with("there is no "));
    // As an editor leaves it.
    for (content, value) in [("value\n", "value"), ("value\r\n", "value"), ("a\nb\n\n", "a\nb\n")] {
        mainstay_sys::file::write_atomic(&file, content.as_bytes(), true).expect("written");
        assert_eq!(secrets.get("db").expect("there").as_str(), value);
    }
    mainstay_sys::file::write_atomic(&file, b"\xff\xfe", true).expect("written");
    assert!(why(&secrets, "db").why.contains("UTF-8"));
    secrets.set("db", "new").expect("written");
    assert_eq!(secrets.get("db").expect("there").as_str(), "new");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("ours");
        let error = why(&secrets, "db");
        assert!(error.why.contains("its group has access"), "{error}");
        assert_eq!(error.hint, Some(format!("chmod 600 {}", file.display())));
    }
}

fn command(words: &[&str], timeout: Duration) -> SecretSource {
    SecretSource::Command { command: words.iter().map(|word| (*word).to_owned()).collect(), timeout }
}

#[test]
fn a_command_says_it_and_nothing_that_it_writes_is_told() {
    let state = tempfile::tempdir().expect("a directory");
    let shell = if mainstay_sys::IS_WINDOWS { ["cmd", "/c"] } else { ["sh", "-c"] };
    let long = Duration::from_secs(60);
    let run = |script: &str, timeout| command(&[shell[0], shell[1], script], timeout);
    let endless = if mainstay_sys::IS_WINDOWS { "ping -n 100 127.0.0.1 >NUL" } else { "sleep 100" };
    let secrets = secrets(
        state.path(),
        &[
            ("good", run("echo canary", long)),
            ("bad", run("echo canary&exit 3", long)),
            ("slow", run(endless, Duration::from_millis(200))),
            ("none", command(&["no-such-program-here"], long)),
        ],
    );
    assert_eq!(secrets.get("good").expect("there").as_str(), "canary");
    for (name, wanted) in
        [("bad", "exit code 3"), ("slow", "did not end in 200ms"), ("none", "cannot be run")]
    {
        let error = why(&secrets, name);
        assert!(error.why.contains(wanted) && !format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert!(secrets.set("good", "x").expect_err("read only").hint.is_some());
    assert!(secrets.remove("good").is_err());
}

#[test]
fn a_mark_changes_with_the_value_and_says_nothing_of_it() {
    let (state, other) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let marker = Marker::of(state.path()).expect("a key");
    let mark = marker.mark("db", "hunter2");
    assert_eq!(mark.len(), 32);
    assert_eq!(Marker::of(state.path()).expect("the same key").mark("db", "hunter2"), mark);
    assert_ne!(marker.mark("db", "hunter3"), mark);
    assert_ne!(marker.mark("dbh", "unter2"), mark);
    assert_ne!(Marker::of(other.path()).expect("another key").mark("db", "hunter2"), mark);
}

#[test]
fn a_text_is_filled() {
    let json = Piece::Secret("y", vec![Encoding::Json, Encoding::Url]);
    let text =
        SecretText::of([Piece::Text("a$".into()), Piece::Secret("x", vec![]), Piece::Text("b".into()), json]);
    let value = fill(&text, |name| Ok::<_, ()>(Zeroizing::new(format!("<\"{name}>")))).expect("filled");
    assert_eq!(value.as_str(), "a$<\"x>b%3c%5c%22y%3e");
    assert_eq!(fill(&text, |_| Err("none")), Err("none"));
}

/// By the real program, where there is one.
#[test]
fn a_file_of_age_is_read_and_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = path(&dir.path().join("key"));
    let made = std::process::Command::new("age-keygen").args(["-o", &key]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: there is no age-keygen here");
        return;
    }
    let file = path(&dir.path().join("db.age"));
    let source = SecretSource::Age { path: file.clone(), identity: key, program: "age".to_owned() };
    let secrets = secrets(dir.path(), &[("db", source)]);
    assert!(secrets.get("db").is_err());
    secrets.set("db", "hunter2").expect("encrypted");
    assert_eq!(secrets.get("db").expect("decrypted").as_str(), "hunter2");
    let encrypted = std::fs::read(&file).expect("there");
    assert!(encrypted.starts_with(b"age-encryption.org/"));
}
