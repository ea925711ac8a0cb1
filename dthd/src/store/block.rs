//! Neighbouring records in one value of the database.
//!
//! A tree of sled costs some ten microseconds per record. So the values of [`super::item`] and [`super::pair`] are blocks: up to
//! [`MOST`] records in key order. The database key of a block is that of its first record, and every record is in the block with the last key
//! that is not behind its own. Written by the writer alone, in groups, so that a block is read and written once for many records.
//!
//! Layout: byte 2, then per record varint bytes shared with the key before, varint further bytes of the key, those bytes, varint bytes of
//! the record, those bytes. A value that begins with another byte is from the time before blocks: one record, whose key is the database's.

use std::ops::Bound;

use sled::IVec;

/// Records in a block.
const MOST: usize = 128;
/// A block is cut where it becomes larger than this many bytes; one record may be larger.
const LARGEST: usize = 16 * 1024;
/// First byte of a block. Records outside of blocks begin with their version, 1, or with the first letter of an ETag.
const MARK: u8 = 2;

/// A number of 7 bits per byte, lowest first; the top bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads what [`put_varint`] wrote from the front of `bytes`.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes so many bytes from the front.
pub(super) fn take<'b>(bytes: &mut &'b [u8], len: u64) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(head)
}

/// The records of a value, in key order. Keys are those of the database.
pub(super) struct Records<'b> {
    key: Vec<u8>,
    /// `Some`: the value is one record.
    lone: Option<&'b [u8]>,
    rest: &'b [u8],
    damaged: bool,
}

impl<'b> Records<'b> {
    /// `key` is that of the value in the database.
    pub(super) fn of(key: &[u8], value: &'b [u8]) -> Self {
        match value.split_first() {
            Some((&MARK, rest)) => Self { key: Vec::new(), lone: None, rest, damaged: false },
            _ => Self { key: key.to_vec(), lone: Some(value), rest: &[], damaged: false },
        }
    }

    /// The next record with its key. A block that is damaged ends there.
    pub(super) fn next(&mut self) -> Option<(&[u8], &'b [u8])> {
        if let Some(record) = self.lone.take() {
            return Some((&self.key, record));
        }
        if self.rest.is_empty() {
            return None;
        }
        match self.read() {
            Some(record) => Some((&self.key, record)),
            None => {
                self.rest = &[];
                self.damaged = true;
                None
            }
        }
    }

    fn read(&mut self) -> Option<&'b [u8]> {
        let rest = &mut self.rest;
        let shared = usize::try_from(take_varint(rest)?).ok().filter(|shared| *shared <= self.key.len())?;
        let more = take_varint(rest)?;
        let suffix = take(rest, more)?;
        let len = take_varint(rest)?;
        let record = take(rest, len)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        Some(record)
    }

    /// Whether the block could not be read to its end; known after the last record.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

/// A change to one record: its key in the database, and what it becomes; `None`: it goes.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Blocks being written, cut where they are full.
struct Blocks {
    /// Records per block, so that no cut leaves a small rest.
    each: usize,
    done: Vec<(Vec<u8>, Vec<u8>)>,
    first: Vec<u8>,
    last: Vec<u8>,
    bytes: Vec<u8>,
    records: usize,
}

impl Blocks {
    fn push(&mut self, key: &[u8], record: &[u8]) {
        if self.records == self.each || (self.records > 0 && self.bytes.len() + record.len() > LARGEST) {
            self.cut();
        }
        if self.records == 0 {
            self.first = key.to_vec();
            self.last.clear();
            self.bytes.push(MARK);
        }
        let shared = key.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        put_varint(&mut self.bytes, record.len() as u64);
        self.bytes.extend_from_slice(record);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        self.records += 1;
    }

    fn cut(&mut self) {
        if self.records > 0 {
            self.done.push((std::mem::take(&mut self.first), std::mem::take(&mut self.bytes)));
            self.records = 0;
        }
    }
}

/// The blocks that a block becomes by some changes, with their keys. Changes are in key order, each key once.
fn changed(block: Option<(&[u8], &[u8])>, changes: &[Change]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let records = || block.map(|(key, value)| Records::of(key, value));
    let mut before = 0;
    let mut count = records();
    while count.as_mut().is_some_and(|records| records.next().is_some()) {
        before += 1;
    }
    let total = before + changes.iter().filter(|(_, record)| record.is_some()).count();
    let each = total.div_ceil(total.div_ceil(MOST).max(1)).max(1);
    let mut out = Blocks { each, done: Vec::new(), first: Vec::new(), last: Vec::new(), bytes: Vec::new(), records: 0 };
    let mut changes = changes.iter().peekable();
    if let Some(mut records) = records() {
        while let Some((key, record)) = records.next() {
            while let Some((new, value)) = changes.next_if(|(new, _)| new.as_slice() < key) {
                value.iter().for_each(|value| out.push(new, value));
            }
            match changes.next_if(|(new, _)| new.as_slice() == key) {
                Some((_, value)) => value.iter().for_each(|value| out.push(key, value)),
                None => out.push(key, record),
            }
        }
    }
    for (key, value) in changes {
        value.iter().for_each(|value| out.push(key, value));
    }
    out.cut();
    out.done
}

/// The block that a key belongs to: the last one that is not behind it, of those whose keys begin as the first `prefix` bytes.
fn owner(tree: &sled::Tree, key: &[u8], prefix: usize) -> sled::Result<Option<(IVec, IVec)>> {
    let group = key.get(..prefix).unwrap_or(key);
    tree.range(group..=key).next_back().transpose()
}

/// Applies changes to a tree of blocks, all or none of them. They are in key order, each key once. Blocks never reach over keys that
/// differ in their first `prefix` bytes.
pub(super) fn apply(tree: &sled::Tree, prefix: usize, changes: &[Change]) -> sled::Result<()> {
    let mut batch = sled::Batch::default();
    let mut rest = changes;
    while let Some((key, _)) = rest.first() {
        let block = owner(tree, key, prefix)?;
        let next = tree.range::<&[u8], _>((Bound::Excluded(key.as_slice()), Bound::Unbounded)).next().transpose()?;
        let group = key.get(..prefix).unwrap_or(key);
        let here = rest
            .iter()
            .take_while(|(key, _)| key.starts_with(group) && next.as_ref().is_none_or(|(next, _)| key.as_slice() < next.as_ref()))
            .count()
            .max(1);
        let (now, later) = rest.split_at(here);
        let blocks = changed(block.as_ref().map(|(key, value)| (key.as_ref(), value.as_ref())), now);
        if let Some((key, _)) = block.filter(|(key, _)| blocks.iter().all(|(new, _)| new.as_slice() != key.as_ref())) {
            batch.remove(key);
        }
        for (key, value) in blocks {
            batch.insert(key, value);
        }
        rest = later;
    }
    tree.apply_batch(batch)
}

/// The record of a key.
pub(super) fn get(tree: &sled::Tree, prefix: usize, key: &[u8]) -> sled::Result<Option<Vec<u8>>> {
    let Some((at, value)) = owner(tree, key, prefix)? else { return Ok(None) };
    let mut records = Records::of(&at, &value);
    while let Some((found, record)) = records.next() {
        if found >= key {
            return Ok((found == key).then(|| record.to_vec()));
        }
    }
    Ok(None)
}

/// Hands all records whose keys begin with `all`, from the key `from` on, to `each`, in key order, until it answers `false`. Blocks of
/// keys that begin as the first `prefix` bytes are looked at.
pub(super) fn scan(
    tree: &sled::Tree,
    prefix: usize,
    all: &[u8],
    from: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> bool,
) -> sled::Result<()> {
    let first = owner(tree, from, prefix)?.map_or_else(|| IVec::from(from), |(key, _)| key);
    // a block that is cut in two while it is read comes again in part
    let mut last: Vec<u8> = Vec::new();
    for entry in tree.range(first..) {
        let (at, value) = entry?;
        if !at.starts_with(all) && at.as_ref() > all {
            break;
        }
        let mut records = Records::of(&at, &value);
        while let Some((key, record)) = records.next() {
            if key < from || !key.starts_with(all) || (!last.is_empty() && key <= last.as_slice()) {
                continue;
            }
            if !each(key, record) {
                return Ok(());
            }
            key.clone_into(&mut last);
        }
    }
    Ok(())
}

/// The last record's key of those that begin with `group`.
pub(super) fn last_key(tree: &sled::Tree, group: &[u8]) -> sled::Result<Option<Vec<u8>>> {
    let Some((at, value)) = tree.scan_prefix(group).next_back().transpose()? else { return Ok(None) };
    let mut records = Records::of(&at, &value);
    let mut last = None;
    while let Some((key, _)) = records.next() {
        last = Some(key.to_vec());
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const GROUP: usize = 2;

    fn database() -> (tempfile::TempDir, sled::Tree) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let tree = sled::open(dir.path()).expect("database").open_tree("t").expect("tree");
        (dir, tree)
    }

    fn all(tree: &sled::Tree, group: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        scan(tree, GROUP, group, group, |key, record| {
            found.push((key.to_vec(), record.to_vec()));
            true
        })
        .expect("scan");
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever is written in whatever groups beside records from before blocks: it is read as if each had a place of its own.
        #[test]
        fn blocks_hold_what_a_map_would(
            old in prop::collection::btree_set("[ab]c[a-d]{0,3}", 0..20),
            groups in prop::collection::vec(prop::collection::btree_map("[ab]c[a-d]{0,4}", prop::option::of(1..40_usize), 1..80), 1..8),
        ) {
            let (_dir, tree) = database();
            let mut expected = BTreeMap::new();
            for key in old {
                tree.insert(key.as_bytes(), b"\x01old").expect("insert");
                expected.insert(key.into_bytes(), b"\x01old".to_vec());
            }
            for (n, group) in groups.into_iter().enumerate() {
                let changes: Vec<Change> =
                    group.into_iter().map(|(key, len)| (key.into_bytes(), len.map(|len| vec![n as u8; len * 30]))).collect();
                apply(&tree, GROUP, &changes).expect("apply");
                for (key, record) in changes {
                    match record {
                        Some(record) => drop(expected.insert(key, record)),
                        None => drop(expected.remove(&key)),
                    }
                }
                for group in [&b"ac"[..], b"bc"] {
                    let of_group: Vec<_> = expected.iter().filter(|(key, _)| key.starts_with(group)).map(|(k, r)| (k.clone(), r.clone())).collect();
                    prop_assert_eq!(last_key(&tree, group).expect("last"), of_group.last().map(|(key, _)| key.clone()));
                    prop_assert_eq!(all(&tree, group), of_group);
                }
            }
            for (key, record) in &expected {
                prop_assert_eq!(get(&tree, GROUP, key).expect("get"), Some(record.clone()));
                let missing = [key.as_slice(), b"!"].concat();
                prop_assert_eq!(get(&tree, GROUP, &missing).expect("get"), None);
            }
            for entry in &tree {
                let (_, value) = entry.expect("entry");
                prop_assert!(value.len() < LARGEST + 2_000);
            }
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let value = [&[MARK], &bytes[..]].concat();
            let mut records = Records::of(b"k", &value);
            while records.next().is_some() {}
        }

        #[test]
        fn numbers_survive(number: u64, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            bytes.extend_from_slice(&rest);
            let mut input = &bytes[..];
            prop_assert_eq!(take_varint(&mut input), Some(number));
            prop_assert_eq!(input, &rest[..]);
        }
    }

    #[test]
    fn blocks_are_neither_too_large_nor_too_small() {
        let (_dir, tree) = database();
        let key = |n: u32| format!("xx{n:06}").into_bytes();
        for start in (0..3_000).step_by(300) {
            let changes: Vec<Change> = (start..start + 300).map(|n| (key(n), Some(vec![7; 30]))).collect();
            apply(&tree, GROUP, &changes).expect("apply");
        }
        assert_eq!(all(&tree, b"xx").len(), 3_000);
        assert!((3_000_usize.div_ceil(MOST)..=60).contains(&tree.len()), "{} blocks", tree.len());
        let gone: Vec<Change> = (0..3_000).map(|n| (key(n), None)).collect();
        apply(&tree, GROUP, &gone).expect("apply");
        assert!(tree.is_empty(), "what holds nothing takes no place");
    }

    #[test]
    fn a_block_that_is_cut_short_says_so() {
        let (_dir, tree) = database();
        apply(&tree, GROUP, &[(b"xxa".to_vec(), Some(vec![1])), (b"xxb".to_vec(), Some(vec![2; 9]))]).expect("apply");
        let (key, value) = tree.first().expect("read").expect("a block");
        let mut records = Records::of(&key, &value[..value.len() - 1]);
        assert_eq!(records.next(), Some((&b"xxa"[..], &[1][..])));
        assert!(!records.is_damaged());
        assert_eq!(records.next(), None);
        assert!(records.is_damaged());
    }
}
