//! What makes a state directory readable.
//!
//! `SCHEMA` beside the database names the schema and carries an identity that is also inside the database. A database that
//! lost its content (sled drops what it cannot recover) lacks the identity, and is refused instead of being used empty.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{StoreError, Trees};

/// The schema this build writes, and the newest it reads.
///
/// | schema | what it brought |
/// |---|---|
/// | 1 | the first |
/// | 2 | a run's checkpoint is what remains of its listing, not one key; runs of schema 1 are read as they are |
/// | 3 | runs that plan, verify, restore or follow events, and what they plan; records of schema 2 are read as they are |
pub const SCHEMA: u32 = 3;

/// The file beside the database.
pub(crate) const FILE: &str = "SCHEMA";
/// The database's directory.
pub(crate) const DATABASE: &str = "db";
const IDENTITY: &str = "identity";
/// How long the lock on the database's file may outlive its last user.
const RELEASE: Duration = Duration::from_secs(5);
/// How often it is tried: sled does not tell when it lets go.
const AGAIN: Duration = Duration::from_millis(10);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SchemaFile {
    pub(crate) schema: u32,
    pub(crate) written_by: String,
    pub(crate) identity: String,
}

impl SchemaFile {
    /// Reads `<dir>/SCHEMA`; `None` when there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let unreadable = |why: String| StoreError::Unreadable { dir: dir.to_owned(), why };
        match fs::read(dir.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(format!("{FILE} is damaged: {e}"))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(format!("{FILE}: {e}"))),
        }
    }

    fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let io = |e: io::Error| StoreError::Io(e.to_string());
        let bytes = serde_json::to_vec(self).map_err(|e| StoreError::Io(e.to_string()))?;
        let new = dir.join("SCHEMA.new");
        let mut file = fs::File::create(&new).map_err(io)?;
        io::Write::write_all(&mut file, &bytes).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(new, dir.join(FILE)).map_err(io)
    }
}

/// Opens or makes the database of a state directory.
pub(super) fn open(dir: &Path) -> Result<(sled::Db, Trees), StoreError> {
    let unreadable = |why: String| StoreError::Unreadable { dir: dir.to_owned(), why };
    let file = SchemaFile::read(dir)?;
    let database = dir.join(DATABASE);
    match file {
        Some(file) if file.schema > SCHEMA => {
            Err(StoreError::Newer { dir: dir.to_owned(), found: file.schema, ours: SCHEMA, by: file.written_by })
        }
        Some(file) => {
            if !database.is_dir() {
                return Err(unreadable(format!("{FILE} is there, but the database {DATABASE} is not")));
            }
            let (db, trees) = open_database(&database).map_err(unreadable)?;
            let identity = trees.meta.get(IDENTITY)?;
            if identity.as_deref() != Some(file.identity.as_bytes()) {
                return Err(unreadable("the database is not the one that SCHEMA belongs to, or lost its content".to_owned()));
            }
            if file.schema < SCHEMA {
                // before the first record is written: the older dthd would misread it
                SchemaFile { schema: SCHEMA, written_by: written_by(), ..file }.write(dir)?;
            }
            Ok((db, trees))
        }
        None if database.exists() => Err(unreadable(format!("the database {DATABASE} is there, but {FILE} is not"))),
        None => {
            let (db, trees) = open_database(&database).map_err(StoreError::Io)?;
            let identity = dth_proto::id::Epoch::random().0;
            trees.meta.insert(IDENTITY, identity.as_bytes())?;
            db.flush()?;
            // last, so that a crash before this line leaves a database without SCHEMA: refused, not half used
            SchemaFile { schema: SCHEMA, written_by: written_by(), identity }.write(dir)?;
            Ok((db, trees))
        }
    }
}

fn written_by() -> String {
    format!("dthd {}", env!("CARGO_PKG_VERSION"))
}

/// Waits for the lock on the database's file. sled's own threads hold it for a moment after the last handle is gone; another process cannot:
/// the directory is ours.
fn when_released(open: impl Fn() -> sled::Result<sled::Db>) -> sled::Result<sled::Db> {
    let deadline = Instant::now() + RELEASE;
    loop {
        match open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && Instant::now() < deadline => std::thread::park_timeout(AGAIN),
            result => return result,
        }
    }
}

/// sled tells it in words alone.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// sled panics on some kinds of damage; here they are errors like the others.
fn open_database(path: &Path) -> Result<(sled::Db, Trees), String> {
    let config = sled::Config::new().path(path).mode(sled::Mode::HighThroughput).cache_capacity(64 << 20).flush_every_ms(Some(500));
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = when_released(|| config.open())?;
        let trees = Trees::open(&db)?;
        Ok::<_, sled::Error>((db, trees))
    }));
    match opened {
        Ok(result) => result.map_err(|e| super::in_words(&e)),
        Err(_) => Err("its database is damaged".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn dir() -> tempfile::TempDir {
        tempfile::tempdir().expect("temporary directory")
    }

    #[test]
    fn a_new_directory_is_made_and_opened_again() {
        let dir = dir();
        drop(Store::open(dir.path()).expect("new"));
        drop(Store::open(dir.path()).expect("again"));
    }

    #[test]
    fn a_newer_schema_is_refused_with_its_writer() {
        let dir = dir();
        drop(Store::open(dir.path()).expect("new"));
        SchemaFile { schema: SCHEMA + 1, written_by: "dthd 9.0.0".to_owned(), identity: "x".to_owned() }.write(dir.path()).expect("file");
        let error = Store::open(dir.path()).err().expect("refused").to_string();
        assert!(error.contains("schema 4, written by dthd 9.0.0"), "{error}");
    }

    #[test]
    fn schema_1_becomes_ours_and_keeps_its_content() {
        let dir = dir();
        drop(Store::open(dir.path()).expect("new"));
        let ours = SchemaFile::read(dir.path()).expect("readable").expect("there");
        let older = SchemaFile { schema: 1, written_by: "dthd 0.0.9".to_owned(), identity: ours.identity.clone() };
        older.write(dir.path()).expect("file");
        drop(Store::open(dir.path()).expect("read as it is"));
        let now = SchemaFile::read(dir.path()).expect("readable").expect("there");
        assert_eq!((now.schema, now.written_by, now.identity), (SCHEMA, written_by(), ours.identity));
    }

    #[test]
    fn a_lock_that_is_held_is_known_by_its_words() {
        let dir = dir();
        let _held = sled::open(dir.path()).expect("new");
        let error = sled::open(dir.path()).expect_err("locked");
        assert!(matches!(&error, sled::Error::Io(error) if is_locked(error)), "{error}");
    }

    #[test]
    fn lost_or_foreign_content_is_refused() {
        let dir = dir();
        drop(Store::open(dir.path()).expect("new"));
        // the database vanished
        fs::rename(dir.path().join(DATABASE), dir.path().join("elsewhere")).expect("rename");
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Unreadable { .. })));
        // an empty one took its place
        drop(sled::open(dir.path().join(DATABASE)).expect("empty database"));
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Unreadable { .. })));
        // only the database is left
        fs::remove_file(dir.path().join(FILE)).expect("remove");
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Unreadable { .. })));
        // garbage instead of SCHEMA
        fs::write(dir.path().join(FILE), "{").expect("write");
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Unreadable { .. })));
    }
}
