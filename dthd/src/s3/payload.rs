//! The bytes of an object or a part, in the pieces in which they arrived.
//!
//! Pieces are shared, never copied: a request that is sent again, or hashed beside being sent, uses the same memory.

use bytes::Bytes;
use md5::{Digest, Md5};

use super::verify::{Crc, Md5Sum};

/// See the module. Cheap to clone for small objects: one reference per piece.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pieces: Vec<Bytes>,
    len: u64,
}

impl Payload {
    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len() as u64;
            self.pieces.push(piece);
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order; none is empty.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The checksum of all bytes.
    #[must_use]
    pub fn crc(&self, crc: Crc) -> u64 {
        let mut digest = crc_fast::Digest::new(crc.algorithm());
        for piece in &self.pieces {
            digest.update(piece);
        }
        digest.finalize()
    }

    /// The MD5 of all bytes.
    #[must_use]
    pub fn md5(&self) -> Md5Sum {
        let mut md5 = Md5::new();
        for piece in &self.pieces {
            md5.update(piece);
        }
        Md5Sum(md5.finalize().into())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let mut payload = Self::default();
        payload.push(bytes);
        payload
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cuts_change_nothing(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let whole = pieces.concat();
            let mut payload = Payload::default();
            for piece in pieces {
                payload.push(piece.into());
            }
            prop_assert_eq!(payload.len(), whole.len() as u64);
            prop_assert_eq!(payload.pieces().concat(), whole.clone());
            prop_assert_eq!(payload.md5(), Md5Sum::of(&whole));
            for crc in [Crc::Crc64Nvme, Crc::Crc32c, Crc::Crc32] {
                prop_assert_eq!(payload.crc(crc), crc.of(&whole));
            }
        }
    }
}
