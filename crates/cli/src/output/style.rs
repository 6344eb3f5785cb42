//! Colours: a few meanings, only on terminals, and only if wanted.

use anstyle::{AnsiColor, Style};

/// Well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// On its way, or worth a look.
pub const UNSURE: Style = AnsiColor::Yellow.on_default();
/// Wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What to do next.
pub const HINT: Style = AnsiColor::Cyan.on_default();
/// Of less weight.
pub const DIM: Style = Style::new().dimmed();
/// Of more weight.
pub const STRONG: Style = Style::new().bold();
/// The colours that services take in turn, none of which means something.
pub const TURNS: [Style; 6] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::BrightCyan.on_default(),
    AnsiColor::BrightMagenta.on_default(),
    AnsiColor::BrightBlue.on_default(),
];

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// On a terminal, unless NO_COLOR, CLICOLOR=0 or TERM=dumb say otherwise
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Whether one stream takes colours.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Without colours.
    pub const fn plain() -> Paint {
        Paint(false)
    }

    /// Decides for `stream`.
    pub fn of(stream: &impl anstream::stream::RawStream, choice: Choice) -> Paint {
        let wanted = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
        };
        // An old Windows console would show the codes as they are.
        Paint(wanted && (!stream.is_terminal() || mainstay_sys::console::enable_colour()))
    }

    /// Whether there are colours.
    pub const fn is_on(self) -> bool {
        self.0
    }

    /// `text` in `style`, or as it is.
    pub fn apply(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
impl Paint {
    /// With colours, whatever the stream.
    pub const fn coloured() -> Paint {
        Paint(true)
    }
}
