//! Words, ETags and texts of a record as few bytes.

use crate::{
    s3::verify::Md5Sum,
    store::{
        block::{put_varint, take, take_varint},
        words,
    },
};

/// The largest time that fits.
pub(super) const LAST_TIME: u64 = (1 << 48) - 1;
/// Instead of a word's number: a text follows.
const TEXT: u8 = u8::MAX;
/// An ETag that is text.
const ETAG_TEXT: u8 = 0;
/// An ETag that is 16 bytes in lower-case hex.
const ETAG_MD5: u8 = 1;
/// Likewise, then `-` and a number.
const ETAG_PARTS: u8 = 2;
/// The ETag before.
pub(super) const ETAG_AS_BEFORE: u8 = 3;

pub(super) struct Encoder(pub(super) Vec<u8>);

impl Encoder {
    pub(super) fn text(&mut self, text: &str) {
        put_varint(&mut self.0, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn word(&mut self, word: &str) {
        match words::number(word) {
            Some(number) => self.0.push(number),
            None => {
                self.0.push(TEXT);
                self.text(word);
            }
        }
    }

    pub(super) fn etag(&mut self, etag: &str) {
        let (digest, parts) = match etag.split_once('-') {
            Some((digest, parts)) => (digest, parts.parse::<u32>().ok().filter(|n| n.to_string() == parts).map(Some)),
            None => (etag, Some(None)),
        };
        // an ETag comes back letter by letter
        let digest = Md5Sum::from_hex(digest).filter(|_| !digest.bytes().any(|b| b.is_ascii_uppercase()));
        match (digest, parts) {
            (Some(digest), Some(parts)) => {
                self.0.push(if parts.is_some() { ETAG_PARTS } else { ETAG_MD5 });
                self.0.extend_from_slice(&digest.0);
                parts.iter().for_each(|parts| put_varint(&mut self.0, u64::from(*parts)));
            }
            _ => {
                self.0.push(ETAG_TEXT);
                self.text(etag);
            }
        }
    }
}

pub(super) struct Decoder<'b> {
    pub(super) rest: &'b [u8],
    /// Of the first version.
    pub(super) first: bool,
}

impl Decoder<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        take(&mut self.rest, 1).map(|b| b[0])
    }

    /// A number of so many bytes, at most 8.
    pub(super) fn number<const N: usize>(&mut self) -> Option<u64> {
        let bytes = take(&mut self.rest, N as u64)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = if self.first { self.number::<2>()? } else { take_varint(&mut self.rest)? };
        String::from_utf8(take(&mut self.rest, length)?.to_vec()).ok()
    }

    pub(super) fn word(&mut self) -> Option<String> {
        if self.first {
            return self.text();
        }
        match self.byte()? {
            TEXT => self.text(),
            number => words::WORDS.get(usize::from(number)).map(|word| (*word).to_owned()),
        }
    }

    pub(super) fn etag(&mut self, before: Option<&str>) -> Option<String> {
        if self.first {
            return self.text();
        }
        let kind = self.byte()?;
        match kind {
            ETAG_TEXT => self.text(),
            ETAG_MD5 | ETAG_PARTS => {
                let digest = Md5Sum(take(&mut self.rest, 16)?.try_into().ok()?).hex();
                let parts = if kind == ETAG_PARTS { Some(take_varint(&mut self.rest)?) } else { None };
                Some(parts.map_or_else(|| digest.clone(), |parts| format!("{digest}-{parts}")))
            }
            ETAG_AS_BEFORE => before.map(str::to_owned),
            _ => None,
        }
    }
}
