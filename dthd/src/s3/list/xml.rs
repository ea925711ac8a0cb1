//! From the bodies of answers to a page of objects, of versions or of parts, and to whether a bucket keeps versions: in one pass, and without
//! a copy of anything but keys and entity tags.

mod parts;
mod reader;
#[cfg(test)]
mod tests;
mod text;
mod versioning;
mod versions;

use dth_proto::{failure::FailureClass, time::Timestamp};

use self::reader::{Element, Reader, Text};
pub use self::{
    parts::{ScannedParts, scan_parts},
    versioning::scan_versioning,
    versions::{ScannedVersions, scan_versions},
};
use super::Answer;
use crate::s3::{
    object::bare,
    page::{EntryRef, Page, PageError},
};

/// Why a body is no page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Not XML, or of a kind that no store sends.
    #[error("the listing is not XML: {what} at byte {at}")]
    NotXml {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The document has no end: what came says nothing about the keys that did not.
    #[error("the listing ends after {bytes} bytes, in the middle of it")]
    Truncated {
        /// Length of the body.
        bytes: usize,
    },
    /// XML, but neither a listing nor an error.
    #[error("the store answered with a {root:?} document when asked for a listing")]
    OtherDocument {
        /// The name of its outermost element.
        root: String,
    },
    /// The store says why there is no listing (also behind a status of 200).
    #[error("{code}: {message}")]
    Store {
        /// The store's code, as in [`classify`](crate::s3::error::classify).
        code: String,
        /// The store's words.
        message: String,
    },
    /// An object without a key.
    #[error("an object of the listing has no key")]
    NoKey,
    /// An object without a size.
    #[error("{key:?} has no size in the listing")]
    NoSize {
        /// Its key.
        key: String,
    },
    /// A text that is not UTF-8, which keys of S3 are.
    #[error("{element} {text:?} of the listing is not UTF-8: copy this object by other means, or exclude its prefix")]
    NotUtf8 {
        /// `Key` for a key.
        element: &'static str,
        /// The text, with a mark in place of what is not.
        text: String,
    },
    /// A number, time or truth that is none.
    #[error("{element} {text:?} of the listing makes no sense")]
    BadValue {
        /// The element.
        element: &'static str,
        /// What it holds.
        text: String,
    },
    /// More than a page holds.
    #[error("the listing is beyond what a store lists: {0}")]
    Page(#[from] PageError),
}

impl ScanError {
    /// Whether asking again can help. What a store says itself is for [`classify`](crate::s3::error::classify).
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            // a proxy in between may say anything for a while
            Self::NotXml { .. } | Self::OtherDocument { .. } => FailureClass::Transient,
            Self::Truncated { .. } | Self::NoKey | Self::NoSize { .. } | Self::Store { .. } => FailureClass::Transient,
            Self::NotUtf8 { .. } | Self::BadValue { .. } | Self::Page(_) => FailureClass::Permanent,
        }
    }

    /// The code for records and reports: the store's own, else one of ours.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Store { code, .. } => code,
            Self::NotXml { .. } | Self::OtherDocument { .. } => "UnexpectedAnswer",
            Self::Truncated { .. } | Self::NoKey | Self::NoSize { .. } => "IncompletePage",
            Self::NotUtf8 { .. } => "InvalidKey",
            Self::BadValue { .. } | Self::Page(_) => "InvalidPage",
        }
    }
}

/// Reads an answer to `ListObjectsV2` or `ListObjects`. Keys, and the marker of version 1, are decoded if the answer says so in its
/// `EncodingType`. In version 1 without `NextMarker` the listing goes on behind the last key: `next` is empty then.
///
/// # Errors
/// [`ScanError`]: there is no such thing as half a page.
pub fn scan(body: &[u8]) -> Result<Answer, ScanError> {
    let mut reader = Reader::new(body);
    let root = root(&mut reader, |name| name == b"ListBucketResult")?;
    let answer = Scan::default().listing(&mut reader, root)?;
    reader.end()?;
    Ok(answer)
}

/// The outermost element, which is one of ours by its name.
///
/// # Errors
/// What the store says, where it is an error; [`ScanError::OtherDocument`].
fn root<'a>(reader: &mut Reader<'a>, is_ours: impl Fn(&[u8]) -> bool) -> Result<Element<'a>, ScanError> {
    let root = reader.root()?;
    match root.local() {
        b"Error" => Err(store_error(reader, root)?),
        name if is_ours(name) => Ok(root),
        other => Err(ScanError::OtherDocument { root: lossy(other) }),
    }
}

fn store_error<'a>(reader: &mut Reader<'a>, root: Element<'a>) -> Result<ScanError, ScanError> {
    let (mut code, mut message, mut buffer) = (String::new(), String::new(), Vec::new());
    while let Some(element) = reader.child(root)? {
        let into = match element.local() {
            b"Code" => &mut code,
            b"Message" => &mut message,
            _ => {
                reader.skip(element)?;
                continue;
            }
        };
        *into = lossy(reader.bytes(element, &mut buffer)?.trim_ascii());
    }
    Ok(ScanError::Store { code, message })
}

/// What is known so far.
#[derive(Default)]
struct Scan {
    page: Page,
    /// Keys are encoded.
    encoded: bool,
    truncated: Option<bool>,
    token: Option<String>,
    marker: Option<Vec<u8>>,
    buffers: Buffers,
}

/// Texts that are not in the body as they are.
#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    etag: Vec<u8>,
    class: Vec<u8>,
    other: Vec<u8>,
}

impl Scan {
    fn listing<'a>(mut self, reader: &mut Reader<'a>, root: Element<'a>) -> Result<Answer, ScanError> {
        while let Some(element) = reader.child(root)? {
            match element.local() {
                b"Contents" => self.object(reader, element)?,
                b"IsTruncated" => self.truncated = truth(reader.bytes(element, &mut self.buffers.other)?)?,
                b"NextContinuationToken" => {
                    let token = reader.bytes(element, &mut self.buffers.other)?;
                    self.token = Some(utf8("NextContinuationToken", token)?.to_owned());
                }
                b"NextMarker" => self.marker = Some(reader.bytes(element, &mut self.buffers.other)?.to_owned()),
                b"EncodingType" => {
                    let url = reader.bytes(element, &mut self.buffers.other)?.trim_ascii().eq_ignore_ascii_case(b"url");
                    if url && !self.encoded {
                        // some say it only behind the keys
                        self.page = decoded(&self.page)?;
                    }
                    self.encoded |= url;
                }
                _ => reader.skip(element)?,
            }
        }
        let marker = match self.marker {
            Some(mut marker) => {
                if self.encoded {
                    text::decode_in_place(&mut marker);
                }
                Some(utf8("NextMarker", &marker)?.to_owned())
            }
            None => None,
        };
        let next = self.token.or(marker).filter(|next| !next.is_empty());
        // a store that tells the way on, and not whether there is more, has more
        let truncated = self.truncated.unwrap_or(next.is_some());
        Ok(Answer::new(self.page, truncated, next))
    }

    fn object<'a>(&mut self, reader: &mut Reader<'a>, contents: Element<'a>) -> Result<(), ScanError> {
        let begin = reader.at();
        let Buffers { key: key_buffer, etag: etag_buffer, class: class_buffer, other } = &mut self.buffers;
        let mut key = Text::EMPTY;
        let (mut etag, mut class) = (Text::EMPTY, Text::EMPTY);
        let (mut size, mut modified) = (None, Timestamp(0));
        while let Some(element) = reader.child(contents)? {
            match element.local() {
                b"Key" => key = reader.text(element, key_buffer)?,
                b"LastModified" => modified = time(reader.bytes(element, other)?)?,
                b"ETag" => etag = reader.quoted(element, etag_buffer)?,
                b"Size" => match reader.digits(element) {
                    Some(number) => size = Some(number),
                    None => size = Some(number(reader.bytes(element, other)?)?),
                },
                b"StorageClass" => class = reader.text(element, class_buffer)?,
                _ => reader.skip(element)?,
            }
        }
        if self.encoded && text::is_encoded(key.bytes(key_buffer)) {
            if let Text::Plain(raw) = key {
                key_buffer.clear();
                key_buffer.extend_from_slice(raw);
                key = Text::Buffered;
            }
            text::decode_in_place(key_buffer);
        }
        let key = utf8("Key", key.bytes(key_buffer))?;
        if key.is_empty() {
            return Err(ScanError::NoKey);
        }
        let etag = bare(utf8("ETag", etag.bytes(etag_buffer))?);
        let class = utf8("StorageClass", class.bytes(class_buffer))?;
        let size = size.ok_or_else(|| ScanError::NoSize { key: key.to_owned() })?;
        if self.page.is_empty() {
            // the others are about as long
            let alike = reader.left() / (reader.at() - begin).max(1) + 2;
            self.page.reserve(alike, alike * (key.len() + etag.len() + 2));
        }
        self.page.push(EntryRef { key, size, etag, modified, class, version: None })?;
        Ok(())
    }
}

/// The same page with its keys decoded.
fn decoded(page: &Page) -> Result<Page, ScanError> {
    let mut decoded = Page::default();
    let mut key = Vec::new();
    for entry in page.iter() {
        key.clear();
        key.extend_from_slice(entry.key.as_bytes());
        text::decode_in_place(&mut key);
        decoded.push(EntryRef { key: utf8("Key", &key)?, ..entry })?;
    }
    Ok(decoded)
}

fn number(text: &[u8]) -> Result<u64, ScanError> {
    let digits = text.trim_ascii();
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.filter(|_| !digits.is_empty()).ok_or_else(|| ScanError::BadValue { element: "Size", text: lossy(text) })
}

fn time(text: &[u8]) -> Result<Timestamp, ScanError> {
    text::time(text).ok_or_else(|| ScanError::BadValue { element: "LastModified", text: lossy(text) })
}

fn truth(text: &[u8]) -> Result<Option<bool>, ScanError> {
    match text.trim_ascii() {
        b"" => Ok(None),
        text if text.eq_ignore_ascii_case(b"true") => Ok(Some(true)),
        text if text.eq_ignore_ascii_case(b"false") => Ok(Some(false)),
        text => Err(ScanError::BadValue { element: "IsTruncated", text: lossy(text) }),
    }
}

fn utf8<'b>(element: &'static str, text: &'b [u8]) -> Result<&'b str, ScanError> {
    std::str::from_utf8(text).map_err(|_| ScanError::NotUtf8 { element, text: lossy(text) })
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
