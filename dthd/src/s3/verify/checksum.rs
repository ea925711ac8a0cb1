//! Checksums in every algorithm that S3 stores with objects, as they stand in headers.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{Crc, IN_PLACE, StoredChecksum, stored};
use crate::s3::payload::Payload;

/// The longest value, SHA-256's, in bytes.
const LONGEST: usize = 32;

/// An algorithm of `x-amz-checksum-…` (AWS: "Checking object integrity in Amazon S3").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// One whose value for a whole object follows from those of its parts.
    Crc(Crc),
    /// Over the values of the parts, where an object has parts.
    Sha1,
    /// Likewise.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc(Crc::Crc64Nvme), Self::Crc(Crc::Crc32c), Self::Crc(Crc::Crc32), Self::Sha1, Self::Sha256];

    /// The one that a task file or `x-amz-checksum-algorithm` names: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc(Crc::Crc64Nvme) => "CRC64NVME",
            Self::Crc(Crc::Crc32c) => "CRC32C",
            Self::Crc(Crc::Crc32) => "CRC32",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header of its values.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc(Crc::Crc64Nvme) => "x-amz-checksum-crc64nvme",
            Self::Crc(Crc::Crc32c) => "x-amz-checksum-crc32c",
            Self::Crc(Crc::Crc32) => "x-amz-checksum-crc32",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element of its values in XML.
    #[must_use]
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc(Crc::Crc64Nvme) => "ChecksumCRC64NVME",
            Self::Crc(Crc::Crc32c) => "ChecksumCRC32C",
            Self::Crc(Crc::Crc32) => "ChecksumCRC32",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// Bytes of a value.
    fn width(self) -> usize {
        match self {
            Self::Crc(crc) => crc.width(),
            Self::Sha1 => 20,
            Self::Sha256 => LONGEST,
        }
    }

    /// The value over some bytes; that of a SHA over many of them is computed away from the reactor.
    pub async fn of(self, bytes: &Payload) -> Checksum {
        match self {
            Self::Crc(crc) => stored(bytes, crc).into(),
            _ if bytes.len() <= IN_PLACE => self.sha(bytes),
            _ => {
                let shared = bytes.clone();
                // not run only when the runtime is going down: nobody else computes now
                tokio::task::spawn_blocking(move || self.sha(&shared)).await.unwrap_or_else(|_| self.sha(bytes))
            }
        }
    }

    fn sha(self, bytes: &Payload) -> Checksum {
        let mut context = Context::new(if self == Self::Sha256 { &SHA256 } else { &SHA1_FOR_LEGACY_USE_ONLY });
        bytes.pieces().iter().for_each(|piece| context.update(piece));
        Checksum::of_bytes(self, context.finish().as_ref())
    }
}

/// A checksum of one object without parts, of one part, or, of a CRC, of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which.
    pub algorithm: Algorithm,
    bytes: [u8; LONGEST],
}

impl Checksum {
    fn of_bytes(algorithm: Algorithm, value: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let width = algorithm.width().min(value.len());
        bytes[..width].copy_from_slice(&value[..width]);
        Self { algorithm, bytes }
    }

    /// Reads the value of a header; `None` for values over those of parts (`…-N`), and for what is none.
    #[must_use]
    pub fn parse(algorithm: Algorithm, text: &str) -> Option<Self> {
        let value = BASE64.decode(text.trim()).ok().filter(|value| value.len() == algorithm.width())?;
        Some(Self::of_bytes(algorithm, &value))
    }

    /// The first one that `get` has a value for.
    pub fn first<'a>(get: impl Fn(Algorithm) -> Option<&'a str>) -> Option<Self> {
        Algorithm::ALL.into_iter().find_map(|algorithm| Self::parse(algorithm, get(algorithm)?))
    }

    /// As in the header.
    #[must_use]
    pub fn base64(&self) -> String {
        BASE64.encode(&self.bytes[..self.algorithm.width()])
    }

    /// The same, where it is a CRC.
    #[must_use]
    pub fn crc(&self) -> Option<StoredChecksum> {
        let Algorithm::Crc(crc) = self.algorithm else { return None };
        let value = self.bytes[..crc.width()].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some(StoredChecksum { crc, value })
    }
}

impl From<StoredChecksum> for Checksum {
    fn from(stored: StoredChecksum) -> Self {
        Self::of_bytes(Algorithm::Crc(stored.crc), &stored.value.to_be_bytes()[8 - stored.crc.width()..])
    }
}

/// What the stored checksums of two objects of equal size say about their content, each as algorithm and value of the header; `None`:
/// nothing. Values over those of parts depend on how the objects were cut: only equal ones prove something.
#[must_use]
pub fn is_same(ours: &[(Algorithm, String)], theirs: &[(Algorithm, String)]) -> Option<bool> {
    let both = ours.iter().filter_map(|(algorithm, a)| Some((a, &theirs.iter().find(|(other, _)| other == algorithm)?.1)));
    let verdicts = both.map(|(a, b)| match (a == b, a.contains('-') || b.contains('-')) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    });
    verdicts.fold(None, |known, verdict| if known == Some(false) { known } else { verdict.or(known) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Published values for "123456789": the CRC catalogue, and NIST's algorithms.
    #[tokio::test]
    async fn values_are_the_published_ones() {
        let mut bytes = Payload::default();
        for piece in ["1234", "", "56789"] {
            bytes.push(Bytes::from(piece));
        }
        for (name, value) in [
            ("CRC64NVME", "rosUhgp5mIg="),
            ("CRC32C", "4waSgw=="),
            ("CRC32", "y/Q5Jg=="),
            ("SHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let algorithm = Algorithm::named(name).expect("known");
            let sum = algorithm.of(&bytes).await;
            assert_eq!((sum.base64().as_str(), algorithm.name()), (value, name));
            assert_eq!(Checksum::parse(algorithm, value), Some(sum));
            assert_eq!(sum.crc().map(Checksum::from), matches!(algorithm, Algorithm::Crc(_)).then_some(sum));
            assert_eq!(Checksum::parse(algorithm, &format!("{value}-2")), None, "over parts");
        }
        assert_eq!(Algorithm::named("MD5"), None);
        assert_eq!(
            Checksum::first(|a| (a == Algorithm::Sha1).then_some("98O8HYCOBHMq32eZZczDTKeuNEE=")).map(|c| c.algorithm),
            Some(Algorithm::Sha1)
        );
    }

    #[tokio::test]
    async fn large_bodies_are_hashed_elsewhere_with_the_same_result() {
        let large = Payload::from(Bytes::from(vec![7; usize::try_from(IN_PLACE).expect("small") + 1]));
        assert_eq!(Algorithm::Sha256.of(&large).await, Algorithm::Sha256.sha(&large));
    }

    #[test]
    fn what_stored_checksums_say() {
        let sums = |all: &[(&str, &str)]| -> Vec<(Algorithm, String)> {
            all.iter().map(|(name, value)| (Algorithm::named(name).expect("known"), (*value).to_owned())).collect()
        };
        for (ours, theirs, expected) in [
            (&[("CRC32", "a")][..], &[("CRC32", "a")][..], Some(true)),
            (&[("CRC32", "a")], &[("CRC32", "b")], Some(false)),
            (&[("CRC32", "a")], &[("CRC32C", "a")], None),
            (&[("CRC32", "a-2")], &[("CRC32", "a-2")], Some(true)),
            (&[("CRC32", "a-2")], &[("CRC32", "b-3")], None),
            (&[("CRC32", "a-2")], &[("CRC32", "b")], None),
            (&[("SHA1", "a-2"), ("CRC32", "a")], &[("SHA1", "b-2"), ("CRC32", "a")], Some(true)),
            (&[("SHA1", "a"), ("CRC32", "a")], &[("SHA1", "a"), ("CRC32", "b")], Some(false)),
            (&[], &[("CRC32", "a")], None),
        ] {
            assert_eq!(is_same(&sums(ours), &sums(theirs)), expected, "{ours:?} {theirs:?}");
        }
    }
}
