//! `dthd state info, check, backup`: what can be done while no daemon runs. The caller holds the lock.

use std::path::{Path, PathBuf};

use super::{
    Store, StoreError,
    block::Records,
    from_json,
    item::ItemRecord,
    record::{RunRecord, TaskRecord},
    schema::{FILE, SchemaFile},
};
use crate::s3::journal::Upload;

/// What a state directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Schema of the directory.
    pub schema: u32,
    /// The dthd that made it.
    pub written_by: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Records by tree.
    pub records: Vec<(&'static str, u64)>,
}

/// Counts what is there.
///
/// # Errors
/// When the state cannot be opened.
pub fn info(dir: &Path) -> Result<Info, StoreError> {
    let store = existing(dir)?;
    // `existing` saw it a moment ago
    let (schema, written_by) = SchemaFile::read(dir)?.map_or((0, String::new()), |f| (f.schema, f.written_by));
    let mut records = Vec::new();
    for (name, tree) in store.trees.named() {
        let mut sum = 0;
        for entry in tree {
            let (key, value) = entry?;
            // what is damaged is told by `check`
            sum += if matches!(name, "items" | "pairs") { count(&key, &value, |_| true).unwrap_or(0) } else { 1 };
        }
        records.push((name, sum));
    }
    Ok(Info { schema, written_by, bytes: store.size_on_disk(), records })
}

/// How many records a value holds; `None`: it is damaged, or one of them is not `good`.
fn count(key: &[u8], value: &[u8], good: impl Fn(&[u8]) -> bool) -> Option<u64> {
    let mut records = Records::of(key, value);
    let mut count = 0;
    while let Some((_, record)) = records.next() {
        if !good(record) {
            return None;
        }
        count += 1;
    }
    (!records.is_damaged()).then_some(count)
}

/// Reads every record; answers with what is damaged, one line each (none: all is well).
///
/// # Errors
/// When the state cannot be opened.
pub fn check(dir: &Path) -> Result<Vec<String>, StoreError> {
    let store = existing(dir)?;
    let mut damaged = Vec::new();
    for (name, tree) in store.trees.named() {
        for entry in tree {
            let (key, bytes) = entry?;
            let good = match name {
                "tasks" => from_json::<TaskRecord>(dir, name, &bytes).is_ok(),
                "runs" => from_json::<RunRecord>(dir, name, &bytes).is_ok(),
                "uploads" => from_json::<Upload>(dir, name, &bytes).is_ok(),
                "blobs" => from_json::<serde_json::Value>(dir, name, &bytes).is_ok(),
                "items" => count(&key, &bytes, |record| ItemRecord::decode(record).is_some()).is_some(),
                "pairs" => count(&key, &bytes, |_| true).is_some(),
                _ => true,
            };
            if !good {
                damaged.push(format!("{name}: the record of {:?} is damaged", String::from_utf8_lossy(&key)));
            }
        }
    }
    Ok(damaged)
}

/// Copies the state into a new directory, record by record.
///
/// # Errors
/// When the state cannot be opened, the target exists and is not empty, or cannot be written.
pub fn backup(dir: &Path, target: &Path) -> Result<u64, StoreError> {
    let store = existing(dir)?;
    let io = |e: std::io::Error| StoreError::Io(format!("{}: {e}", target.display()));
    if target.exists() && target.read_dir().map_err(io)?.next().is_some() {
        return Err(StoreError::Io(format!("{}: is not empty; name a new directory", target.display())));
    }
    std::fs::create_dir_all(target).map_err(io)?;
    let db = sled::open(target.join(super::schema::DATABASE))?;
    let mut copied = 0;
    for (name, tree) in store.trees.named() {
        let to = db.open_tree(name)?;
        for entry in tree {
            let (key, value) = entry?;
            to.insert(key, value)?;
            copied += 1;
        }
    }
    db.flush()?;
    std::fs::copy(dir.join(FILE), target.join(FILE)).map_err(io)?;
    Ok(copied)
}

/// The state of a directory that has one: looking must not make one.
fn existing(dir: &Path) -> Result<Store, StoreError> {
    let missing = || StoreError::Unreadable { dir: PathBuf::from(dir), why: "there is no state here".to_owned() };
    SchemaFile::read(dir)?.ok_or_else(missing)?;
    Store::open(dir)
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;
    use crate::store::item::ItemOutcome;

    #[tokio::test]
    async fn a_backup_opens_like_the_original() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (state, copy) = (dir.path().join("state"), dir.path().join("copy"));
        let store = Store::open(&state).expect("store");
        let item = ItemRecord { size: 3, at: Timestamp(9), tries: 1, outcome: ItemOutcome::Deleted };
        store.put_item(1, 1, "k", &item);
        store.writer().durable().await.expect("durable");
        drop(store);
        backup(&state, &copy).expect("backup");
        assert_eq!(Store::open(&copy).expect("copy").item(1, 1, "k").expect("item"), Some(item));
        assert!(backup(&state, &copy).is_err(), "a backup never overwrites");
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert!(info(dir.path()).is_err());
        assert_eq!(dir.path().read_dir().expect("directory").count(), 0);
    }
}
