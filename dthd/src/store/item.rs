//! One compact record per object acted upon (objects found `same` leave none).
//!
//! Layout, version 2: version byte, outcome byte, varint size, 6 bytes time (ms, little-endian), varint tries, then per outcome: words as
//! one byte (see [`super::words`]; 255: as text), ETags in their shortest form, texts as varint length + UTF-8. Version 1 had everything as
//! numbers of fixed length and texts as u16 length + UTF-8; it is read for good. The source key is part of the database key, so that records of
//! a run come in key order; many of them share one value of the database (see `block`).

mod code;

use dth_proto::{
    failure::{FailureClass, FailureItem, Side},
    time::Timestamp,
    view::ItemView,
};

use self::code::{Decoder, ETAG_AS_BEFORE, Encoder, LAST_TIME};
use super::{
    Store, StoreError,
    block::{self, put_varint, take_varint},
    run_key,
    writer::Blocks,
};

/// What is written.
const VERSION: u8 = 2;
/// What the first records had.
const FIRST_VERSION: u8 = 1;
/// Bytes of uid and run at the front of a key; blocks hold the records of one run.
pub(super) const PREFIX: usize = 12;

/// The reason of what a plan would remove.
pub const TO_DELETE: &str = "delete";

/// Source keys with their records, and the key to continue after when there may be more.
pub type ItemPage = (Vec<(String, ItemRecord)>, Option<String>);

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// Copied and verified.
    Copied {
        /// Why it was copied.
        reason: String,
        /// How it was verified.
        verified: String,
        /// Generation read.
        source_etag: String,
        /// What the destination answered.
        destination_etag: String,
    },
    /// Left out by a named rule.
    Skipped {
        /// The rule.
        reason: String,
    },
    /// Removed from the destination.
    Deleted,
    /// A run that changes nothing found that it would be copied, or removed.
    Planned {
        /// Why it would be copied; [`TO_DELETE`]: it would be removed.
        reason: String,
    },
    /// Given up.
    Failed {
        /// Why.
        class: FailureClass,
        /// Which end.
        side: Side,
        /// The request.
        operation: String,
        /// The store's code.
        code: String,
        /// Its message.
        message: String,
        /// Its request id.
        request_id: Option<String>,
    },
}

/// The record of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRecord {
    /// Bytes.
    pub size: u64,
    /// When.
    pub at: Timestamp,
    /// Tries, 1 when it worked at once.
    pub tries: u16,
    /// What became of it.
    pub outcome: ItemOutcome,
}

impl ItemOutcome {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Copied { .. } => "copied",
            Self::Skipped { .. } => "skipped",
            Self::Deleted => "deleted",
            Self::Planned { .. } => "planned",
            Self::Failed { .. } => "failed",
        }
    }
}

impl ItemRecord {
    /// The record as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(Vec::with_capacity(64));
        out.0.push(VERSION);
        out.0.push(match &self.outcome {
            ItemOutcome::Copied { .. } => 0,
            ItemOutcome::Skipped { .. } => 1,
            ItemOutcome::Deleted => 2,
            ItemOutcome::Failed { .. } => 3,
            ItemOutcome::Planned { .. } => 4,
        });
        put_varint(&mut out.0, self.size);
        // 48 bits of milliseconds last for 8,900 years
        out.0.extend_from_slice(&self.at.0.min(LAST_TIME).to_le_bytes()[..6]);
        put_varint(&mut out.0, u64::from(self.tries));
        match &self.outcome {
            ItemOutcome::Copied { reason, verified, source_etag, destination_etag } => {
                out.word(reason);
                out.word(verified);
                out.etag(source_etag);
                if destination_etag == source_etag {
                    out.0.push(ETAG_AS_BEFORE);
                } else {
                    out.etag(destination_etag);
                }
            }
            ItemOutcome::Skipped { reason } | ItemOutcome::Planned { reason } => out.word(reason),
            ItemOutcome::Deleted => {}
            ItemOutcome::Failed { class, side, operation, code, message, request_id } => {
                for text in [class.word(), side.word(), operation, code, message, request_id.as_deref().unwrap_or("")] {
                    out.text(text);
                }
            }
        }
        out.0
    }

    /// Reads what [`Self::encode`] wrote, or what its first version did; `None` when it is damaged or of a newer version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let mut input = Decoder { rest, first: *version == FIRST_VERSION };
        if ![FIRST_VERSION, VERSION].contains(version) {
            return None;
        }
        let kind = input.byte()?;
        let (size, at, tries) = if input.first {
            (input.number::<8>()?, input.number::<8>()?, u16::try_from(input.number::<2>()?).ok()?)
        } else {
            (take_varint(&mut input.rest)?, input.number::<6>()?, u16::try_from(take_varint(&mut input.rest)?).ok()?)
        };
        let outcome = match kind {
            0 => {
                let (reason, verified, source_etag) = (input.word()?, input.word()?, input.etag(None)?);
                let destination_etag = input.etag(Some(&source_etag))?;
                ItemOutcome::Copied { reason, verified, source_etag, destination_etag }
            }
            1 => ItemOutcome::Skipped { reason: input.word()? },
            2 => ItemOutcome::Deleted,
            3 => ItemOutcome::Failed {
                class: input.text()?.parse().unwrap_or(FailureClass::Unknown),
                side: if input.text()? == "source" { Side::Source } else { Side::Destination },
                operation: input.text()?,
                code: input.text()?,
                message: input.text()?,
                request_id: input.text().map(|t| (!t.is_empty()).then_some(t))?,
            },
            4 => ItemOutcome::Planned { reason: input.word()? },
            _ => return None,
        };
        Some(Self { size, at: Timestamp(at), tries, outcome })
    }

    /// The record as a screen or a script sees it.
    #[must_use]
    pub fn view(&self, key: String) -> ItemView {
        let mut view = ItemView {
            key,
            size: self.size,
            outcome: self.outcome.word().to_owned(),
            at: self.at,
            tries: u32::from(self.tries),
            reason: None,
            verified: None,
            source_etag: None,
            destination_etag: None,
            class: None,
            side: None,
            message: None,
        };
        match self.outcome.clone() {
            ItemOutcome::Copied { reason, verified, source_etag, destination_etag } => {
                view.reason = Some(reason);
                view.verified = Some(verified);
                view.source_etag = Some(source_etag);
                view.destination_etag = Some(destination_etag);
            }
            ItemOutcome::Skipped { reason } | ItemOutcome::Planned { reason } => view.reason = Some(reason),
            ItemOutcome::Deleted => {}
            ItemOutcome::Failed { class, side, operation, code, message, .. } => {
                view.class = Some(class);
                view.side = Some(side);
                view.message = Some(format!("{operation}: {code}: {message}"));
            }
        }
        view
    }

    /// Whether it failed, in this class if one is named.
    #[must_use]
    pub fn is_failure(&self, wanted: Option<FailureClass>) -> bool {
        matches!(&self.outcome, ItemOutcome::Failed { class, .. } if wanted.is_none_or(|w| w == *class))
    }

    /// The record as a failed item; `None` when it did not fail.
    #[must_use]
    pub fn failure(&self, key: String) -> Option<FailureItem> {
        let ItemOutcome::Failed { class, side, operation, code, message, request_id } = self.outcome.clone() else {
            return None;
        };
        let tries = u32::from(self.tries);
        Some(FailureItem { key, size: self.size, class, code, side, operation, message, request_id, tries, at: self.at })
    }
}

impl Store {
    /// Records what became of an object, some time soon.
    pub fn put_item(&self, uid: u64, run: u32, key: &str, item: &ItemRecord) {
        self.writer.record(Blocks::Items, item_key(uid, run, key), Some(item.encode()));
    }

    /// Forgets the record of an object.
    pub fn remove_item(&self, uid: u64, run: u32, key: &str) {
        self.writer.record(Blocks::Items, item_key(uid, run, key), None);
    }

    /// The record of one object.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn item(&self, uid: u64, run: u32, key: &str) -> Result<Option<ItemRecord>, StoreError> {
        let bytes = block::get(&self.trees.items, PREFIX, &item_key(uid, run, key))?;
        Ok(bytes.and_then(|bytes| ItemRecord::decode(&bytes)))
    }

    /// The last key of a run that has a record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_item(&self, uid: u64, run: u32) -> Result<Option<String>, StoreError> {
        let last = block::last_key(&self.trees.items, &run_key(uid, run))?;
        Ok(last.map(|key| source_key(&key)))
    }

    /// Records of a run in key order: keys that begin with `prefix`, after `after`, for which `wanted` holds; at most `limit`, and
    /// the key to continue after when there may be more.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn items(
        &self,
        uid: u64,
        run: u32,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&ItemRecord) -> bool,
    ) -> Result<ItemPage, StoreError> {
        let first = match after {
            Some(after) if after >= prefix => [item_key(uid, run, after), vec![0]].concat(),
            _ => item_key(uid, run, prefix),
        };
        let all = item_key(uid, run, prefix);
        let mut found: Vec<(String, ItemRecord)> = Vec::new();
        let mut next = None;
        block::scan(&self.trees.items, PREFIX, &all, &first, |key, bytes| {
            let Some(item) = ItemRecord::decode(bytes).filter(&wanted) else { return true };
            if found.len() == limit {
                next = found.last().map(|(key, _)| key.clone());
                return false;
            }
            found.push((source_key(key), item));
            true
        })?;
        Ok((found, next))
    }

    /// Hands every failed item of a run to `each`, in key order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each_failure(&self, uid: u64, run: u32, mut each: impl FnMut(FailureItem)) -> Result<(), StoreError> {
        let all = run_key(uid, run);
        block::scan(&self.trees.items, PREFIX, &all, &all, |key, bytes| {
            if let Some(item) = ItemRecord::decode(bytes).and_then(|record| record.failure(source_key(key))) {
                each(item);
            }
            true
        })?;
        Ok(())
    }
}

fn item_key(uid: u64, run: u32, key: &str) -> Vec<u8> {
    [&run_key(uid, run)[..], key.as_bytes()].concat()
}

/// Keys were text when they were written.
fn source_key(key: &[u8]) -> String {
    String::from_utf8_lossy(key.get(PREFIX..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome() -> impl Strategy<Value = ItemOutcome> {
        let text = || prop_oneof!["\\PC{0,40}", "[0-9a-f]{32}(-[0-9]{1,4})?", "[0-9a-fA-F]{32}", Just("part-md5".to_owned())];
        prop_oneof![
            (text(), text(), text(), text()).prop_map(|(reason, verified, source_etag, destination_etag)| ItemOutcome::Copied {
                reason,
                verified,
                source_etag,
                destination_etag
            }),
            text().prop_map(|reason| ItemOutcome::Skipped { reason }),
            Just(ItemOutcome::Deleted),
            text().prop_map(|reason| ItemOutcome::Planned { reason }),
            (text(), text(), text(), prop::option::of("[a-z]{1,9}")).prop_map(|(operation, code, message, request_id)| {
                ItemOutcome::Failed { class: FailureClass::Auth, side: Side::Source, operation, code, message, request_id }
            }),
        ]
    }

    proptest! {
        #[test]
        fn records_survive_bytes(size: u64, at in 0..=LAST_TIME, tries: u16, outcome in outcome()) {
            let record = ItemRecord { size, at: Timestamp(at), tries, outcome };
            prop_assert_eq!(ItemRecord::decode(&record.encode()), Some(record));
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = ItemRecord::decode(&bytes);
        }
    }

    /// What version 1 looks like on disk; it must be readable for good.
    #[test]
    fn version_1_is_read() {
        let bytes = b"\x01\x01\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\0\x08\0excluded";
        let outcome = ItemOutcome::Skipped { reason: "excluded".to_owned() };
        assert_eq!(ItemRecord::decode(bytes), Some(ItemRecord { size: 5, at: Timestamp(7), tries: 1, outcome }));
    }

    #[test]
    fn version_1_of_a_copy_is_read() {
        let texts = ["missing", "content-md5", "5d41402abc4b2a76b9719d911017c592", "5d41402abc4b2a76b9719d911017c592-2"];
        let mut bytes = b"\x01\x00\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x02\0".to_vec();
        for text in texts {
            bytes.extend_from_slice(&u16::try_from(text.len()).expect("short").to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        let [reason, verified, source_etag, destination_etag] = texts.map(str::to_owned);
        let outcome = ItemOutcome::Copied { reason, verified, source_etag, destination_etag };
        assert_eq!(ItemRecord::decode(&bytes), Some(ItemRecord { size: 5, at: Timestamp(7), tries: 2, outcome }));
    }

    /// What version 2 looks like on disk; it must be readable for good.
    #[test]
    fn version_2_is_small() {
        let etag = "000102030405060708090a0b0c0d0e0f".to_owned();
        let outcome = ItemOutcome::Copied {
            reason: "missing".to_owned(),
            verified: "content-md5".to_owned(),
            source_etag: etag.clone(),
            destination_etag: etag,
        };
        let record = ItemRecord { size: 4096, at: Timestamp(7), tries: 1, outcome };
        let digest: Vec<u8> = (0..16).collect();
        let bytes = [&b"\x02\x00\x80\x20\x07\0\0\0\0\0\x01\x00\x05\x01"[..], &digest, b"\x03"].concat();
        assert_eq!(record.encode(), bytes);
        assert_eq!(ItemRecord::decode(&bytes), Some(record));
    }

    /// A run that was begun when every record had a place of its own is continued.
    #[tokio::test]
    async fn records_from_before_blocks_stay() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let old = b"\x01\x01\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\0\x08\0excluded";
        for key in ["a", "c", "e"] {
            store.trees.items.insert(item_key(7, 1, key), old).expect("insert");
        }
        let item = ItemRecord { size: 1, at: Timestamp(1), tries: 1, outcome: ItemOutcome::Deleted };
        for key in ["b", "e", "f"] {
            store.put_item(7, 1, key, &item);
        }
        store.remove_item(7, 1, "a");
        store.writer().applied().await.expect("applied");
        let (page, _) = store.items(7, 1, "", None, 10, |_| true).expect("page");
        let words: Vec<(&str, &str)> = page.iter().map(|(key, item)| (key.as_str(), item.outcome.word())).collect();
        assert_eq!(words, [("b", "deleted"), ("c", "skipped"), ("e", "deleted"), ("f", "deleted")]);
        assert_eq!(store.item(7, 1, "c").expect("item").map(|item| item.size), Some(5));
        assert_eq!(store.item(7, 1, "a").expect("item"), None);
    }

    #[tokio::test]
    async fn pages_cover_a_run_and_no_other() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let item = ItemRecord { size: 1, at: Timestamp(1), tries: 1, outcome: ItemOutcome::Deleted };
        let keys: Vec<String> = (0..25).map(|n| format!("a/{n:02}")).collect();
        for key in keys.iter().chain([&"b".to_owned(), &String::new()]) {
            store.put_item(7, 1, key, &item);
        }
        store.put_item(7, 2, "a/00", &item);
        store.writer().applied().await.expect("applied");
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = store.items(7, 1, "a/", after.as_deref(), 10, |_| true).expect("page");
            seen.extend(page.into_iter().map(|(key, _)| key));
            if next.is_none() {
                break;
            }
            after = next;
        }
        assert_eq!(seen, keys);
        assert_eq!(store.last_item(7, 1).expect("last"), Some("b".to_owned()));
    }
}
