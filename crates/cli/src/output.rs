//! What a person sees. Data goes to standard output, messages to standard error; everything reads without colour.

pub mod plot;
pub mod progress;
pub mod style;
pub mod table;
mod utf8;
pub mod words;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;

use crate::failure::Failure;
use style::{Choice, Paint};
use utf8::Lossy;

/// The two streams, and how they want to be written to.
#[derive(Debug)]
pub struct Output {
    stdout: BufWriter<Stdout>,
    /// Makes text of bytes, where standard output takes nothing else.
    lossy: Option<Lossy>,
    /// Colours of standard output.
    pub paint: Paint,
    /// Colours of standard error.
    pub paint_err: Paint,
    /// Columns of the terminal; none if standard output is no terminal.
    pub width: Option<usize>,
    /// Whether the reader is a program.
    pub json: bool,
    /// Whether only results and errors are wanted.
    pub quiet: bool,
}

impl Output {
    /// Looks at the two streams and decides.
    pub fn new(json: bool, choice: Choice) -> Output {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(terminal_width);
        let paint = if json { Paint::plain() } else { Paint::of(&stdout, choice) };
        let paint_err = if json { Paint::plain() } else { Paint::of(&io::stderr(), choice) };
        Output {
            stdout: BufWriter::with_capacity(64 * 1024, stdout),
            lossy: mainstay_sys::console::is_stdout_text_only().then(Lossy::default),
            paint,
            paint_err,
            width,
            json,
            quiet: false,
        }
    }

    /// Text to standard output, as it is.
    ///
    /// # Errors
    /// The reader is gone, or the disk is full.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Bytes to standard output, as they are; where it takes text only, what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// Like [`text`](Output::text).
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.lossy {
            Some(lossy) => Ok(self.stdout.write_all(lossy.text(bytes).as_bytes())?),
            None => Ok(self.stdout.write_all(bytes)?),
        }
    }

    /// One line to standard output.
    ///
    /// # Errors
    /// Like [`text`](Output::text).
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(line)?;
        self.text("\n")
    }

    /// A value as one line of JSON to standard output.
    ///
    /// # Errors
    /// Like [`text`](Output::text).
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from)?;
        self.text("\n")
    }

    /// Lets go of what is buffered. Whoever waits for something calls it before.
    ///
    /// # Errors
    /// Like [`text`](Output::text).
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// What was changed, or with `dry_run` would be; `nothing` if all is so already.
    ///
    /// # Errors
    /// Like [`text`](Output::text).
    pub fn changes(
        &mut self,
        stack: &str,
        lines: &[String],
        dry_run: bool,
        nothing: &str,
    ) -> Result<(), Failure> {
        if self.json {
            let value = serde_json::json!({ "stack": stack, "dry_run": dry_run, "changes": lines });
            return self.json(&value);
        }
        if lines.is_empty() {
            self.line(&format!("{stack}: {nothing}"))?;
        }
        for line in lines {
            self.line(&if dry_run { format!("would {line}") } else { line.clone() })?;
        }
        Ok(())
    }

    /// A remark to standard error; an object there, too, if the reader is a program.
    pub fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.say(text);
    }

    fn say(&self, text: &str) {
        if self.json {
            self.note_raw(&serde_json::json!({ "message": text }).to_string());
        } else {
            self.note_raw(text);
        }
    }

    fn note_raw(&self, text: &str) {
        // There is nobody left to tell if this fails.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A warning to standard error.
    pub fn warning(&self, text: &str) {
        let label = self.paint_err.apply(style::UNSURE, "warning");
        self.say(&format!("{label}: {text}"));
    }

    /// Tells why the command came to nothing.
    pub fn failure(&self, failure: &Failure) {
        if failure.quiet {
            return;
        }
        self.note_raw(&self.failure_text(failure));
    }

    fn failure_text(&self, failure: &Failure) -> String {
        if self.json {
            let object = serde_json::json!({
                "error": failure.message,
                "details": failure.details,
                "hint": failure.hint,
                "diagnostics": failure.diagnostics,
                "exit": failure.status as u8,
            });
            return object.to_string();
        }
        let mut text = String::new();
        if let Some(diagnostics) = &failure.diagnostics {
            text.push_str(&diagnostics.render(&crate::plan_file::layout(self)));
            text.push('\n');
        }
        text.push_str(&format!("{}: {}", self.paint_err.apply(style::BAD, "error"), failure.message));
        for line in &failure.details {
            text.push_str("\n  ");
            text.push_str(&words::printable(line));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\n{}: {hint}", self.paint_err.apply(style::HINT, "hint")));
        }
        text
    }
}

/// Columns of the terminal; 80 if it will not say.
fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)).max(40)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::ExitStatus;

    #[test]
    fn errors_say_what_where_and_what_next() {
        let mut output = Output::new(false, Choice::Never);
        let failure = Failure::new(ExitStatus::AlreadyUp, "stack shop is up already")
            .details(["keeper 1234, since 10:12".to_owned(), "an escape \u{1b}[31m is shown".to_owned()])
            .hint("`mainstay down` stops it");
        insta::assert_snapshot!(output.failure_text(&failure), @"
        error: stack shop is up already
          keeper 1234, since 10:12
          an escape ?[31m is shown
        hint: `mainstay down` stops it
        ");
        output.json = true;
        insta::assert_snapshot!(
            output.failure_text(&failure),
            @r#"{"details":["keeper 1234, since 10:12","an escape \u001b[31m is shown"],"diagnostics":null,"error":"stack shop is up already","exit":4,"hint":"`mainstay down` stops it"}"#
        );
    }
}
