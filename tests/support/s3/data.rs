//! The bytes of an object: shared segments, never copied when they are read, sliced or joined.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// A sequence of bytes made of shared segments; cloning and slicing share the memory.
#[derive(Clone, Debug, Default)]
pub struct Data {
    segments: Vec<Bytes>,
    len: u64,
}

impl Data {
    /// All of `parts`, one after the other, without copying them.
    pub fn join<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let segments = parts.into_iter().flat_map(|part| part.segments.iter().cloned());
        segments.collect::<Vec<_>>().into()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments in order; none of them is empty.
    #[must_use]
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// The bytes of `range`, cut off at the end of the data.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut at = 0;
        let mut segments = Vec::new();
        for segment in &self.segments {
            let end = at + segment.len() as u64;
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                segments.push(segment.slice((from - at) as usize..(to - at) as usize));
            }
            at = end;
        }
        segments.into()
    }

    /// All bytes in one piece; copies only when there are several segments.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.segments.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.len as usize);
                many.iter().for_each(|segment| whole.extend_from_slice(segment));
                whole.freeze()
            }
        }
    }

    /// The same bytes with the one at `index` (counted modulo the length) turned around.
    #[must_use]
    pub fn corrupted(&self, index: u64) -> Self {
        let mut whole = BytesMut::from(self.to_bytes().as_ref());
        if let Some(at) = index.checked_rem(self.len) {
            whole[at as usize] ^= 0xff;
        }
        whole.freeze().into()
    }
}

impl From<Vec<Bytes>> for Data {
    fn from(mut segments: Vec<Bytes>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        let len = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments, len }
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        vec![bytes].into()
    }
}

/// By content; how it is cut into segments does not matter.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.segments.iter(), other.segments.iter());
        let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
        if self.len != other.len {
            return false;
        }
        // whole slices at a time: a comparison byte by byte through iterators takes seconds for large objects
        loop {
            left = if left.is_empty() { ours.next().map_or(left, AsRef::as_ref) } else { left };
            right = if right.is_empty() { theirs.next().map_or(right, AsRef::as_ref) } else { right };
            let common = left.len().min(right.len());
            if common == 0 {
                return true;
            }
            if left[..common] != right[..common] {
                return false;
            }
            (left, right) = (&left[common..], &right[common..]);
        }
    }
}

impl Eq for Data {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_are_those_of_the_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..6), a in 0_u64..60, b in 0_u64..60) {
            let whole: Vec<u8> = parts.concat();
            let data: Data = parts.into_iter().map(Bytes::from).collect::<Vec<_>>().into();
            let (from, to) = (a.min(b), a.max(b));
            let cut = |at: u64| (at as usize).min(whole.len());
            prop_assert_eq!(data.slice(from..to).to_bytes(), &whole[cut(from)..cut(to)]);
            prop_assert_eq!(data.len(), whole.len() as u64);
            let mut other = Data::from(Bytes::from(whole));
            prop_assert_eq!(&data, &other);
            if !other.is_empty() {
                other = other.corrupted(a);
                prop_assert_ne!(&data, &other);
            }
        }
    }

    #[test]
    fn one_byte_is_corrupted() {
        let data = Data::from(Bytes::from_static(b"abc"));
        let bad = data.corrupted(4).to_bytes();
        assert_eq!((bad[0], bad[2]), (b'a', b'c'));
        assert_ne!(bad[1], b'b');
        assert!(Data::default().corrupted(3).is_empty());
    }
}
