//! `mainstay edit`

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use crate::args::Select;
use crate::failure::{Failure, Outcome};
use crate::names;
use crate::output::Output;
use crate::own_file::{Change, How, OwnFile};

/// Change the configuration of a stack in your editor
///
/// $VISUAL or $EDITOR opens a copy. What the configuration does not allow is shown, and the file stays as it was until
/// the copy is right.
#[derive(Debug, clap::Args)]
pub struct Edit {
    #[command(flatten)]
    how: How,

    /// The stack, or a service of it
    #[arg(value_name = "SERVICE")]
    name: String,
}

/// Does it.
///
/// # Errors
/// There is no editor, or what was written is wrong.
pub fn run(args: &Edit, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&Select::default(), std::slice::from_ref(&args.name))?;
    let own = OwnFile::of(&meant.place)?;
    let file = own.file(&args.how)?;
    // With the same ending, so that the editor knows its colours.
    let ending = file.extension().map(|ending| ending.to_string_lossy().into_owned());
    let copy = meant.place.dirs.state.join(format!(
        "edit-{}.{}",
        std::process::id(),
        ending.as_deref().unwrap_or("toml")
    ));
    let text = own.read(&file)?;
    mainstay_sys::dirs::create_private(&meant.place.dirs.state)
        .and_then(|()| mainstay_sys::file::write_atomic(&copy, text.as_bytes(), true))
        .map_err(|error| Failure::io("write", copy.display(), &error))?;
    let change = until_right(&own, &file, &copy, output)?;
    let done = own.make("edit", change, &args.how, output);
    if done.is_ok() {
        let _ = std::fs::remove_file(&copy);
    }
    done
}

/// Lets the person try until it is right, or until they have enough.
fn until_right(own: &OwnFile, file: &Path, copy: &Path, output: &Output) -> Result<Option<Change>, Failure> {
    loop {
        open(copy)?;
        let failure = match own.read(copy).and_then(|text| own.try_text(file, text)) {
            Ok(change) => return Ok(change),
            Err(failure) => failure,
        };
        if !(std::io::stdin().is_terminal() && again(output, &failure)) {
            return Err(failure.hint(format!("your text is kept in {}", copy.display())));
        }
    }
}

fn again(output: &Output, failure: &Failure) -> bool {
    output.failure(failure);
    let mut answer = String::new();
    let _ = write!(std::io::stderr(), "edit again? [Y/n] ");
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok_and(|size| size > 0) && !answer.trim_start().to_ascii_lowercase().starts_with('n')
}

fn open(file: &Path) -> Result<(), Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let usual = if std::env::consts::OS == "windows" { "notepad" } else { "vi" };
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| usual.to_owned());
    // `code --wait`; a path with blanks in it is one word if it leads to a file.
    let words: Vec<&str> = match Path::new(&editor).is_file() {
        true => vec![editor.as_str()],
        false => editor.split_whitespace().collect(),
    };
    let status = Command::new(words[0]).args(&words[1..]).arg(file).status();
    let hint = "set EDITOR to one, as in EDITOR=nano";
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!("the editor {editor} ended with {status}")).hint(hint)),
        Err(error) => Err(Failure::failed(format!("cannot start the editor {editor}: {error}")).hint(hint)),
    }
}
