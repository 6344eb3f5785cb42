//! Batch files. They are run by cmd.exe, which takes the command line apart by rules of its own, so that an argument
//! could become a command (CVE-2024-24576). Here every argument arrives in the script as it was given, or is refused.
//!
//! How each danger is met:
//! - `&`, `|`, `<`, `>`, `^`, blanks and the like mean nothing between quotation marks: an argument is put between
//!   them unless it has only characters that are certain to be harmless.
//! - `"` inside is doubled: for cmd.exe that ends and begins the quoted part, with nothing in between, and programs that
//!   the script passes it on to read the pair as one quotation mark.
//! - `%NAME%` would be replaced, also between quotation marks. Every `%` is written as `%%cd:~,%`: a percent sign, and
//!   then the current directory from nowhere to nowhere, which is nothing. It needs command extensions (`/e:ON`).
//! - `!NAME!` is left alone by `/v:OFF`, which sets delayed expansion off. A script that sets it on asks for it.
//! - AutoRun commands of the registry are not run: `/d`.
//! - A line end would cut the command line: refused.

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const PERCENT: u16 = b'%' as u16;

/// cmd.exe takes no longer ones.
pub(super) const LIMIT: usize = 8_191;

/// The command line for cmd.exe, without a NUL, or why there is none.
pub(super) fn join<'a>(
    script: &str,
    arguments: impl Iterator<Item = &'a str>,
) -> Result<Vec<u16>, &'static str> {
    if script.contains('"') || script.ends_with('\\') {
        return Err("no file has a name with a quotation mark or a backslash at its end");
    }
    if script.contains('%') {
        return Err("cmd.exe would take the % in its path for a variable; move or rename it");
    }
    let mut line: Vec<u16> = r#"cmd.exe /e:ON /v:OFF /d /c ""#.encode_utf16().collect();
    line.push(QUOTE);
    line.extend(script.encode_utf16());
    line.push(QUOTE);
    for argument in arguments {
        if argument.contains(['\r', '\n']) {
            return Err("cmd.exe would cut an argument at its line end; \
                        use another way to pass it, a file or the environment");
        }
        line.push(u16::from(b' '));
        push(&mut line, argument);
    }
    // The one that was opened before the script's name.
    line.push(QUOTE);
    Ok(line)
}

fn push(line: &mut Vec<u16>, argument: &str) {
    // A backslash at the end is quoted too: scripts write "%~1", and it would then stand before the quotation mark.
    let quoted = argument.is_empty() || argument.ends_with('\\') || !argument.chars().all(is_harmless);
    if quoted {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for unit in argument.encode_utf16() {
        match unit {
            BACKSLASH => backslashes += 1,
            QUOTE => {
                // Programs that the script passes it on to halve the backslashes before a quotation mark.
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
                line.push(QUOTE);
                backslashes = 0;
            }
            PERCENT => {
                line.extend("%%cd:~,".encode_utf16());
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(unit);
    }
    if quoted {
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

/// Characters that mean nothing to cmd.exe anywhere.
fn is_harmless(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || r"#$*+-./:?@\_".contains(c) } else { !c.is_control() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(arguments: &[&str]) -> String {
        let line = join(r"C:\x y\a.bat", arguments.iter().copied()).expect("harmless");
        let text = String::from_utf16(&line).expect("UTF-16");
        let start = r#"cmd.exe /e:ON /v:OFF /d /c ""C:\x y\a.bat""#;
        text.strip_prefix(start)
            .expect("the script first")
            .strip_suffix('"')
            .expect("the last quote")
            .to_owned()
    }

    #[test]
    fn harmless_words_stay_as_they_are() {
        assert_eq!(joined(&["a", r"C:\x\y", "--k"]), r" a C:\x\y --k");
    }

    #[test]
    fn what_cmd_would_act_on_is_quoted() {
        for argument in ["a b", "&calc", "a|b", "^", "<", ">", "(", "!x!", "a,b", "a;b", "a=b", "'", "`", "~"]
        {
            assert_eq!(joined(&[argument]), format!(" \"{argument}\""));
        }
        assert_eq!(joined(&[""]), " \"\"");
    }

    #[test]
    fn quotation_marks_are_doubled_and_backslashes_before_them_too() {
        assert_eq!(joined(&[r#"a"b"#]), r#" "a""b""#);
        assert_eq!(joined(&[r#"a\"&calc"#]), r#" "a\\""&calc""#);
        assert_eq!(joined(&[r"a\"]), r#" "a\\""#);
    }

    #[test]
    fn variables_are_not_replaced() {
        assert_eq!(joined(&["%PATH%"]), " \"%%cd:~,%PATH%%cd:~,%\"");
    }

    #[test]
    fn line_ends_are_refused() {
        assert!(join("a.bat", ["a\nb"].into_iter()).is_err());
        assert!(join("a.bat", ["a\rb"].into_iter()).is_err());
        assert!(join("a%b.bat", std::iter::empty()).is_err());
        assert!(join("a\"b.bat", std::iter::empty()).is_err());
    }
}
