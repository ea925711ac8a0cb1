//! What is in the objects: the same megabyte again and again, so that every digest is known without reading a byte.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use hyper::body::{Body, Frame, SizeHint};
use md5::{Digest as _, Md5};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// The content repeats after so many bytes. Parts that begin at a multiple of it have digests that depend on their length only.
pub const PERIOD: u64 = 1 << 20;
/// Objects above this have the ETag of a multipart upload in parts of this size.
pub const PART: u64 = 8 << 20;

/// Content of every object, and its digests by length.
#[derive(Debug)]
pub struct Content {
    period: Bytes,
    sums: Mutex<HashMap<u64, Sums>>,
}

/// Digests of the first bytes of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// MD5.
    pub md5: [u8; 16],
    /// CRC-64/NVME.
    pub crc: u64,
}

impl Sums {
    /// As in `x-amz-checksum-crc64nvme`.
    #[must_use]
    pub fn crc_base64(self) -> String {
        BASE64.encode(self.crc.to_be_bytes())
    }
}

impl Default for Content {
    fn default() -> Self {
        let mut period = vec![0; PERIOD as usize];
        StdRng::seed_from_u64(0x00d7_4b43).fill_bytes(&mut period);
        Self { period: Bytes::from(period), sums: Mutex::default() }
    }
}

impl Content {
    /// The bytes `start..end` of an object.
    #[must_use]
    pub fn body(&self, start: u64, end: u64) -> Pieces {
        Pieces { period: self.period.clone(), at: start, end: end.max(start) }
    }

    /// Digests of `len` bytes that begin at a multiple of [`PERIOD`].
    #[must_use]
    pub fn sums(&self, len: u64) -> Sums {
        let mut known = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(len).or_insert_with(|| {
            let mut md5 = Md5::new();
            let mut crc = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
            let mut pieces = self.body(0, len);
            while let Some(piece) = pieces.take() {
                md5.update(&piece);
                crc.update(&piece);
            }
            Sums { md5: md5.finalize().into(), crc: crc.finalize() }
        })
    }

    /// The ETag of an object of `size` bytes, without quotes: its MD5, or that of its parts of [`PART`].
    #[must_use]
    pub fn etag(&self, size: u64) -> String {
        if size <= PART {
            return hex(&self.sums(size).md5);
        }
        self.multipart_etag((0..size.div_ceil(PART)).map(|n| PART.min(size - n * PART)))
    }

    /// The ETag of an object of parts of these sizes, each of them (but the last) a multiple of [`PERIOD`].
    #[must_use]
    pub fn multipart_etag(&self, parts: impl IntoIterator<Item = u64>) -> String {
        let (mut md5, mut count) = (Md5::new(), 0);
        for len in parts {
            md5.update(self.sums(len).md5);
            count += 1;
        }
        format!("{}-{count}", hex(&md5.finalize()))
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body that repeats one buffer without copying it.
#[derive(Debug)]
pub struct Pieces {
    period: Bytes,
    at: u64,
    end: u64,
}

impl Pieces {
    /// A body of just these bytes.
    #[must_use]
    pub fn once(bytes: Bytes) -> Self {
        Self { at: 0, end: bytes.len() as u64, period: bytes }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.at
    }

    /// The next piece.
    fn take(&mut self) -> Option<Bytes> {
        if self.at == self.end {
            return None;
        }
        let from = (self.at % self.period.len() as u64) as usize;
        let len = (self.period.len() - from).min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        self.at += len as u64;
        Some(self.period.slice(from..from + len))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut pieces: Pieces) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.take() {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[test]
    fn digests_are_those_of_the_bytes() {
        let content = Content::default();
        for size in [0, 1, 4_096, PERIOD - 1, PERIOD + 7, PART] {
            let bytes = read(content.body(0, size));
            assert_eq!(bytes.len() as u64, size);
            assert_eq!(content.etag(size), hex(&Md5::digest(&bytes)));
            assert_eq!(content.sums(size).crc, crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes));
        }
        let size = 2 * PART + 5;
        let bytes = read(content.body(0, size));
        let md5s: Vec<u8> = bytes.chunks(PART as usize).flat_map(|part| Md5::digest(part).to_vec()).collect();
        assert_eq!(content.etag(size), format!("{}-3", hex(&Md5::digest(&md5s))));
        assert_eq!(content.multipart_etag([5 * PERIOD, 3]), {
            let md5s = [Md5::digest(&bytes[..5 * PERIOD as usize]), Md5::digest(&bytes[..3])].concat();
            format!("{}-2", hex(&Md5::digest(&md5s)))
        });
    }

    #[test]
    fn ranges_are_windows_on_the_whole() {
        let content = Content::default();
        let whole = read(content.body(0, 3 * PERIOD));
        for (start, end) in [(0, 0), (5, 9), (PERIOD - 1, PERIOD + 1), (PERIOD, 3 * PERIOD), (7, 2 * PERIOD + 3)] {
            assert_eq!(read(content.body(start, end)), whole[start as usize..end as usize]);
        }
    }
}
