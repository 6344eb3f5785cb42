//! Text out of bytes that come in pieces, for a console that takes nothing else.

/// What is not UTF-8 becomes U+FFFD. A character that is cut in two by the end of a piece is put together again.
#[derive(Debug, Default)]
pub struct Lossy {
    /// The begin of a character: at most three bytes.
    begun: Vec<u8>,
}

impl Lossy {
    /// The text of the next piece, as far as it is known.
    pub fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let whole = all.len() - begun_at_the_end(&all);
        self.begun = all.split_off(whole);
        match String::from_utf8_lossy(&all) {
            std::borrow::Cow::Borrowed(text) => text.to_owned(),
            std::borrow::Cow::Owned(text) => text,
        }
    }
}

/// How many bytes at the end may be the begin of a character.
fn begun_at_the_end(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_cut_anywhere_is_whole() {
        let text = "a Grüße 日本 🦀 z";
        for at in 0..=text.len() {
            let mut lossy = Lossy::default();
            let (front, back) = text.as_bytes().split_at(at);
            assert_eq!(lossy.text(front) + &lossy.text(back), text, "cut at {at}");
        }
        let mut lossy = Lossy::default();
        assert_eq!(text.bytes().map(|byte| lossy.text(&[byte])).collect::<String>(), text);
    }

    #[test]
    fn what_is_no_text_is_marked_and_nothing_else_is_lost() {
        let mut lossy = Lossy::default();
        assert_eq!(lossy.text(b"caf\xe9 \xff\xfe ok\n"), "caf\u{fffd} \u{fffd}\u{fffd} ok\n");
        // What looked like the begin of a character was none.
        assert_eq!(lossy.text(b"x\xe2\x82"), "x");
        assert_eq!(lossy.text(b"y\n"), "\u{fffd}y\n");
        assert_eq!(lossy.text(b"\xe2"), "");
        assert_eq!(lossy.text("ü".as_bytes()), "\u{fffd}ü");
    }
}
