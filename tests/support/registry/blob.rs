//! The content of blobs: kept, forgotten, or made up without ever being written down.

use std::sync::OnceLock;

use bytes::Bytes;

use super::digest;
use crate::s3::Data;

/// Bytes that made-up content repeats: a prime, so that no two parts of equal size at round offsets are equal, and parts that changed
/// places change the digest.
const PERIOD: usize = 1_048_573;

/// Content under its digest. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    digest: String,
    length: u64,
    content: Option<Data>,
}

impl Blob {
    /// A blob of these bytes.
    #[must_use]
    pub fn new(content: impl Into<Data>) -> Self {
        let content = content.into();
        Self { digest: digest::sha256(&content), length: content.len(), content: Some(content) }
    }

    /// A blob of `length` bytes that follow from `seed`; however long, it takes about a MiB of memory, shared by all.
    #[must_use]
    pub fn made(seed: u64, length: u64) -> Self {
        // an odd factor mixes the seed into the first bytes, so that short blobs differ as well
        let mut segments = vec![Bytes::from(format!("{:016x} {length:016x}\n", seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))];
        let mut left = length.saturating_sub(segments[0].len() as u64);
        while left > 0 {
            let take = left.min(PERIOD as u64);
            segments.push(noise().slice(..take as usize));
            left -= take;
        }
        Self::new(Data::from(segments).slice(0..length))
    }

    /// A blob with other bytes than its digest says, as far as anyone told it.
    pub(super) fn claimed(digest: &str, length: u64, content: Option<Data>) -> Self {
        Self { digest: digest.to_owned(), length, content }
    }

    /// `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its bytes; `None`: they were not kept.
    #[must_use]
    pub fn content(&self) -> Option<&Data> {
        self.content.as_ref()
    }
}

/// The same with one bit turned around, at `index` (counted modulo the length); shares all other memory.
pub(super) fn flipped(data: &Data, index: u64) -> Data {
    let Some(at) = index.checked_rem(data.len()) else { return data.clone() };
    let byte = data.slice(at..at + 1).to_bytes()[0] ^ 1;
    Data::join([&data.slice(0..at), &Data::from(Bytes::from(vec![byte])), &data.slice(at + 1..data.len())])
}

fn noise() -> &'static Bytes {
    static NOISE: OnceLock<Bytes> = OnceLock::new();
    NOISE.get_or_init(|| {
        // xorshift64*: the same bytes in every run
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(PERIOD + 8);
        while bytes.len() < PERIOD {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        bytes.truncate(PERIOD);
        bytes.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_content_is_its_own() {
        let blob = Blob::made(1, 3_000_000);
        assert_eq!((blob.len(), blob.content().map(Data::len)), (3_000_000, Some(3_000_000)));
        assert_eq!(blob, Blob::made(1, 3_000_000));
        assert_ne!(blob.digest(), Blob::made(2, 3_000_000).digest());
        assert_eq!((Blob::made(1, 0).len(), Blob::made(1, 5).len()), (0, 5));
        assert_ne!(Blob::made(1, 5), Blob::made(2, 5));
        let content = blob.content().expect("made content is there");
        assert_ne!(content.slice(1_000_000..1_100_000), content.slice(2_000_000..2_100_000));
    }

    #[test]
    fn one_bit_is_flipped() {
        let data = Blob::made(3, 1_500_000).content().expect("made content is there").clone();
        let bad = flipped(&data, 1_200_000);
        assert_eq!((bad.len(), bad.slice(0..1_200_000) == data.slice(0..1_200_000)), (data.len(), true));
        assert_ne!(bad.slice(1_200_000..1_200_001), data.slice(1_200_000..1_200_001));
        assert_eq!(flipped(&bad, 1_200_000), data);
        assert!(flipped(&Data::default(), 3).is_empty());
    }
}
