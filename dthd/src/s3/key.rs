//! From source keys to destination keys, in a way that keeps their order.

use dth_proto::spec::{S3Destination, S3Source};

/// Longest key, in bytes of UTF-8 (AWS: "Naming Amazon S3 objects").
pub const LONGEST_KEY: usize = 1024;

/// A destination key that no S3 store has to take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the destination key would be {bytes} bytes long: S3 takes at most {LONGEST_KEY}; shorten destination.prefix or strip more")]
pub struct KeyTooLong {
    /// Length of the destination key.
    pub bytes: usize,
}

impl KeyTooLong {
    /// Checks a destination key.
    ///
    /// # Errors
    /// [`KeyTooLong`] over [`LONGEST_KEY`].
    pub fn check(destination_key: &str) -> Result<(), Self> {
        match destination_key.len() {
            bytes if bytes > LONGEST_KEY => Err(Self { bytes }),
            _ => Ok(()),
        }
    }
}

/// `strip_prefix` would be taken away from some keys of the source and not from others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "destination.strip_prefix {strip_prefix:?} fits only some of the keys under the source's prefix {source_prefix:?}: \
     let every source prefix begin with {strip_prefix:?}, and use another task for the other keys"
)]
pub struct PartialStrip {
    /// What is to be stripped.
    pub strip_prefix: String,
    /// What all source keys begin with.
    pub source_prefix: String,
}

/// Maps the keys under one source prefix: destination key = `prefix` + (source key without `strip_prefix`).
///
/// All keys lose and gain the same beginning, so byte order is the same at both ends. That is what lets
/// [`Join`](super::join::Join) compare two listings as they stream. And two source keys never go to one destination key: what keeps a
/// strict order keeps different keys different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMap {
    prefix: String,
    strip: String,
}

impl KeyMap {
    /// The map of a job.
    ///
    /// # Errors
    /// [`PartialStrip`] when `strip_prefix` is longer than the source's prefix, so that only some keys have it. (When no
    /// key can have it, nothing is stripped: that is what the task says.)
    pub fn new(source: &S3Source, destination: &S3Destination) -> Result<Self, PartialStrip> {
        let (all, strip) = (&source.prefix, &destination.strip_prefix);
        let strip = match () {
            () if all.starts_with(strip) => strip.clone(),
            () if strip.starts_with(all) => {
                return Err(PartialStrip { strip_prefix: strip.clone(), source_prefix: all.clone() });
            }
            () => String::new(),
        };
        Ok(Self { prefix: destination.prefix.clone(), strip })
    }

    /// The map of many prefixes, which all begin with `common`.
    ///
    /// # Errors
    /// [`PartialStrip`] unless all of them begin with `strip_prefix`.
    pub fn over(common: &str, destination: &S3Destination) -> Result<Self, PartialStrip> {
        if common.starts_with(&destination.strip_prefix) {
            return Ok(Self { prefix: destination.prefix.clone(), strip: destination.strip_prefix.clone() });
        }
        Err(PartialStrip { strip_prefix: destination.strip_prefix.clone(), source_prefix: common.to_owned() })
    }

    /// The source key that goes to a destination key; `None` when no source key can: it does not begin with the destination's prefix,
    /// or what would go there is empty or too long to be a key.
    #[must_use]
    pub fn unmap(&self, destination_key: &str) -> Option<String> {
        let rest = destination_key.strip_prefix(self.prefix.as_str())?;
        let bytes = self.strip.len() + rest.len();
        (1..=LONGEST_KEY).contains(&bytes).then(|| format!("{}{rest}", self.strip))
    }

    /// The destination key of a source key.
    ///
    /// # Errors
    /// [`KeyTooLong`]: the object cannot be copied. It is a failure of the run, not something to skip.
    pub fn map(&self, source_key: &str) -> Result<String, KeyTooLong> {
        let key = self.map_any(source_key);
        KeyTooLong::check(&key).map(|()| key)
    }

    /// The destination key of any length.
    #[must_use]
    pub fn map_any(&self, source_key: &str) -> String {
        let rest = source_key.strip_prefix(self.strip.as_str()).unwrap_or(source_key);
        format!("{}{rest}", self.prefix)
    }

    /// Where the destination is to be listed when the source is listed under `source_prefix`, which must begin with the
    /// prefix that the map was made for.
    #[must_use]
    pub fn destination_prefix(&self, source_prefix: &str) -> String {
        self.map_any(source_prefix)
    }

    /// The `start_after` for the destination that belongs to one of the source: exactly the keys behind both are left.
    #[must_use]
    pub fn start_after(&self, source_key: &str) -> String {
        self.map_any(source_key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::hostile_key;

    fn map(source: &str, strip: &str, prefix: &str) -> Result<KeyMap, PartialStrip> {
        let source = S3Source { prefix: source.to_owned(), ..S3Source::default() };
        let destination = S3Destination { prefix: prefix.to_owned(), strip_prefix: strip.to_owned(), ..S3Destination::default() };
        KeyMap::new(&source, &destination)
    }

    #[test]
    fn keys_lose_and_gain_their_beginnings() {
        for (source, strip, prefix, key, wanted) in [
            ("", "", "", "a//b/", "a//b/"),
            ("raw/", "", "cn/", "raw/1.jpg", "cn/raw/1.jpg"),
            ("raw/", "raw/", "cn/", "raw/1.jpg", "cn/1.jpg"),
            ("raw/", "ra", "", "raw/raw/1", "w/raw/1"),
            // no key has it
            ("raw/", "other/", "cn/", "raw/1.jpg", "cn/raw/1.jpg"),
            // the key that is the prefix itself
            ("raw/", "raw/", "cn/", "raw/", "cn/"),
        ] {
            assert_eq!(map(source, strip, prefix).expect("whole").map(key).as_deref(), Ok(wanted));
        }
        let error = map("ra", "raw/", "").expect_err("rab would keep its beginning and raw/x would not");
        assert!(error.to_string().contains("prefix \"ra\""));
        assert!(map("", "raw/", "").is_err());
    }

    #[test]
    fn the_longest_key_has_1024_bytes() {
        let map = map("", "", "é/").expect("whole");
        assert!(map.map(&"k".repeat(1021)).is_ok());
        assert_eq!(map.map(&"k".repeat(1022)), Err(KeyTooLong { bytes: 1025 }));
    }

    proptest! {
        #[test]
        fn order_and_meaning_are_kept(
            source in hostile_key(), cut in 0usize..6, prefix in hostile_key(), a in hostile_key(), b in hostile_key(),
        ) {
            let strip: String = source.chars().take(cut).collect();
            let map = map(&source, &strip, &prefix).expect("a beginning of the source's prefix");
            let (a, b) = (format!("{source}{a}"), format!("{source}{b}"));
            prop_assert_eq!(map.map_any(&a).cmp(&map.map_any(&b)), a.cmp(&b));
            prop_assert!(map.map_any(&a).starts_with(&map.destination_prefix(&source)));
            let task = S3Destination { prefix, strip_prefix: strip, ..S3Destination::default() };
            prop_assert_eq!(map.map_any(&a), task.key_for(&a), "as the task says");
            prop_assert_eq!(map.unmap(&map.map_any(&a)), Some(a), "and back");
            prop_assert!(map.unmap(&b).is_none_or(|back| map.map_any(&back) == b), "nothing else comes from there");
        }
    }
}
