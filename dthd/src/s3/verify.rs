//! How it is known that the bytes at the destination are the source's: digests, and what they prove.

pub mod checksum;
pub mod plan;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

pub use self::checksum::{Algorithm, Checksum};
use super::{client::Put, object::ETag, payload::Payload, provider::Profile};

/// The MD5 of bodies up to this many bytes is computed in place: moving them to another thread costs more.
const IN_PLACE: u64 = 256 * 1024;

/// The MD5 of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Md5Sum(pub [u8; 16]);

impl Md5Sum {
    /// Computes it here.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }

    /// The one an ETag is, when it has the form.
    #[must_use]
    pub fn from_etag(etag: &ETag) -> Option<Self> {
        Self::from_hex(etag.as_str())
    }

    /// The one that 32 hex digits stand for.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut sum = [0; 16];
        for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(sum))
    }

    /// As in `Content-MD5` (RFC 1864).
    #[must_use]
    pub fn base64(&self) -> String {
        BASE64.encode(self.0)
    }

    /// As in an ETag.
    #[must_use]
    pub fn hex(&self) -> String {
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The ETag S3 gives to an object made of parts with these MD5s: the MD5 of their concatenation, `-`, their number.
#[must_use]
pub fn multipart_etag(parts: &[Md5Sum]) -> ETag {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.0);
    }
    ETag::new(&format!("{}-{}", Md5Sum(md5.finalize().into()).hex(), parts.len()))
}

/// A checksum algorithm whose value for a whole object follows from those of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crc {
    /// CRC-64/NVME, S3's default.
    Crc64Nvme,
    /// CRC-32/ISCSI.
    Crc32c,
    /// CRC-32/ISO-HDLC.
    Crc32,
}

impl Crc {
    /// As in `x-amz-checksum-…`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
        }
    }

    /// The same in crc-fast's words.
    pub(super) fn algorithm(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        }
    }

    fn width(self) -> usize {
        if self == Self::Crc64Nvme { 8 } else { 4 }
    }

    /// The checksum of some bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u64 {
        crc_fast::checksum(self.algorithm(), bytes)
    }

    /// The checksum of everything, from `(checksum, bytes)` of its parts in order.
    #[must_use]
    pub fn combine(self, parts: impl IntoIterator<Item = (u64, u64)>) -> u64 {
        let empty = self.of(b"");
        parts.into_iter().fold(empty, |sum, (part, len)| crc_fast::checksum_combine(self.algorithm(), sum, part, len))
    }
}

/// A checksum over the whole object that the source has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChecksum {
    /// Which.
    pub crc: Crc,
    /// Its value.
    pub value: u64,
}

impl StoredChecksum {
    /// Reads a header value: base64 of the big-endian checksum. Values over parts (`…-N`) are not over the whole object.
    #[must_use]
    pub fn parse(crc: Crc, text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.trim()).ok().filter(|b| b.len() == crc.width())?;
        Some(Self { crc, value: bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) })
    }

    /// As in the header.
    #[must_use]
    pub fn base64(&self) -> String {
        BASE64.encode(&self.value.to_be_bytes()[8 - self.crc.width()..])
    }
}

/// What is computed over received bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Always there when asked for.
    pub md5: Option<Md5Sum>,
    /// Likewise.
    pub crc: Option<u64>,
}

/// Computes what is asked for. A checksum is so cheap that it is computed in place; an MD5 that takes long, away from the reactor.
pub async fn sums(bytes: &Payload, md5: bool, crc: Option<Crc>) -> Sums {
    let crc = crc.map(|crc| bytes.crc(crc));
    if !md5 {
        return Sums { md5: None, crc };
    }
    if bytes.len() <= IN_PLACE {
        return Sums { md5: Some(bytes.md5()), crc };
    }
    let shared = bytes.clone();
    let md5 = match tokio::task::spawn_blocking(move || shared.md5()).await {
        Ok(md5) => md5,
        // The runtime is going down: nobody else computes now.
        Err(_) => bytes.md5(),
    };
    Sums { md5: Some(md5), crc }
}

/// The checksum of received bytes, as it goes along with them.
#[must_use]
pub fn stored(bytes: &Payload, crc: Crc) -> StoredChecksum {
    StoredChecksum { crc, value: bytes.crc(crc) }
}

/// Whether what a store answered to a write agrees with what was sent.
///
/// # Errors
/// What does not, in words.
pub fn accepted(put: &Put, md5: Option<Md5Sum>, checksum: Option<Checksum>) -> Result<(), String> {
    if let Some(md5) = md5.filter(|md5| !put.opaque_etag && contradicts(&put.etag, md5)) {
        return Err(format!("sent bytes with the MD5 {}, the store has some with the ETag {}", md5.hex(), put.etag));
    }
    match (checksum, put.checksum) {
        (Some(sent), Some(kept)) if sent.algorithm == kept.algorithm && sent != kept => {
            let algorithm = sent.algorithm.name();
            Err(format!("sent bytes with the {algorithm} {}, the store has some with {}", sent.base64(), kept.base64()))
        }
        _ => Ok(()),
    }
}

/// Whether the ETag of a completed upload shows that the store has assembled other parts than were sent. Only stores whose profile
/// says that such ETags are made of MD5s can be asked.
#[must_use]
pub fn wrongly_assembled(store: &Profile, found: &ETag, expected: &ETag) -> bool {
    store.multipart_etag_is_md5 && found.parts().is_some() && found.parts() == expected.parts() && found != expected
}

/// Whether an ETag that has the form of an MD5 says something else than `md5`. Other forms say nothing.
#[must_use]
pub fn contradicts(etag: &ETag, md5: &Md5Sum) -> bool {
    Md5Sum::from_etag(etag).is_some_and(|other| other != *md5)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::s3::provider;

    #[test]
    fn md5_in_all_its_forms() {
        let sum = Md5Sum::of(b"hello");
        assert_eq!(sum.hex(), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(sum.base64(), "XUFAKrxLKna5cZ2REBfFkg==");
        assert_eq!(Md5Sum::from_etag(&ETag::new("\"5D41402ABC4B2A76B9719D911017C592\"")), Some(sum));
        assert_eq!(Md5Sum::from_etag(&ETag::new("5d41402abc4b2a76b9719d911017c592-1")), None);
        assert!(contradicts(&ETag::new("00000000000000000000000000000000"), &sum));
        assert!(!contradicts(&ETag::new("\"5D41402ABC4B2A76B9719D911017C592\""), &sum));
        assert!(!contradicts(&ETag::new("opaque"), &sum));
    }

    #[test]
    fn etag_of_parts() {
        assert_eq!(multipart_etag(&[Md5Sum::of(b"a")]).as_str(), "b6ff9a06b7e20bcb2858c5b8ff744aea-1");
        assert_eq!(multipart_etag(&[Md5Sum::of(b"a"), Md5Sum::of(b"b")]).as_str(), "96e024ba2074fe77e8e965ba43a704be-2");
    }

    /// The check values of the CRC catalogue for "123456789".
    #[test]
    fn checksums_in_headers() {
        for (crc, value) in [(Crc::Crc64Nvme, 0xae8b_1486_0a79_9888), (Crc::Crc32c, 0xe306_9283), (Crc::Crc32, 0xcbf4_3926)] {
            let stored = StoredChecksum { crc, value };
            assert_eq!(crc.of(b"123456789"), value, "{crc:?}");
            assert_eq!(StoredChecksum::parse(crc, &stored.base64()), Some(stored));
        }
        assert_eq!(StoredChecksum::parse(Crc::Crc32, "y/Q5Jg==").map(|s| s.value), Some(0xcbf4_3926));
        assert_eq!(StoredChecksum::parse(Crc::Crc32, "y/Q5Jg==-3"), None);
        assert_eq!(StoredChecksum::parse(Crc::Crc64Nvme, "y/Q5Jg=="), None);
    }

    #[test]
    fn assembled_objects() {
        let expected = multipart_etag(&[Md5Sum::of(b"a"), Md5Sum::of(b"b")]);
        let other = multipart_etag(&[Md5Sum::of(b"b"), Md5Sum::of(b"a")]);
        let [aws, oss] = ["aws", "aliyun-oss"].map(|name| provider::find(name).expect("known"));
        assert!(wrongly_assembled(aws, &other, &expected));
        assert!(!wrongly_assembled(aws, &expected, &expected));
        assert!(!wrongly_assembled(oss, &other, &expected), "OSS computes it in another way");
        assert!(!wrongly_assembled(aws, &ETag::new("5d41402abc4b2a76b9719d911017c592"), &expected), "SSE-KMS");
    }

    proptest! {
        #[test]
        fn a_checksum_follows_from_its_parts(bytes in proptest::collection::vec(any::<u8>(), 0..600), part in 1_usize..100) {
            for crc in [Crc::Crc64Nvme, Crc::Crc32c, Crc::Crc32] {
                let parts = bytes.chunks(part).map(|c| (crc.of(c), c.len() as u64));
                prop_assert_eq!(crc.combine(parts), crc.of(&bytes));
            }
        }
    }

    #[tokio::test]
    async fn large_bodies_are_hashed_elsewhere_with_the_same_result() {
        let bytes = vec![7; usize::try_from(IN_PLACE).expect("small") + 1];
        let got = sums(&Bytes::from(bytes.clone()).into(), true, Some(Crc::Crc32)).await;
        assert_eq!(got, Sums { md5: Some(Md5Sum::of(&bytes)), crc: Some(Crc::Crc32.of(&bytes)) });
    }
}
