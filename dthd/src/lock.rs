//! The exclusive lock on the state directory, held for the daemon's life.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
};

use dth_proto::time::Timestamp;

/// Name of the lock file in the state directory.
pub const FILE: &str = "LOCK";

/// The state directory is ours until this is dropped. The system releases it when the process dies, however it dies.
#[derive(Debug)]
pub struct StateLock {
    // the lock belongs to the open file
    _file: File,
    dir: PathBuf,
}

/// Who holds the lock, as written in the lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id on `host`.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// Version of dthd.
    pub version: String,
    /// When it took the lock.
    pub started: Timestamp,
}

/// Why the state directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the state directory {} is in use by {}; stop it first, or choose another with --state", .dir.display(), .holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who, when the lock file tells.
        holder: Option<Holder>,
    },
    /// It cannot be made.
    #[error("cannot create the state directory {}: {source}; create it, or choose another with --state", .dir.display())]
    Create {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such directory, and it was not to be made.
    #[error("there is no state directory {}; choose one with --state", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// It exists, but this user may not write there.
    #[error("this user may not write to the state directory {}: {source}; run as its owner, or choose another with --state", .dir.display())]
    Denied {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system failed.
    #[error("cannot lock the state directory {}: {source}", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateLock {
    /// Makes `dir` (mode 0700) where it is missing and locks it; `now` is written down for others to read.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(dir: &Path, now: Timestamp) -> Result<Self, LockError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| LockError::Create { dir: dir.to_owned(), source })?;
        Self::lock(dir, now)
    }

    /// Locks `dir` as it is: for looking at the state of a daemon that does not run.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire_existing(dir: &Path, now: Timestamp) -> Result<Self, LockError> {
        if !dir.is_dir() {
            return Err(LockError::Missing { dir: dir.to_owned() });
        }
        Self::lock(dir, now)
    }

    fn lock(dir: &Path, now: Timestamp) -> Result<Self, LockError> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|source| {
            let dir = dir.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => LockError::Denied { dir, source },
                _ => LockError::Io { dir, source },
            }
        })?;
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).ok().and_then(|text| Holder::parse(&text));
                return Err(LockError::Held { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.write_all(Holder::ours(now).text().as_bytes()).map_err(failed)?;
        Ok(Self { _file: file, dir: dir.to_owned() })
    }

    /// The directory that is ours.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Holder {
    fn ours(now: Timestamp) -> Self {
        // a host without a name still locks
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Self { pid: process::id(), host, version: env!("CARGO_PKG_VERSION").to_owned(), started: now }
    }

    fn text(&self) -> String {
        format!("pid={}\nhost={}\nversion={}\nstarted={}\n", self.pid, self.host, self.version, self.started)
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Some(Self {
            pid: field("pid")?.parse().ok()?,
            host: field("host")?.to_owned(),
            version: field("version")?.to_owned(),
            started: field("started")?.parse().ok()?,
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dthd {} (pid {} on {}, since {})", self.version, self.pid, self.host, self.started)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp(1_764_554_400_000);

    #[test]
    fn the_second_is_told_who_was_first() {
        let base = tempfile::tempdir().expect("dir");
        let dir = base.path().join("deep/state");
        let lock = StateLock::acquire(&dir, NOW).expect("free");
        assert_eq!(lock.dir(), dir);
        assert_eq!(fs::metadata(&dir).expect("made").permissions().mode() & 0o777, 0o700);
        let error = StateLock::acquire(&dir, NOW).expect_err("held");
        let message = error.to_string();
        assert!(matches!(error, LockError::Held { holder: Some(Holder { pid, .. }), .. } if pid == process::id()), "{message}");
        assert!(message.contains(&format!("pid {}", process::id())) && message.contains("since 2025-12-01T02:00:00"), "{message}");
        drop(lock);
        StateLock::acquire(&dir, NOW).expect("free again");
    }

    #[test]
    fn a_torn_lock_file_still_locks() {
        let dir = tempfile::tempdir().expect("dir");
        let _lock = StateLock::acquire(dir.path(), NOW).expect("free");
        fs::write(dir.path().join(FILE), "pid=12").expect("written");
        let error = StateLock::acquire(dir.path(), NOW).expect_err("held");
        assert!(error.to_string().contains("another process"), "{error}");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let base = tempfile::tempdir().expect("dir");
        let file = base.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(StateLock::acquire(&file.join("state"), NOW), Err(LockError::Create { .. })));
        assert!(matches!(StateLock::acquire_existing(&base.path().join("none"), NOW), Err(LockError::Missing { .. })));
    }
}
