//! Settings changed in the text of a TOML file: what a person wrote, its order and its comments stay. Pure.

use toml_edit::{DocumentMut, InlineTable, Item, Key, Table, Value};

/// Sets a value, written in TOML, at a path of keys. What is missing on the way is made. Whether anything changed.
///
/// # Errors
/// Why it cannot stand there.
pub fn set(document: &mut DocumentMut, keys: &[String], value: &str) -> Result<bool, String> {
    let value: Value = value.parse().map_err(|_| format!("{value} is no value"))?;
    let Some((last, way)) = keys.split_last() else { return Err("a key is missing".to_owned()) };
    let item = find(document, way, Missing::Made)?.ok_or("a key is missing")?;
    let table = item.as_table_like_mut().ok_or("a key is missing")?;
    match table.get_mut(last) {
        Some(Item::Value(old)) if same(old, &value) => Ok(false),
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
            Ok(true)
        }
        Some(Item::None) | None => {
            table.insert(last, Item::Value(value));
            if let Item::Value(Value::InlineTable(table)) = item {
                table.fmt();
            }
            Ok(true)
        }
        Some(_) => Err(format!("`{last}` is a table in the file; set what is in it, as `{last}.KEY=VALUE`")),
    }
}

/// Removes what is at a path of keys. Whether there was something.
///
/// # Errors
/// The path leads through something that is no table.
pub fn unset(document: &mut DocumentMut, keys: &[String]) -> Result<bool, String> {
    let Some((last, way)) = keys.split_last() else { return Ok(false) };
    let table = find(document, way, Missing::Left)?.and_then(Item::as_table_like_mut);
    Ok(table.is_some_and(|table| table.remove(last).is_some()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Made,
    Left,
}

fn find<'d>(
    document: &'d mut DocumentMut,
    way: &[String],
    missing: Missing,
) -> Result<Option<&'d mut Item>, String> {
    let mut item = document.as_item_mut();
    for (depth, key) in way.iter().enumerate() {
        let inline = matches!(item, Item::Value(_));
        let table = item.as_table_like_mut().ok_or_else(|| no_table(way, depth, None))?;
        if !table.contains_key(key) {
            if missing == Missing::Left {
                return Ok(None);
            }
            table.insert(key, new_table(depth, inline));
        }
        item = table.get_mut(key).ok_or("a key is missing")?;
        if let Item::Value(value) = item
            && !value.is_inline_table()
        {
            return Err(no_table(way, depth + 1, Some(value)));
        }
    }
    Ok(Some(item))
}

fn no_table(way: &[String], depth: usize, value: Option<&Value>) -> String {
    let key = way.get(depth.saturating_sub(1)).map_or("", String::as_str);
    let is = value.map(|value| format!("{key} = {}; ", value.to_string().trim())).unwrap_or_default();
    format!("the file has {is}what is to stand below `{key}` takes a table there: {key}={{ … }}")
}

/// `[service.api]` is a table of its own; what is in it are keys with dots.
fn new_table(depth: usize, inline: bool) -> Item {
    if inline {
        let mut table = InlineTable::new();
        table.set_dotted(true);
        return Item::Value(Value::InlineTable(table));
    }
    let mut table = Table::new();
    match depth {
        0 => table.set_implicit(true),
        1 => {}
        _ => table.set_dotted(true),
    }
    Item::Table(table)
}

/// The same but for blanks and comments.
fn same(one: &Value, other: &Value) -> bool {
    let plain = |value: &Value| {
        let mut value = value.clone();
        value.decor_mut().clear();
        value.to_string()
    };
    plain(one) == plain(other)
}

/// The parts of a key with dots.
pub fn keys(text: &str) -> Option<Vec<String>> {
    Some(Key::parse(text).ok()?.iter().map(|key| key.get().to_owned()).collect())
}

/// The lines that go and those that come, in the order of the file.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[front..old.len() - back], &new[front..new.len() - back]);
    let mut lines = Vec::new();
    let (mut a, mut b) = (0, 0);
    // The next line that both have, near enough; a person reads this, and no program applies it.
    while a < old.len() || b < new.len() {
        let meet = (0..(old.len() - a) + (new.len() - b))
            .flat_map(|sum| (0..=sum).map(move |i| (i, sum - i)))
            .take(NEAR)
            .find(
                |(i, j)| matches!((old.get(a + i), new.get(b + j)), (Some(one), Some(other)) if one == other),
            );
        let (i, j) = meet.unwrap_or((old.len() - a, new.len() - b));
        lines.extend(old[a..a + i].iter().map(|line| format!("- {line}")));
        lines.extend(new[b..b + j].iter().map(|line| format!("+ {line}")));
        (a, b) = (a + i + usize::from(meet.is_some()), b + j + usize::from(meet.is_some()));
    }
    lines
}

/// So many pairs of lines are compared for the next common one.
const NEAR: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# The shop.
name = \"shop\"   # its name

[service.api]
command = [\"./api\"]  # what runs
limits = { memory = \"1GB\" }
restart = \"always\"

# The other one.
[service.db]
command = [\"db\"]
";

    fn change(settings: &[(&str, &str)]) -> String {
        let mut document: DocumentMut = TEXT.parse().expect("TOML");
        for (key, value) in settings {
            set(&mut document, &keys(key).expect("a key"), value).expect("it can be set");
        }
        document.to_string()
    }

    #[test]
    fn only_what_was_asked_for_changes() {
        let text = change(&[
            ("service.api.command", "[\"./api2\", \"-v\"]"),
            ("service.api.limits.memory", "\"2GB\""),
            ("service.api.limits.processes", "100"),
            ("service.api.environment.PORT", "\"8080\""),
            ("service.db.stop.timeout", "\"5s\""),
            ("service.new.command", "\"new\""),
            ("defaults.start", "\"manual\""),
        ]);
        insta::assert_snapshot!(text);
        insta::assert_snapshot!("difference", difference(TEXT, &text).join("\n"));
        assert_eq!(change(&[("service.api.command", "[\"./api\"]"), ("name", "\"shop\"")]), TEXT);
    }

    #[test]
    fn what_is_not_there_is_not_removed() {
        let mut document: DocumentMut = TEXT.parse().expect("TOML");
        let keys = |text: &str| keys(text).expect("a key");
        assert_eq!(unset(&mut document, &keys("service.api.limits.cpu")), Ok(false));
        assert_eq!(unset(&mut document, &keys("service.none.limits.cpu")), Ok(false));
        assert_eq!(unset(&mut document, &keys("service.api.limits.memory")), Ok(true));
        assert_eq!(unset(&mut document, &keys("service.db")), Ok(true));
        assert_eq!(
            difference(TEXT, &document.to_string()),
            [
                "- limits = { memory = \"1GB\" }",
                "+ limits = {}",
                "- ",
                "- # The other one.",
                "- [service.db]",
                "- command = [\"db\"]"
            ]
        );
    }

    #[test]
    fn a_shorthand_is_no_table() {
        let mut document: DocumentMut = TEXT.parse().expect("TOML");
        let path = keys("service.api.restart.delay").expect("a key");
        let error = set(&mut document, &path, "\"5s\"").expect_err("it is a string");
        assert!(error.contains("restart = \"always\"") && error.contains("restart={ … }"), "{error}");
        let error = set(&mut document, &path[..2], "1").expect_err("it is a table");
        assert!(error.contains("`api.KEY=VALUE`"), "{error}");
        assert_eq!(document.to_string(), TEXT);
    }
}
