//! One compact record per object acted upon (objects found `same` leave none).
//!
//! Layout, version 1: version byte, outcome byte, size u64, time u64 (ms), tries u16, then texts as u16 length + UTF-8. All numbers
//! little-endian. The source key is part of the database key, so that records of a run come in key order.

use dth_proto::{
    failure::{FailureClass, FailureItem, Side},
    time::Timestamp,
    view::ItemView,
};

use super::{Store, StoreError, run_key};

const VERSION: u8 = 1;

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
            Self::Failed { .. } => "failed",
        }
    }
}

impl ItemRecord {
    /// The record as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(Vec::with_capacity(96));
        out.byte(VERSION);
        out.byte(match &self.outcome {
            ItemOutcome::Copied { .. } => 0,
            ItemOutcome::Skipped { .. } => 1,
            ItemOutcome::Deleted => 2,
            ItemOutcome::Failed { .. } => 3,
        });
        out.bytes(&self.size.to_le_bytes());
        out.bytes(&self.at.0.to_le_bytes());
        out.bytes(&self.tries.to_le_bytes());
        match &self.outcome {
            ItemOutcome::Copied { reason, verified, source_etag, destination_etag } => {
                out.texts([reason, verified, source_etag, destination_etag]);
            }
            ItemOutcome::Skipped { reason } => out.texts([reason]),
            ItemOutcome::Deleted => {}
            ItemOutcome::Failed { class, side, operation, code, message, request_id } => {
                out.texts([class.word(), side.word(), operation, code, message, request_id.as_deref().unwrap_or("")]);
            }
        }
        out.0
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is damaged or of a newer version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Decoder(bytes);
        if input.byte()? != VERSION {
            return None;
        }
        let kind = input.byte()?;
        let size = u64::from_le_bytes(input.array()?);
        let at = Timestamp(u64::from_le_bytes(input.array()?));
        let tries = u16::from_le_bytes(input.array()?);
        let outcome = match kind {
            0 => ItemOutcome::Copied {
                reason: input.text()?,
                verified: input.text()?,
                source_etag: input.text()?,
                destination_etag: input.text()?,
            },
            1 => ItemOutcome::Skipped { reason: input.text()? },
            2 => ItemOutcome::Deleted,
            3 => ItemOutcome::Failed {
                class: input.text()?.parse().unwrap_or(FailureClass::Unknown),
                side: if input.text()? == "source" { Side::Source } else { Side::Destination },
                operation: input.text()?,
                code: input.text()?,
                message: input.text()?,
                request_id: input.text().map(|t| (!t.is_empty()).then_some(t))?,
            },
            _ => return None,
        };
        Some(Self { size, at, tries, outcome })
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
            ItemOutcome::Skipped { reason } => view.reason = Some(reason),
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
        self.writer.put(&self.trees.items, item_key(uid, run, key), item.encode());
    }

    /// Forgets the record of an object.
    pub fn remove_item(&self, uid: u64, run: u32, key: &str) {
        self.writer.remove(&self.trees.items, item_key(uid, run, key));
    }

    /// The record of one object.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn item(&self, uid: u64, run: u32, key: &str) -> Result<Option<ItemRecord>, StoreError> {
        Ok(self.trees.items.get(item_key(uid, run, key))?.and_then(|bytes| ItemRecord::decode(&bytes)))
    }

    /// The last key of a run that has a record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_item(&self, uid: u64, run: u32) -> Result<Option<String>, StoreError> {
        let last = self.trees.items.scan_prefix(run_key(uid, run)).keys().next_back().transpose()?;
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
    ) -> Result<(Vec<(String, ItemRecord)>, Option<String>), StoreError> {
        let first = match after {
            Some(after) if after >= prefix => [item_key(uid, run, after), vec![0]].concat(),
            _ => item_key(uid, run, prefix),
        };
        let all = item_key(uid, run, prefix);
        let mut found = Vec::new();
        for entry in self.trees.items.range(first..) {
            let (key, bytes) = entry?;
            if !key.starts_with(&all) {
                break;
            }
            let Some(item) = ItemRecord::decode(&bytes).filter(&wanted) else { continue };
            if found.len() == limit {
                let next = found.last().map(|(key, _): &(String, ItemRecord)| key.clone());
                return Ok((found, next));
            }
            found.push((source_key(&key), item));
        }
        Ok((found, None))
    }
}

impl Store {
    /// Hands every failed item of a run to `each`, in key order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each_failure(&self, uid: u64, run: u32, mut each: impl FnMut(FailureItem)) -> Result<(), StoreError> {
        for entry in self.trees.items.scan_prefix(run_key(uid, run)) {
            let (key, bytes) = entry?;
            if let Some(item) = ItemRecord::decode(&bytes).and_then(|record| record.failure(source_key(&key))) {
                each(item);
            }
        }
        Ok(())
    }
}

fn item_key(uid: u64, run: u32, key: &str) -> Vec<u8> {
    [&run_key(uid, run)[..], key.as_bytes()].concat()
}

/// Keys were text when they were written.
fn source_key(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[12..]).into_owned()
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn texts<const N: usize>(&mut self, texts: [&str; N]) {
        for text in texts {
            // messages longer than a length can say are cut; keys and tags never are that long
            let mut end = text.len().min(usize::from(u16::MAX));
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.bytes(&u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes());
            self.bytes(&text.as_bytes()[..end]);
        }
    }
}

struct Decoder<'b>(&'b [u8]);

impl Decoder<'_> {
    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.array()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome() -> impl Strategy<Value = ItemOutcome> {
        let text = || "\\PC{0,40}";
        prop_oneof![
            (text(), text(), text(), text()).prop_map(|(reason, verified, source_etag, destination_etag)| ItemOutcome::Copied {
                reason,
                verified,
                source_etag,
                destination_etag
            }),
            text().prop_map(|reason| ItemOutcome::Skipped { reason }),
            Just(ItemOutcome::Deleted),
            (text(), text(), text(), prop::option::of("[a-z]{1,9}")).prop_map(|(operation, code, message, request_id)| {
                ItemOutcome::Failed { class: FailureClass::Auth, side: Side::Source, operation, code, message, request_id }
            }),
        ]
    }

    proptest! {
        #[test]
        fn records_survive_bytes(size: u64, at: u64, tries: u16, outcome in outcome()) {
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
