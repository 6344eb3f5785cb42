//! One command line out of many arguments.
//!
//! Windows passes a single text; the program takes it apart. Nearly all do it by the rules of Microsoft's C runtime
//! (`CommandLineToArgvW`): blanks and tabs separate, quotation marks join, and backslashes mean themselves unless they
//! stand before a quotation mark.

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;

/// The longest command line that Windows takes, with its NUL.
pub(super) const LIMIT: usize = 32_767;

/// The command line, without a NUL. `program` is `argv[0]`; `None` if it cannot be passed: it has a quotation mark.
pub(super) fn join<'a>(program: &str, arguments: impl Iterator<Item = &'a str>) -> Option<Vec<u16>> {
    // Other rules hold for the first: backslashes are never special, and nothing can stand for a quotation mark.
    if program.contains('"') {
        return None;
    }
    let mut line: Vec<u16> = Vec::with_capacity(128);
    line.push(QUOTE);
    line.extend(program.encode_utf16());
    line.push(QUOTE);
    for argument in arguments {
        line.push(SPACE);
        push(&mut line, argument);
    }
    Some(line)
}

fn push(line: &mut Vec<u16>, argument: &str) {
    // Quoted whenever a program's own rules might see more than a word in it.
    let quoted = argument.is_empty() || argument.contains([' ', '\t', '\n', '\r', '\u{b}', '"']);
    if quoted {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for unit in argument.encode_utf16() {
        if unit == BACKSLASH {
            backslashes += 1;
        } else {
            if unit == QUOTE {
                // Twice as many for themselves, and one for the quotation mark.
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
            }
            backslashes = 0;
        }
        line.push(unit);
    }
    if quoted {
        // Those at the end stand before our own quotation mark.
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(arguments: &[&str]) -> String {
        String::from_utf16(&join("p", arguments.iter().copied()).expect("no quotation mark")).expect("UTF-16")
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(
            joined(&["a", r"C:\x\y", "--k=v", "%PATH%", "^&|<>()"]),
            r#""p" a C:\x\y --k=v %PATH% ^&|<>()"#
        );
    }

    #[test]
    fn blanks_and_nothing_are_quoted() {
        assert_eq!(joined(&["", "a b", "\t"]), "\"p\" \"\" \"a b\" \"\t\"");
    }

    #[test]
    fn backslashes_are_doubled_only_before_a_quotation_mark() {
        assert_eq!(joined(&[r"a\"]), r#""p" a\"#);
        assert_eq!(joined(&[r"a b\"]), r#""p" "a b\\""#);
        assert_eq!(joined(&[r"a b\\"]), r#""p" "a b\\\\""#);
        assert_eq!(joined(&[r#"a"b"#]), r#""p" "a\"b""#);
        assert_eq!(joined(&[r#"a\"b"#]), r#""p" "a\\\"b""#);
        assert_eq!(joined(&[r"a\\b c"]), r#""p" "a\\b c""#);
    }

    #[test]
    fn a_program_with_a_quotation_mark_cannot_be_named() {
        assert!(join("a\"b", std::iter::empty()).is_none());
        let line = join(r"C:\Program Files\", std::iter::empty()).expect("backslashes are not special here");
        assert_eq!(String::from_utf16_lossy(&line), r#""C:\Program Files\""#);
    }
}
