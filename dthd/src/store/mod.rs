//! The daemon's memory: typed trees over one sled database.
//!
//! | file | holds |
//! |---|---|
//! | [`schema`] | what makes a state directory readable: schema file and identity |
//! | [`writer`] | the one thread that writes: batches, and flushes for those who wait |
//! | [`record`] | tasks and runs, as self-describing JSON |
//! | [`item`], [`words`] | one compact record per object acted upon |
//! | `block` | neighbouring records in one value of the database |
//! | [`pair`] | ETags of copies whose ETags cannot be compared |
//! | [`upload`], [`blob`] | multipart uploads and uploads of blobs under way |
//! | `sequencer` | the last event of each key that was acted upon |
//! | [`restore`] | what is being restored from an archive |
//! | [`request`] | answers to mutations, for clients that ask again |
//! | [`offline`] | `dthd state info, check, backup` |
//!
//! Keys of all per-task trees begin with the task's uid, so that a task deleted and created again by the same name never
//! meets its predecessor's records.

pub mod blob;
mod block;
pub mod item;
pub mod offline;
pub mod pair;
pub mod record;
pub mod request;
pub mod restore;
pub mod schema;
mod sequencer;
pub mod upload;
pub mod words;
pub mod writer;

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    record::{RunKind, RunRecord, TaskPhase, TaskRecord},
    schema::SCHEMA,
    writer::Writer,
};

/// The state could not be opened, read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Written by a newer dthd.
    #[error("{dir}: the state has schema {found}, written by {by}; this dthd reads up to schema {ours}: use a newer dthd")]
    Newer {
        /// State directory.
        dir: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        ours: u32,
        /// Who wrote it.
        by: String,
    },
    /// Damaged, or not a state directory. Nothing was changed.
    #[error("{dir}: the state cannot be read: {why}; nothing was changed. Restore a backup, or name another --state directory")]
    Unreadable {
        /// State directory.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The disk said no.
    #[error("the state cannot be written: {0}")]
    Io(String),
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        Self::Io(in_words(&error))
    }
}

/// What the database says, without the debug output that sled puts into its messages.
fn in_words(error: &sled::Error) -> String {
    match error {
        sled::Error::Io(io) if io.raw_os_error().is_none() && io.kind() != std::io::ErrorKind::Other => io.kind().to_string(),
        sled::Error::Io(io) => io.to_string(),
        sled::Error::Corruption { .. } => "its database is damaged".to_owned(),
        other => other.to_string(),
    }
}

/// The open state. Cheap to clone; all writes go through one writer thread.
#[derive(Clone)]
pub struct Store {
    dir: PathBuf,
    db: sled::Db,
    trees: Trees,
    writer: Writer,
}

#[derive(Clone)]
pub(crate) struct Trees {
    pub(crate) meta: sled::Tree,
    pub(crate) tasks: sled::Tree,
    pub(crate) runs: sled::Tree,
    pub(crate) items: sled::Tree,
    pub(crate) pairs: sled::Tree,
    pub(crate) uploads: sled::Tree,
    pub(crate) blobs: sled::Tree,
    pub(crate) requests: sled::Tree,
    pub(crate) sequencers: sled::Tree,
    pub(crate) restores: sled::Tree,
}

impl Trees {
    fn open(db: &sled::Db) -> Result<Self, sled::Error> {
        Ok(Self {
            meta: db.open_tree("meta")?,
            tasks: db.open_tree("tasks")?,
            runs: db.open_tree("runs")?,
            items: db.open_tree("items")?,
            pairs: db.open_tree("pairs")?,
            uploads: db.open_tree("uploads")?,
            blobs: db.open_tree("blobs")?,
            requests: db.open_tree("requests")?,
            sequencers: db.open_tree("sequencers")?,
            restores: db.open_tree("restores")?,
        })
    }

    /// Every tree with its name, for counting and copying.
    pub(crate) fn named(&self) -> [(&'static str, &sled::Tree); 10] {
        [
            ("meta", &self.meta),
            ("tasks", &self.tasks),
            ("runs", &self.runs),
            ("items", &self.items),
            ("pairs", &self.pairs),
            ("uploads", &self.uploads),
            ("blobs", &self.blobs),
            ("requests", &self.requests),
            ("sequencers", &self.sequencers),
            ("restores", &self.restores),
        ]
    }
}

impl Store {
    /// Opens the state in `dir`, or makes a new one when the directory has none. The caller holds the directory's lock.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Unreadable`] leave the directory as it is: a state that cannot be read is
    /// never replaced by an empty one.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (db, trees) = schema::open(dir)?;
        let writer = Writer::start(db.clone(), [trees.items.clone(), trees.pairs.clone()]);
        Ok(Self { dir: dir.to_owned(), db, trees, writer })
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The writer.
    #[must_use]
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }

    /// Reads one small value that has no tree of its own.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        self.trees.meta.get(key)?.map(|bytes| from_json(&self.dir, "meta", &bytes)).transpose()
    }

    /// Writes one small value that has no tree of its own; durable a moment later.
    pub fn put_meta<T: Serialize>(&self, key: &str, value: &T) {
        self.writer.put(&self.trees.meta, key.as_bytes().to_vec(), to_json(value));
    }
}

/// A task's uid as the beginning of a key: big-endian, so that records of one task are neighbours.
fn task_key(uid: u64) -> [u8; 8] {
    uid.to_be_bytes()
}

/// uid and run as the beginning of a key.
fn run_key(uid: u64, run: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&uid.to_be_bytes());
    key[8..].copy_from_slice(&run.to_be_bytes());
    key
}

/// uid and a name as a key.
fn named_key(uid: u64, name: &str) -> Vec<u8> {
    let mut key = task_key(uid).to_vec();
    key.extend_from_slice(name.as_bytes());
    key
}

/// Our own types are plain data with text keys: turning them into JSON cannot fail.
fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(dir: &Path, tree: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|e| StoreError::Unreadable { dir: dir.to_owned(), why: format!("a record in {tree} is damaged: {e}") })
}
