//! The bytes of an object or a part, in the pieces in which they arrived.
//!
//! Pieces are shared, never copied: a request that is sent again, or hashed beside being sent, uses the same memory.

use bytes::{Bytes, BytesMut};
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

/// Bytes allocated at once for a body that arrives.
const SLAB: usize = 1 << 20;

/// A body of known length while it arrives.
///
/// What the connection hands out are slices of its read buffers, which are as large as the largest read and seldom full: a part made
/// of them holds memory that nobody counts, and every read needs a new, cold buffer. One copy out of a buffer that is still in the
/// cache costs little beside that.
#[derive(Debug)]
pub(super) struct Arriving {
    payload: Payload,
    slab: BytesMut,
    left: u64,
}

impl Arriving {
    /// Nothing of `size` bytes yet.
    pub(super) fn new(size: u64) -> Self {
        Self { payload: Payload::default(), slab: BytesMut::new(), left: size }
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        self.payload.len() + self.slab.len() as u64
    }

    /// Takes bytes in, unless they are more than the body should have; whether they were taken.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> bool {
        if bytes.len() as u64 > self.left {
            return false;
        }
        while !bytes.is_empty() {
            if self.slab.capacity() == 0 {
                let room = usize::try_from(self.left).unwrap_or(SLAB).min(SLAB);
                self.slab = BytesMut::with_capacity(room);
            }
            let room = self.slab.capacity() - self.slab.len();
            let (fits, rest) = bytes.split_at(room.min(bytes.len()));
            self.slab.extend_from_slice(fits);
            self.left -= fits.len() as u64;
            if fits.len() == room || self.left == 0 {
                self.payload.push(std::mem::take(&mut self.slab).freeze());
            }
            bytes = rest;
        }
        true
    }

    /// The body; `Err`: so many bytes of it had arrived.
    pub(super) fn finish(self) -> Result<Payload, u64> {
        if self.left == 0 { Ok(self.payload) } else { Err(self.len()) }
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
            let mut arriving = Arriving::new(whole.len() as u64);
            for piece in payload.pieces() {
                prop_assert!(arriving.add(piece));
            }
            prop_assert!(!arriving.add(b"more"));
            prop_assert_eq!(arriving.finish().expect("all arrived").pieces().concat(), whole.clone());
            for crc in [Crc::Crc64Nvme, Crc::Crc32c, Crc::Crc32] {
                prop_assert_eq!(payload.crc(crc), crc.of(&whole));
            }
        }
    }

    #[test]
    fn large_bodies_arrive_in_slabs() {
        let size = 2 * SLAB as u64 + 5;
        let mut arriving = Arriving::new(size);
        let piece = vec![7; SLAB - 1];
        assert!(arriving.add(&piece) && arriving.add(&piece) && arriving.add(b"1234"));
        assert_eq!(arriving.len(), size - 3);
        assert!(!arriving.add(b"1234"), "more than there should be");
        assert!(arriving.add(b"567"));
        let payload = arriving.finish().expect("all arrived");
        let lens: Vec<usize> = payload.pieces().iter().map(Bytes::len).collect();
        assert_eq!((lens, payload.len()), (vec![SLAB, SLAB, 5], size));
        assert_eq!(Arriving::new(9).finish().expect_err("nothing arrived"), 0);
    }
}
