//! How an object is cut into parts.

use std::ops::Range;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Objects up to this many bytes are written by one PutObject.
pub const SINGLE: u64 = 16 * MIB;

/// The largest parts of a source that are repeated where they pass here: they are held in memory.
pub const REPEATED: u64 = 128 * MIB;

/// Parts that the store copies by itself are at least as large: each is a request, and no bytes pass here.
const COPIED: u64 = 512 * MIB;

/// What the destination allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLimits {
    /// Smallest size of any part but the last.
    pub min: u64,
    /// Largest size of a part.
    pub max: u64,
    /// Number of parts; 0: there are no uploads in parts.
    pub parts: u64,
}

impl Default for PartLimits {
    /// S3's own: 5 MiB to 5 GiB, 10,000 parts (Amazon S3 multipart upload limits).
    fn default() -> Self {
        Self { min: 5 * MIB, max: 5 * GIB, parts: 10_000 }
    }
}

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By one PutObject.
    Single,
    /// By parts of this many bytes; the last one may be smaller.
    Parts(u64),
}

/// The destination cannot hold an object of so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// It would have to be written in parts, which the store does not know.
    #[error("{0} bytes are more than the {SINGLE} that go into one PutObject, and the store takes no objects in parts")]
    NoParts(u64),
    /// It does not fit into the parts that the store takes.
    #[error("{size} bytes do not fit into {} parts of at most {} bytes", limits.parts, limits.max)]
    Parts {
        /// Its bytes.
        size: u64,
        /// What the store takes.
        limits: PartLimits,
    },
}

impl TooLarge {
    /// The request that could not be made.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::NoParts(_) => "PutObject",
            Self::Parts { .. } => "CreateMultipartUpload",
        }
    }

    /// The code in records: S3's own where it has one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoParts(_) => "NoMultipartUpload",
            Self::Parts { .. } => "EntityTooLarge",
        }
    }
}

/// The layout of an object of `size` bytes. `source` is the part size of the source when its parts are uniform (see
/// [`uniform`]); repeating it makes the ETags of both ends equal. Otherwise parts are equal (some stores require that): 8 MiB, from
/// 8 GiB on 16 MiB, and larger ones where there would be more than about 9,000, which leaves room under the limit of 10,000.
///
/// # Errors
/// [`TooLarge`] when even the largest parts are not enough.
pub fn layout(size: u64, source: Option<u64>, limits: PartLimits) -> Result<Layout, TooLarge> {
    if size <= SINGLE {
        return Ok(Layout::Single);
    }
    if let Some(part) = source.filter(|p| (limits.min..=limits.max).contains(p) && size.div_ceil(*p) <= limits.parts) {
        return Ok(Layout::Parts(part));
    }
    if limits.parts == 0 {
        return Err(TooLarge::NoParts(size));
    }
    let target = (limits.parts - limits.parts / 10).max(1);
    let wanted = size.div_ceil(target).next_multiple_of(MIB);
    let usual = if size <= 8 * GIB { 8 * MIB } else { 16 * MIB };
    let part = wanted.max(usual).clamp(limits.min, limits.max);
    if size.div_ceil(part) > limits.parts { Err(TooLarge::Parts { size, limits }) } else { Ok(Layout::Parts(part)) }
}

/// The same for an object that the store copies by itself, and that is too large for one request.
///
/// # Errors
/// [`TooLarge`] when even the largest parts are not enough.
pub fn layout_by_store(size: u64, source: Option<u64>, limits: PartLimits) -> Result<Layout, TooLarge> {
    if let Some(part) = source.filter(|p| (limits.min..=limits.max).contains(p) && size.div_ceil(*p) <= limits.parts) {
        return Ok(Layout::Parts(part));
    }
    let target = (limits.parts - limits.parts / 10).max(1);
    let part = size.div_ceil(target).next_multiple_of(MIB).max(COPIED).clamp(limits.min, limits.max);
    if size.div_ceil(part) > limits.parts { Err(TooLarge::Parts { size, limits }) } else { Ok(Layout::Parts(part)) }
}

/// The part size of a source of `size` bytes whose ETag says `parts` and whose first part has `first` bytes, when all parts can
/// be of that size and repeating them is sensible: 5 MiB to `largest`.
#[must_use]
pub fn uniform(size: u64, parts: u32, first: u64, largest: u64) -> Option<u64> {
    ((5 * MIB..=largest).contains(&first) && size.div_ceil(first) == u64::from(parts)).then_some(first)
}

/// One part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Offset of the first byte.
    pub start: u64,
    /// Bytes; never 0.
    pub len: u64,
}

impl Part {
    /// The bytes as a half-open range.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + self.len
    }
}

/// The parts of an object in order.
pub fn parts(size: u64, part: u64) -> impl Iterator<Item = Part> + Clone {
    let part = part.max(1);
    let count = u32::try_from(size.div_ceil(part)).unwrap_or(u32::MAX);
    (0..count).map(move |n| {
        let start = u64::from(n) * part;
        Part { number: n + 1, start, len: part.min(size - start) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TB: u64 = 1_000_000_000_000;

    #[test]
    fn sizes() {
        let limits = PartLimits::default();
        for (size, source, expected) in [
            (0, None, Layout::Single),
            (1, None, Layout::Single),
            (SINGLE, None, Layout::Single),
            (SINGLE + 1, None, Layout::Parts(8 * MIB)),
            (8 * GIB, None, Layout::Parts(8 * MIB)),
            (8 * GIB + 1, None, Layout::Parts(16 * MIB)),
            (300 * MIB, Some(8 * MIB), Layout::Parts(8 * MIB)),
            (300 * MIB, Some(MIB), Layout::Parts(8 * MIB)),
            (140 * GIB, None, Layout::Parts(16 * MIB)),
            (200 * GIB, Some(8 * MIB), Layout::Parts(23 * MIB)),
            (5 * TB, None, Layout::Parts(530 * MIB)),
            (50 * TB, None, Layout::Parts(5299 * MIB).min_with(5 * GIB)),
        ] {
            assert_eq!(layout(size, source, limits), Ok(expected), "{size} {source:?}");
        }
        assert!(layout(10_000 * 5 * GIB, None, limits).is_ok());
        let error = layout(10_000 * 5 * GIB + 1, None, limits).expect_err("too large");
        assert!(error.to_string().contains("10000 parts"), "{error}");
    }

    impl Layout {
        fn min_with(self, most: u64) -> Self {
            match self {
                Self::Parts(part) => Self::Parts(part.min(most)),
                Self::Single => self,
            }
        }
    }

    #[test]
    fn uniform_sources() {
        assert_eq!(uniform(20 * MIB, 3, 8 * MIB, REPEATED), Some(8 * MIB));
        assert_eq!(uniform(24 * MIB, 3, 8 * MIB, REPEATED), Some(8 * MIB));
        assert_eq!(uniform(25 * MIB, 3, 8 * MIB, REPEATED), None, "a fourth part would be needed");
        assert_eq!(uniform(2 * MIB, 2, MIB, REPEATED), None, "too small to be repeated");
        assert_eq!(uniform(600 * MIB, 2, 300 * MIB, REPEATED), None, "too large to be held in memory");
        assert_eq!(uniform(600 * MIB, 2, 300 * MIB, 5 * GIB), Some(300 * MIB), "nothing is held where the store copies");
        assert_eq!(uniform(0, 1, 0, REPEATED), None);
    }

    #[test]
    fn parts_that_the_store_copies() {
        let limits = PartLimits::default();
        for (size, source, expected) in [
            (5 * GIB + 1, None, Layout::Parts(512 * MIB)),
            (6 * GIB, Some(8 * MIB), Layout::Parts(8 * MIB)),
            (6 * GIB, Some(2 * GIB), Layout::Parts(2 * GIB)),
            (100 * GIB, Some(8 * MIB), Layout::Parts(512 * MIB)),
            (50 * TB, None, Layout::Parts(5299 * MIB).min_with(5 * GIB)),
        ] {
            assert_eq!(layout_by_store(size, source, limits), Ok(expected), "{size} {source:?}");
        }
        let small = PartLimits { max: 8 * MIB, ..limits };
        assert_eq!(layout_by_store(9 * MIB, None, small), Ok(Layout::Parts(8 * MIB)));
        assert!(layout_by_store(10_000 * 5 * GIB + 1, None, limits).is_err());
    }

    #[test]
    fn limits_of_the_store_hold() {
        let storj = PartLimits { min: 64 * MIB, ..PartLimits::default() };
        assert_eq!(layout(300 * MIB, Some(8 * MIB), storj), Ok(Layout::Parts(64 * MIB)));
        let scaleway = PartLimits { parts: 1_000, ..PartLimits::default() };
        assert_eq!(layout(100 * GIB, Some(16 * MIB), scaleway), Ok(Layout::Parts(114 * MIB)));
        let none = PartLimits { parts: 0, ..PartLimits::default() };
        assert_eq!(layout(SINGLE, None, none), Ok(Layout::Single));
        let refused = layout(SINGLE + 1, Some(8 * MIB), none).expect_err("no parts");
        assert!(refused.to_string().contains("takes no objects in parts"), "{refused}");
        assert_eq!((refused.operation(), refused.code()), ("PutObject", "NoMultipartUpload"));
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_within_the_limits(size in SINGLE + 1..50 * TB, source in proptest::option::of(0..6 * GIB)) {
            let limits = PartLimits::default();
            let Ok(Layout::Parts(part)) = layout(size, source, limits) else { panic!("{size} has parts") };
            prop_assert!((limits.min..=limits.max).contains(&part));
            let mut end = 0;
            let mut count = 0;
            for p in parts(size, part) {
                prop_assert_eq!(p.start, end);
                prop_assert_eq!(p.number, count + 1);
                prop_assert!(p.len == part || p.range().end == size);
                end = p.range().end;
                count += 1;
            }
            prop_assert_eq!(end, size);
            prop_assert!(u64::from(count) <= limits.parts);
        }
    }
}
