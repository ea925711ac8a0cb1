//! The words that records are made of, as numbers: they come with every object, and are always the same few.

use std::{collections::BTreeMap, ops::Index};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why an object was copied or left out, and how it was verified. The place of a word is on disk: words are only ever added, at the end.
pub(crate) const WORDS: [&str; 40] = [
    // why it was copied
    "missing",
    "size",
    "etag",
    "newer",
    "always",
    // how it was verified
    "content-md5",
    "checksum-crc64nvme",
    "checksum-crc32c",
    "checksum-crc32",
    "md5-in-flight",
    "crc-in-flight",
    "multipart-etag",
    "crc64nvme-combined",
    "crc32c-combined",
    "crc32-combined",
    "whole-md5",
    "part-md5",
    // why it was left out
    "vanished",
    "excluded",
    "not-included",
    "too-small",
    "too-large",
    "too-old",
    "too-new",
    "archived",
    // images: another digest, and verified by the digest; what refers to it is missing
    "digest",
    "referrers",
    // images: none of the platforms, vanished, without a tag, a tag that belongs to another image
    "not-selected",
    "gone",
    "untagged",
    "attached",
    // why a plan would remove it
    "delete",
    // why it was left out: an expression, the storage class
    "excluded-by-regex",
    "excluded-class",
    "not-in-class",
    // why it was not deleted
    "created-again",
    // compared by checksum: differs, cannot be compared
    "checksum",
    "unproven",
    // copied by the store itself
    "server-side",
    "server-side-size",
];

/// The number of a word; `None`: it is none of [`WORDS`].
pub(crate) fn number(word: &str) -> Option<u8> {
    let at = WORDS.iter().position(|known| *known == word)?;
    u8::try_from(at).ok()
}

/// How often each word came (`counts["etag"]`). Counting costs no allocation; as JSON it is a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordCounts {
    known: [u64; WORDS.len()],
    /// Words of another version.
    other: BTreeMap<String, u64>,
}

impl Default for WordCounts {
    fn default() -> Self {
        Self { known: [0; WORDS.len()], other: BTreeMap::new() }
    }
}

impl WordCounts {
    /// A word that came once.
    #[must_use]
    pub fn once(word: &str) -> Self {
        let mut counts = Self::default();
        counts.count(word, 1);
        counts
    }

    /// Adds `times` of a word.
    pub fn count(&mut self, word: &str, times: u64) {
        match number(word) {
            Some(number) => self.known[usize::from(number)] += times,
            None => *self.other.entry(word.to_owned()).or_default() += times,
        }
    }

    /// Adds all of `more`.
    pub fn add(&mut self, more: &Self) {
        for (mine, theirs) in self.known.iter_mut().zip(more.known) {
            *mine += theirs;
        }
        for (word, times) in &more.other {
            self.count(word, *times);
        }
    }

    /// What came at least once.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, u64> {
        let known = WORDS.iter().zip(self.known).filter(|(_, times)| *times > 0).map(|(word, times)| ((*word).to_owned(), times));
        known.chain(self.other.clone()).collect()
    }
}

impl Index<&str> for WordCounts {
    type Output = u64;
    fn index(&self, word: &str) -> &u64 {
        match number(word) {
            Some(number) => &self.known[usize::from(number)],
            None => self.other.get(word).unwrap_or(&0),
        }
    }
}

impl Serialize for WordCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_map().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WordCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = Self::default();
        for (word, times) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            counts.count(&word, times);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_numbers() {
        for (number, word) in
            [(0, "missing"), (5, "content-md5"), (16, "part-md5"), (17, "vanished"), (24, "archived"), (25, "digest"), (30, "attached")]
        {
            assert_eq!((WORDS[number], super::number(word)), (word, u8::try_from(number).ok()));
        }
        let distinct: std::collections::BTreeSet<_> = WORDS.iter().collect();
        assert_eq!(distinct.len(), WORDS.len());
        assert_eq!(super::number("of another version"), None);
    }

    #[test]
    fn counts_are_a_map_outside() {
        let mut counts = WordCounts::once("etag");
        counts.count("of another version", 2);
        counts.add(&counts.clone());
        assert_eq!((counts["etag"], counts["of another version"], counts["size"]), (2, 4, 0));
        let text = serde_json::to_string(&counts).expect("plain data");
        assert_eq!(text, r#"{"etag":2,"of another version":4}"#);
        assert_eq!(serde_json::from_str::<WordCounts>(&text).expect("as written"), counts);
    }
}
