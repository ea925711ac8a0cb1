//! The lines of a prefix list, in whatever pieces its bytes come.

use crate::s3::key::LONGEST_KEY;

const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of a line that are kept: with a byte order mark and a carriage return, one byte too many can still be told.
const KEPT: usize = LONGEST_KEY + MARK.len() + 2;
/// Bad lines that are named.
const NAMED: usize = 10;

/// Reads lines: `\n` and `\r\n` end them, the last one needs no end, blank ones mean nothing, a byte order mark at the front is none of
/// them. Everything else stands for itself, blanks too: keys may have them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// Bytes of the line, kept or not.
    length: usize,
    number: u64,
    good: u64,
    bad: u64,
    named: Vec<String>,
}

impl Lines {
    /// Hands every line that ends in `bytes` to `each`.
    pub(super) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.add(&rest[..end]);
            self.finish(&mut each);
            rest = &rest[end + 1..];
        }
        self.add(rest);
    }

    /// Hands the line that has no end to `each`, and tells what is wrong with the list: lines that are no prefixes, each by its number, or
    /// no line at all.
    pub(super) fn end(&mut self, mut each: impl FnMut(&str)) -> Result<(), String> {
        if self.length > 0 {
            self.finish(&mut each);
        }
        match (self.bad, self.good) {
            (0, 0) => Err("has no prefix in it: nothing would be copied; write one prefix per line".to_owned()),
            (0, _) => Ok(()),
            (bad, _) => {
                let more = bad - self.named.len() as u64;
                let more = if more == 0 { String::new() } else { format!("; and {more} more") };
                Err(format!("has lines that are no prefixes: {}{more}; correct them", self.named.join("; ")))
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let room = KEPT.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
    }

    fn finish(&mut self, each: &mut impl FnMut(&str)) {
        self.number += 1;
        let kept = std::mem::take(&mut self.line);
        let cut = self.length - kept.len();
        self.length = 0;
        let mut line = kept.as_slice();
        if self.number == 1 {
            line = line.strip_prefix(MARK).unwrap_or(line);
        }
        if cut == 0 {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        match std::str::from_utf8(line) {
            _ if line.is_empty() => {}
            _ if line.len() + cut > LONGEST_KEY => {
                self.refuse(&format!("has {} bytes, and a key at most {LONGEST_KEY}", line.len() + cut));
            }
            Ok(text) => {
                self.good += 1;
                each(text);
            }
            Err(_) => self.refuse("is not UTF-8"),
        }
        self.line = kept;
        self.line.clear();
    }

    fn refuse(&mut self, why: &str) {
        self.bad += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("line {} {why}", self.number));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], piece: usize) -> (Vec<String>, Result<(), String>) {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            lines.take(piece, |line| got.push(line.to_owned()));
        }
        let end = lines.end(|line| got.push(line.to_owned()));
        (got, end)
    }

    #[test]
    fn every_way_to_end_a_line() {
        for (bytes, wanted) in [
            (&b"a/\nb/\n"[..], vec!["a/", "b/"]),
            (b"a/\r\nb/\r\n", vec!["a/", "b/"]),
            (b"a/\n\n\r\n\nb/", vec!["a/", "b/"]),
            (b"\xef\xbb\xbfa/\nb/\r", vec!["a/", "b/"]),
            (b" a \n\tb\n", vec![" a ", "\tb"]),
            (b"a\rb\n", vec!["a\rb"]),
            ("é\n\u{10000}".as_bytes(), vec!["é", "\u{10000}"]),
        ] {
            for piece in 1..=bytes.len() {
                let (got, end) = read(bytes, piece);
                assert_eq!((got, end), (wanted.iter().map(|&w| w.to_owned()).collect(), Ok(())), "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn bad_lines_are_named_by_their_numbers() {
        let (long, longest) = ("x".repeat(LONGEST_KEY + 1), "y".repeat(LONGEST_KEY));
        let bytes = [b"good\n\xff\xfe\n".as_slice(), long.as_bytes(), b"\r\n", longest.as_bytes(), b"\r\n"].concat();
        for piece in [1, 7, 5_000] {
            let (got, end) = read(&bytes, piece);
            assert_eq!(got, ["good", longest.as_str()]);
            let why = end.expect_err("two bad lines");
            assert_eq!(
                why,
                "has lines that are no prefixes: line 2 is not UTF-8; line 3 has 1025 bytes, and a key at most 1024; correct them"
            );
        }
        let why = read(&b"\xff\n".repeat(25), 9).1.expect_err("all bad");
        assert!(why.contains("line 10 is not UTF-8; and 15 more"), "{why}");
    }

    #[test]
    fn a_list_without_a_prefix_is_an_error() {
        for bytes in [&b""[..], b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"] {
            assert!(read(bytes, 3).1.expect_err("empty").starts_with("has no prefix in it"), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn memory_is_that_of_one_line(length in 0usize..20_000, piece in 1usize..3_000) {
            let mut lines = Lines::default();
            for piece in vec![b'x'; length].chunks(piece) {
                lines.take(piece, |_| ());
                prop_assert!(lines.line.len() <= KEPT);
            }
            let fits = (1..=LONGEST_KEY).contains(&length);
            prop_assert_eq!(lines.end(|_| ()).is_ok(), fits);
        }
    }
}
