//! Prefixes in byte order, none of which begins with another, kept on disk with an index in memory.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use crc_fast::{CrcAlgorithm, Digest};

/// Bytes of prefixes behind one entry of the index, about.
const BLOCK: usize = 16 << 10;

/// See the module. The file has no name: the system removes it with the last handle.
#[derive(Debug)]
pub struct Prefixes {
    file: File,
    /// First prefix of each block, and where the block begins.
    index: Vec<(Box<str>, u64)>,
    bytes: u64,
    count: u64,
    common: String,
    digest: u64,
}

/// Takes prefixes in byte order.
pub(super) struct Builder {
    out: BufWriter<File>,
    index: Vec<(Box<str>, u64)>,
    bytes: u64,
    block: usize,
    count: u64,
    first: String,
    last: String,
    digest: Digest,
}

impl Builder {
    /// Writes into a directory, which is made when missing.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self {
            out: BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(directory)?),
            index: Vec::new(),
            bytes: 0,
            block: BLOCK,
            count: 0,
            first: String::new(),
            last: String::new(),
            digest: Digest::new(CrcAlgorithm::Crc64Nvme),
        })
    }

    /// Takes the next prefix; one that begins with another selects nothing more and is dropped.
    pub(super) fn add(&mut self, prefix: &str) -> io::Result<()> {
        if self.count > 0 && prefix.starts_with(&self.last) {
            return Ok(());
        }
        let length = u16::try_from(prefix.len()).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a prefix of over 64 KiB"))?;
        if self.count == 0 {
            prefix.clone_into(&mut self.first);
        }
        if self.block >= BLOCK {
            self.index.push((prefix.into(), self.bytes));
            self.block = 0;
        }
        for piece in [&length.to_le_bytes()[..], prefix.as_bytes()] {
            self.out.write_all(piece)?;
            self.digest.update(piece);
            self.block += piece.len();
            self.bytes += piece.len() as u64;
        }
        prefix.clone_into(&mut self.last);
        self.count += 1;
        Ok(())
    }

    /// Everything that was taken.
    pub(super) fn finish(mut self) -> io::Result<Prefixes> {
        self.out.flush()?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        // in order, what the first and the last begin with is what all begin with
        let common = super::common(&self.first, &self.last).to_owned();
        Ok(Prefixes { file, index: self.index, bytes: self.bytes, count: self.count, common, digest: self.digest.finalize() })
    }
}

impl Prefixes {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What all of them begin with.
    #[must_use]
    pub fn common(&self) -> &str {
        &self.common
    }

    /// Equal for equal sets; for others different, as far as 64 bits can tell.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The prefixes of which some key can lie behind `after`, in order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn behind(self: &Arc<Self>, after: Option<&str>) -> io::Result<Walk> {
        let block = after.map_or(0, |after| self.index.partition_point(|(first, _)| **first <= *after).saturating_sub(1));
        let mut walk = Walk { set: Arc::clone(self), block, bytes: Vec::new(), at: 0, ahead: None };
        if let Some(after) = after {
            while let Some(prefix) = walk.next()? {
                // all keys of a prefix that is not behind `after` are before it, unless it lies among them
                if prefix.as_str() > after || after.starts_with(&prefix) {
                    walk.ahead = Some(prefix);
                    break;
                }
            }
        }
        Ok(walk)
    }

    /// Whether a key begins with one of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn select(self: &Arc<Self>, key: &str) -> io::Result<bool> {
        Ok(self.behind(Some(key))?.next()?.is_some_and(|prefix| key.starts_with(&prefix)))
    }

    /// Some of them, at most `most` and about evenly spread: good places to cut a listing.
    #[must_use]
    pub fn sample(&self, most: usize) -> Vec<String> {
        let step = self.index.len().div_ceil(most.max(1)).max(1);
        self.index.iter().skip(step).step_by(step).map(|(first, _)| first.to_string()).collect()
    }

    fn block(&self, number: usize) -> io::Result<Option<Vec<u8>>> {
        let Some((_, begin)) = self.index.get(number) else { return Ok(None) };
        let end = self.index.get(number + 1).map_or(self.bytes, |(_, next)| *next);
        let mut bytes = vec![0; usize::try_from(end - begin).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, *begin)?;
        Ok(Some(bytes))
    }
}

/// Prefixes one after the other, with the memory of one block.
#[derive(Debug)]
pub struct Walk {
    set: Arc<Prefixes>,
    /// The next block to read.
    block: usize,
    bytes: Vec<u8>,
    at: usize,
    ahead: Option<String>,
}

impl Walk {
    /// The next prefix; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and is asked with `?`")]
    pub fn next(&mut self) -> io::Result<Option<String>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        if self.at >= self.bytes.len() {
            let Some(bytes) = self.set.block(self.block)? else { return Ok(None) };
            (self.bytes, self.at) = (bytes, 0);
            self.block += 1;
        }
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the sorted prefixes are damaged");
        let (length, rest) = self.bytes[self.at..].split_first_chunk::<2>().ok_or_else(damaged)?;
        let length = usize::from(u16::from_le_bytes(*length));
        let text = rest.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(damaged)?.to_owned();
        self.at += 2 + length;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::hostile_key;

    fn set(sorted: impl IntoIterator<Item = String>) -> Arc<Prefixes> {
        let directory = tempfile::tempdir().expect("directory");
        let mut builder = Builder::new(directory.path()).expect("file");
        sorted.into_iter().for_each(|prefix| builder.add(&prefix).expect("disk"));
        Arc::new(builder.finish().expect("disk"))
    }

    fn all(mut walk: Walk) -> Vec<String> {
        std::iter::from_fn(|| walk.next().expect("readable")).collect()
    }

    #[test]
    fn many_blocks_are_walked_from_anywhere() {
        let names: Vec<String> = (0..20_000).map(|n| format!("team-{n:06}/")).collect();
        let set = set(names.clone());
        assert_eq!((set.count(), set.common()), (20_000, "team-0"));
        assert!(set.index.len() > 10, "{} blocks", set.index.len());
        assert_eq!(all(set.behind(None).expect("readable")), names);
        for n in [0usize, 1, 999, 1_000, 12_345, 19_999] {
            assert_eq!(all(set.behind(Some(&format!("team-{n:06}/x"))).expect("readable")), names[n..], "inside {n}");
            assert_eq!(all(set.behind(Some(&format!("team-{n:06}0"))).expect("readable")), names[n + 1..], "behind {n}");
        }
        assert!(all(set.behind(Some("u")).expect("readable")).is_empty());
        let sample = set.sample(8);
        assert!((4..=8).contains(&sample.len()) && sample.is_sorted(), "{sample:?}");
    }

    #[test]
    fn equal_sets_have_equal_digests() {
        let texts = |texts: &[&str]| set(texts.iter().map(|&t| t.to_owned())).digest();
        assert_eq!(texts(&["a/", "b/"]), texts(&["a/", "a/b/", "b/"]));
        assert_ne!(texts(&["a/", "b/"]), texts(&["a/b", "b/"]));
        assert_ne!(texts(&["a/", "b/"]), texts(&["a/"]));
    }

    proptest! {
        #[test]
        fn selecting_is_beginning_with_one_of_them(
            prefixes in prop::collection::btree_set(hostile_key(), 1..30),
            keys in prop::collection::vec(hostile_key(), 0..30),
        ) {
            let set = set(prefixes.clone());
            for key in &keys {
                prop_assert_eq!(set.select(key).expect("readable"), prefixes.iter().any(|p| key.starts_with(p)), "{:?}", key);
            }
            let kept = all(set.behind(None).expect("readable"));
            prop_assert!(kept.iter().all(|p| prefixes.contains(p) && p.starts_with(set.common())));
            prop_assert!(kept.windows(2).all(|w| w[0] < w[1] && !w[1].starts_with(&w[0])));
            for after in &keys {
                let wanted: BTreeSet<_> = kept.iter().filter(|p| *p > after || after.starts_with(*p)).cloned().collect();
                prop_assert_eq!(all(set.behind(Some(after)).expect("readable")), wanted.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
