//! The name that was meant, probably.

/// So many names are compared.
const MAX_COMPARED: usize = 2_000;

/// The nearest of `names` to `given`, if it is near enough to be meant.
pub(crate) fn nearest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A name this long is no slip of the finger, and the comparison's cost grows with the square.
    if given.len() > 100 {
        return None;
    }
    let given = fold(given);
    let length = given.chars().count();
    let allowed = |name: &str| length.max(name.len()) / 3;
    names
        .into_iter()
        .take(MAX_COMPARED)
        .map(|name| (fold(name), name))
        .filter(|(folded, name)| {
            folded.len() <= 100 && length.abs_diff(folded.chars().count()) <= allowed(name)
        })
        .map(|(folded, name)| (strsim::osa_distance(&given, &folded), name))
        .filter(|(distance, name)| *distance <= allowed(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `working-dir`, `workingDir` and `working_dir` are one.
fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// "`a`, `b` or `c`", at most so many of them.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    const MOST: usize = 20;
    let mut rest = names.into_iter();
    let names: Vec<String> = rest.by_ref().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = rest.count();
    if more > 0 {
        return format!("{} and {more} more", names.join(", "));
    }
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_found() {
        let names = ["command", "working_dir", "env_file", "stop", "start", "restart"];
        assert_eq!(nearest("comand", names), Some("command"));
        assert_eq!(nearest("workingDir", names), Some("working_dir"));
        assert_eq!(nearest("env-file", names), Some("env_file"));
        assert_eq!(nearest("strat", names), Some("start"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("x", ["a", "X"]), Some("X"), "a short name is near to itself alone");
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }

    #[test]
    fn lists_read_as_people_write() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(list([], "or"), "none");
    }
}
