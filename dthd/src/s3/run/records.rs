//! What earlier passes of a run recorded, in key order beside a listing.

use std::collections::VecDeque;

use crate::store::{Store, item::ItemRecord};

/// Records read from the store at once.
const PAGE: usize = 500;

/// The records of a run behind a key, for keys that are asked for in order.
pub(super) struct Records {
    store: Store,
    uid: u64,
    run: u32,
    page: VecDeque<(String, ItemRecord)>,
    after: Option<String>,
    ended: bool,
}

impl Records {
    /// Records of keys behind `after`.
    pub(super) fn new(store: &Store, uid: u64, run: u32, after: Option<String>) -> Self {
        Self { store: store.clone(), uid, run, page: VecDeque::new(), after, ended: false }
    }

    /// The record of a key, which is greater than the one asked for before. What cannot be read counts as not recorded: the object is
    /// compared again, which is slower, and as right.
    pub(super) fn of(&mut self, key: &str) -> Option<ItemRecord> {
        loop {
            while let Some((first, _)) = self.page.front() {
                if first.as_str() > key {
                    return None;
                }
                if let Some((first, record)) = self.page.pop_front()
                    && first == key
                {
                    return Some(record);
                }
            }
            if self.ended {
                return None;
            }
            let (page, next) = self.store.items(self.uid, self.run, "", self.after.as_deref(), PAGE, |_| true).unwrap_or_default();
            self.ended = next.is_none();
            self.after = next;
            self.page = page.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;
    use crate::store::item::ItemOutcome;

    #[tokio::test]
    async fn records_are_found_beside_a_listing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let record = |size| ItemRecord { size, at: Timestamp(1), tries: 1, outcome: ItemOutcome::Deleted };
        // several pages, every third key
        for n in (0..3_000_u64).step_by(3) {
            store.put_item(7, 1, &format!("{n:04}"), &record(n));
        }
        store.put_item(7, 2, "0001", &record(0));
        store.writer().applied().await.expect("applied");
        for after in [None, Some("0000"), Some("0600"), Some("0601"), Some("2998")] {
            let mut records = Records::new(&store, 7, 1, after.map(str::to_owned));
            let from = after.map_or(0, |after| after.parse::<u64>().expect("a number") + 1);
            for n in from..3_010 {
                let wanted = (n < 3_000 && n % 3 == 0).then(|| record(n));
                assert_eq!(records.of(&format!("{n:04}")), wanted, "{n} after {after:?}");
            }
        }
    }
}
