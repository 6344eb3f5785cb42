//! Output that does not go into its log as it was written: turned into UTF-8, with times, as JSON. Pure but for the
//! system's code page: time comes in.
//!
//! One [`Shape`] for each stream of a run. What it holds back is bounded: a JSON object, or a line in a code page, is
//! made of a whole line, or of a piece of [`PIECE`] bytes of a longer one.

use mainstay_core::{LogEncoding, LogFormat};

use crate::when;

/// A longer line is taken in pieces of so many bytes.
const PIECE: usize = 64 << 10;

/// What makes UTF-8 of bytes in a code page; none where there is no code page.
type CodePage = fn(&[u8]) -> Option<String>;

/// What becomes of one stream.
#[derive(Debug)]
pub(super) struct Shape {
    run: u64,
    /// The stream's name, if it is known which it is.
    stream: Option<&'static str>,
    format: LogFormat,
    decoder: Decoder,
    /// A line's beginning that waits for its end (JSON).
    line: Vec<u8>,
    /// The log ends inside a line of this stream (timestamps), or a piece of the line was written (JSON).
    inside: bool,
    /// The piece that is worked on.
    decoded: Vec<u8>,
}

impl Shape {
    /// None if the output is to stay as it is.
    pub(super) fn of(
        run: u64,
        stream: Option<&'static str>,
        format: LogFormat,
        encoding: LogEncoding,
    ) -> Option<Shape> {
        if (format, encoding) == (LogFormat::Raw, LogEncoding::Raw) {
            return None;
        }
        let decoder = Decoder::new(encoding, mainstay_sys::console::decode);
        Some(Shape { run, stream, format, decoder, line: Vec::new(), inside: false, decoded: Vec::new() })
    }

    /// Appends to `out` what is to be written for `data`, which was read at `now` (milliseconds since 1970).
    pub(super) fn feed(&mut self, data: &[u8], now: u64, out: &mut Vec<u8>) {
        let mut decoded = std::mem::take(&mut self.decoded);
        self.decoder.feed(data, &mut decoded);
        self.write(&decoded, now, out);
        decoded.clear();
        self.decoded = decoded;
    }

    /// Nothing more comes: what was held back, and the end of the line.
    pub(super) fn finish(&mut self, now: u64, out: &mut Vec<u8>) {
        let mut decoded = std::mem::take(&mut self.decoded);
        self.decoder.finish(&mut decoded);
        self.write(&decoded, now, out);
        match self.format {
            LogFormat::Raw => {}
            LogFormat::Timestamps if self.inside => out.push(b'\n'),
            LogFormat::Timestamps => {}
            LogFormat::Json => {
                if !self.line.is_empty() {
                    let line = std::mem::take(&mut self.line);
                    self.object(&line, true, now, out);
                }
            }
        }
    }

    fn write(&mut self, data: &[u8], now: u64, out: &mut Vec<u8>) {
        match self.format {
            LogFormat::Raw => out.extend_from_slice(data),
            LogFormat::Timestamps => {
                let time = when::precise(now);
                for line in data.split_inclusive(|byte| *byte == b'\n') {
                    if !self.inside {
                        out.extend_from_slice(time.as_bytes());
                        out.push(b' ');
                    }
                    out.extend_from_slice(line);
                    self.inside = line.last() != Some(&b'\n');
                }
            }
            LogFormat::Json => {
                for part in data.split_inclusive(|byte| *byte == b'\n') {
                    self.part(part, now, out);
                }
            }
        }
    }

    /// Takes a part of a line for JSON.
    fn part(&mut self, mut part: &[u8], now: u64, out: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.line);
        while line.len() + part.len() > PIECE + 2 {
            let (now_part, rest) = part.split_at((PIECE - line.len().min(PIECE)).min(part.len()));
            line.extend_from_slice(now_part);
            let whole = whole_characters(&line);
            self.object(&line[..whole], false, now, out);
            line.drain(..whole);
            part = rest;
        }
        line.extend_from_slice(part);
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.object(&line, true, now, out);
            line.clear();
        }
        self.line = line;
    }

    /// `{"time":"…","run":7,"stream":"stderr","text":"…"}`; with `"partial":true` if the line goes on, and with the
    /// very bytes in `"base64"` if they are no UTF-8.
    fn object(&mut self, text: &[u8], ended: bool, now: u64, out: &mut Vec<u8>) {
        let mut object = serde_json::Map::new();
        object.insert("time".into(), when::precise(now).into());
        object.insert("run".into(), self.run.into());
        if let Some(stream) = self.stream {
            object.insert("stream".into(), stream.into());
        }
        object.insert("text".into(), String::from_utf8_lossy(text).into());
        if std::str::from_utf8(text).is_err() {
            object.insert("base64".into(), base64(text).into());
        }
        if !ended {
            object.insert("partial".into(), true.into());
        }
        out.extend_from_slice(serde_json::Value::Object(object).to_string().as_bytes());
        out.push(b'\n');
    }
}

/// So many bytes from the start end with a whole character, if the text is UTF-8; all of them if not.
fn whole_characters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => text.len(),
    }
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// Makes UTF-8 of what it is given, piece by piece.
#[derive(Debug)]
struct Decoder {
    state: State,
    code_page: CodePage,
    /// Bytes that wait: for what the encoding is, or for the rest of a character or line.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is not known yet what comes.
    Start,
    /// As it is.
    Same,
    /// Each line is UTF-8, or else in the code page.
    Lines,
    /// All is in the code page.
    CodePage,
    /// UTF-16; with the first half of a character that needs two units.
    Utf16 { big: bool, high: Option<u16> },
}

impl Decoder {
    fn new(encoding: LogEncoding, code_page: CodePage) -> Decoder {
        let lines = code_page(b"x").is_some();
        let state = match encoding {
            LogEncoding::Raw => State::Same,
            LogEncoding::Auto => State::Start,
            LogEncoding::Utf16le => State::Utf16 { big: false, high: None },
            LogEncoding::Utf16be => State::Utf16 { big: true, high: None },
            LogEncoding::Console if lines => State::CodePage,
            LogEncoding::Console => State::Same,
        };
        Decoder { state, code_page, held: Vec::new() }
    }

    fn feed(&mut self, data: &[u8], out: &mut Vec<u8>) {
        match self.state {
            State::Same => out.extend_from_slice(data),
            State::Start => {
                self.held.extend_from_slice(data);
                if let Some((state, mark)) = recognise(&self.held) {
                    self.begin(state, mark, out);
                }
            }
            State::Lines | State::CodePage => {
                for part in data.split_inclusive(|byte| *byte == b'\n') {
                    self.held.extend_from_slice(part);
                    if part.last() == Some(&b'\n') || self.held.len() > PIECE {
                        self.line(out);
                    }
                }
            }
            State::Utf16 { .. } => {
                self.held.extend_from_slice(data);
                self.units(out);
            }
        }
    }

    /// Goes on with what was held, without the mark at its start.
    fn begin(&mut self, state: State, mark: usize, out: &mut Vec<u8>) {
        let per_line = (self.code_page)(b"x").is_some();
        self.state = if state == State::Lines && !per_line { State::Same } else { state };
        let held = std::mem::take(&mut self.held);
        self.feed(&held[mark.min(held.len())..], out);
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let whole = if self.state == State::Lines { whole_characters(&self.held) } else { self.held.len() };
        let line = &self.held[..whole];
        let is_text = self.state == State::Lines && std::str::from_utf8(line).is_ok();
        match (self.code_page)(line).filter(|_| !is_text) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => out.extend_from_slice(line),
        }
        self.held.drain(..whole);
    }

    fn units(&mut self, out: &mut Vec<u8>) {
        let State::Utf16 { big, mut high } = self.state else { return };
        let (pairs, _) = self.held.as_chunks::<2>();
        let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let first = high.take();
        for character in char::decode_utf16(first.into_iter().chain(pairs.iter().map(unit))) {
            // The first half of a character at the very end waits for the second.
            high = character.as_ref().err().map(std::char::DecodeUtf16Error::unpaired_surrogate);
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let high = high.filter(|unit| (0xd800..0xdc00).contains(unit));
        if high.is_some() {
            out.truncate(out.len() - char::REPLACEMENT_CHARACTER.len_utf8());
        }
        let used = pairs.len() * 2;
        self.held.drain(..used);
        self.state = State::Utf16 { big, high };
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Same => {}
            // Too short to be anything.
            State::Start => out.append(&mut self.held),
            State::Lines | State::CodePage => {
                while !self.held.is_empty() {
                    self.line(out);
                }
            }
            State::Utf16 { high, .. } => {
                for _ in 0..usize::from(high.is_some()) + usize::from(!self.held.is_empty()) {
                    let mut buffer = [0; 4];
                    out.extend_from_slice(char::REPLACEMENT_CHARACTER.encode_utf8(&mut buffer).as_bytes());
                }
                self.held.clear();
            }
        }
    }
}

/// What begins like this, and how long the mark at its start is; none if it takes more to say.
fn recognise(start: &[u8]) -> Option<(State, usize)> {
    let utf16 = |big, mark| Some((State::Utf16 { big, high: None }, mark));
    match start {
        [] | [0xef] | [0xef, 0xbb] => None,
        [0xff, 0xfe, ..] => utf16(false, 2),
        [0xfe, 0xff, ..] => utf16(true, 2),
        [0xef, 0xbb, 0xbf, ..] => Some((State::Lines, 3)),
        // Without a mark: text that begins with two letters or signs of Latin script.
        [1..=255, 0, 1..=255, 0, ..] => utf16(false, 0),
        [0, 1..=255, 0, 1..=255, ..] => utf16(true, 0),
        [_] | [1..=255, 0] | [0, 1..=255] | [1..=255, 0, 1..=255] | [0, 1..=255, 0] => None,
        _ => Some((State::Lines, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of 128 and more become letters from U+0100 on.
    fn page(bytes: &[u8]) -> Option<String> {
        let letter = |byte: &u8| char::from_u32(u32::from(*byte) + u32::from(*byte > 127) * 128);
        Some(bytes.iter().filter_map(letter).collect())
    }

    fn no_page(_: &[u8]) -> Option<String> {
        None
    }

    /// Fed in pieces of each length: always the same must come.
    fn decode(encoding: LogEncoding, code_page: CodePage, bytes: &[u8]) -> Vec<u8> {
        let mut all: Option<Vec<u8>> = None;
        for length in 1..=bytes.len().max(1) {
            let mut decoder = Decoder::new(encoding, code_page);
            let mut out = Vec::new();
            bytes.chunks(length).for_each(|chunk| decoder.feed(chunk, &mut out));
            decoder.finish(&mut out);
            assert_eq!(all.get_or_insert_with(|| out.clone()), &out, "in pieces of {length}");
        }
        all.unwrap_or_default()
    }

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        let units = format!("{mark}{text}").encode_utf16().collect::<Vec<u16>>();
        units.iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn utf_16_is_recognised_and_becomes_utf_8() {
        let text = "one ü € 😀\r\ntwo\n";
        for big in [false, true] {
            for mark in [false, true] {
                let out = decode(LogEncoding::Auto, no_page, &utf16(text, big, mark));
                assert_eq!(String::from_utf8(out).unwrap(), text, "big {big}, mark {mark}");
            }
        }
        assert_eq!(decode(LogEncoding::Utf16le, no_page, &utf16("ü", false, false)), "ü".as_bytes());
        assert_eq!(decode(LogEncoding::Utf16be, no_page, &utf16("ü", true, false)), "ü".as_bytes());
        // Half a character, and one byte too many.
        let mut torn = utf16("ab😀", false, true);
        torn.truncate(torn.len() - 2);
        torn.push(b'x');
        assert_eq!(decode(LogEncoding::Auto, no_page, &torn), "ab\u{fffd}\u{fffd}".as_bytes());
    }

    #[test]
    fn what_is_no_utf_16_stays_or_comes_from_the_code_page() {
        let binary: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(LogEncoding::Auto, no_page, &binary), binary);
        assert_eq!(decode(LogEncoding::Raw, page, &binary), binary);
        for text in ["", "x", "ab", "plain\nlines\n", "größer\n€\n", "no end: €"] {
            assert_eq!(decode(LogEncoding::Auto, page, text.as_bytes()), text.as_bytes(), "{text}");
        }
        assert_eq!(decode(LogEncoding::Auto, page, b"\xef\xbb\xbfmarked\n"), b"marked\n");
        // Line by line: one in UTF-8, one not.
        let out = decode(LogEncoding::Auto, page, b"gr\xc3\xb6\xc3\x9fer\nM\x81nchen\n");
        assert_eq!(String::from_utf8(out).unwrap(), "größer\nM\u{101}nchen\n");
        let out = decode(LogEncoding::Console, page, "ö\n".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), "\u{143}\u{136}\n");
    }

    fn shape(format: LogFormat, stream: Option<&'static str>) -> Shape {
        let mut shape = Shape::of(7, stream, format, LogEncoding::Console).unwrap();
        shape.decoder = Decoder::new(LogEncoding::Raw, no_page);
        shape
    }

    fn shaped(format: LogFormat, stream: Option<&'static str>, parts: &[&[u8]]) -> String {
        let mut shape = shape(format, stream);
        let mut out = Vec::new();
        parts.iter().enumerate().for_each(|(n, part)| shape.feed(part, n as u64 * 1500, &mut out));
        shape.finish(9000, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_begins_with_its_time() {
        let parts: [&[u8]; 3] = [b"one\ntw", b"o\n\nthr", b"ee"];
        assert_eq!(
            shaped(LogFormat::Timestamps, None, &parts),
            "1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.000Z two\n\
             1970-01-01T00:00:01.500Z \n1970-01-01T00:00:01.500Z three\n"
        );
    }

    #[test]
    fn each_line_is_an_object() {
        let parts: [&[u8]; 3] = [b"one\r\ntw", b"o \"\x1b[1m\"\n\xff\x00\n", b"rest"];
        assert_eq!(
            shaped(LogFormat::Json, Some("stderr"), &parts),
            [
                r#"{"run":7,"stream":"stderr","text":"one","time":"1970-01-01T00:00:00.000Z"}"#,
                r#"{"run":7,"stream":"stderr","text":"two \"\u001b[1m\"","time":"1970-01-01T00:00:01.500Z"}"#,
                "{\"base64\":\"/wA=\",\"run\":7,\"stream\":\"stderr\",\"text\":\"\u{fffd}\\u0000\",\"time\":\"1970-01-01T00:00:01.500Z\"}",
                r#"{"run":7,"stream":"stderr","text":"rest","time":"1970-01-01T00:00:09.000Z"}"#,
                ""
            ]
            .join("\n")
        );
    }

    #[test]
    fn a_line_without_an_end_is_taken_in_pieces() {
        let line = "€".repeat(100_000) + "\nafter\n";
        let mut shape = shape(LogFormat::Json, None);
        let mut out = Vec::new();
        for part in line.as_bytes().chunks(7_777) {
            shape.feed(part, 0, &mut out);
            assert!(shape.line.len() <= PIECE + 4, "what is held back is bounded");
        }
        let objects: Vec<serde_json::Value> =
            out.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let text = |object: &serde_json::Value| object["text"].as_str().unwrap().to_owned();
        let (last, pieces) = objects.split_last().unwrap();
        assert_eq!((text(last), pieces.len()), ("after".to_owned(), 5));
        assert_eq!(pieces.iter().map(text).collect::<String>() + "\nafter\n", line);
        assert_eq!(pieces.iter().filter(|object| object["partial"] == true).count(), 4);
        assert!(objects.iter().all(|object| object["base64"].is_null()), "no character is cut");
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
