//! What is printed: data to standard output, everything else to standard error.

pub(crate) mod json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod waterfall;

use std::io::{self, IsTerminal, Write};

use crate::exit::Failure;

/// Characters of one text from a target that are shown.
const TEXT_CHARS_MAX: usize = 400;

/// Characters of one of our own sentences that are shown: it may name many regions.
const SENTENCE_CHARS_MAX: usize = 4_000;

/// One of the two places to print to.
pub struct Out {
    writer: Box<dyn Write + Send>,
    colour: bool,
    terminal: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("colour", &self.colour).finish_non_exhaustive()
    }
}

impl Out {
    /// Prints to any writer.
    pub fn new(writer: impl Write + Send + 'static, colour: bool) -> Self {
        Self { writer: Box::new(writer), colour, terminal: false }
    }

    /// Prints to a terminal, or to whatever takes its place.
    fn standard(writer: impl Write + IsTerminal + Send + 'static) -> Self {
        let terminal = writer.is_terminal();
        Self { writer: Box::new(writer), colour: terminal, terminal }
    }

    /// Prints one line, at once.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(text.as_bytes())?;
        self.writer.write_all(b"\n")?;
        Ok(self.writer.flush()?)
    }

    /// Prints text as it is, at once.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(text.as_bytes())?;
        Ok(self.writer.flush()?)
    }

    /// The text in a colour, if this place shows colours.
    pub fn paint(&self, colour: Colour, text: &str) -> String {
        paint(self.colour, colour, text)
    }

    /// Whether this place shows colours.
    pub const fn colours(&self) -> bool {
        self.colour
    }

    /// Whether a person sits in front of it.
    pub const fn terminal(&self) -> bool {
        self.terminal
    }

    /// The place itself.
    pub fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut self.writer
    }

    /// Takes colours away or gives them, whatever the place is.
    pub const fn set_colour(&mut self, colour: bool) {
        self.colour = colour;
    }
}

/// The colours in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// Somebody should look when there is time.
    Yellow,
    /// Somebody should look now.
    Red,
    /// Less important.
    Dim,
}

/// The text in a colour, if `on`.
pub(crate) fn paint(on: bool, colour: Colour, text: &str) -> String {
    if !on {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Red => 31,
        Colour::Dim => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Both places, and how to print there.
#[derive(Debug)]
pub struct Console {
    /// For data.
    pub out: Out,
    /// For messages.
    pub err: Out,
}

impl Console {
    /// Standard output and standard error; colours where a terminal shows them.
    pub fn standard() -> Self {
        Self { out: Out::standard(io::stdout()), err: Out::standard(io::stderr()) }
    }

    /// Prints a message for people. A message that cannot be printed is lost.
    pub fn note(&mut self, text: &str) {
        drop(self.err.line(text));
    }
}

/// Text from a target made safe to show: without control characters, escape sequences and marks
/// that turn the direction of writing, and not longer than 400 characters.
pub(crate) fn escaped(text: &str) -> String {
    safe(text, TEXT_CHARS_MAX)
}

/// A sentence of our own that may quote a target, made safe to show like [`escaped`] but not cut
/// short.
pub(crate) fn sentence(text: &str) -> String {
    safe(text, SENTENCE_CHARS_MAX)
}

fn safe(text: &str, most: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        if index == most {
            safe.push('…');
            break;
        }
        let invisible = matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || invisible {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_target_reaches_the_terminal_raw() {
        assert_eq!(escaped("plain – text"), "plain – text");
        assert_eq!(escaped("\u{1b}[2Jgone\r\n"), "\\u{1b}[2Jgone\\r\\n");
        assert_eq!(escaped("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(escaped(&"x".repeat(1_000)).chars().count(), 401);
    }

    #[test]
    fn a_reader_that_has_gone_is_not_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let failure = Out::new(Gone, false).line("x").unwrap_err();
        assert_eq!((failure.exit.code(), failure.message.as_str()), (0, ""));
    }
}
