//! What one run has found out about its ends: it need not ask again, nor carry anything twice.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{blob::Failures, digest::Digest};
use crate::transfer::TransferError;

/// What is remembered of all repositories together (about 150 bytes each); beyond that it begins anew, which costs requests.
const MOST: usize = 100_000;

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    /// Blobs and manifests of the destination, by repository.
    there: Mutex<There>,
    failed: Mutex<Failures>,
    created: Mutex<HashSet<Box<str>>>,
    /// The source does not tell what refers to a manifest: only tags do.
    pub(super) only_tags: AtomicBool,
    only_whole: AtomicBool,
}

#[derive(Default)]
struct There {
    repositories: HashMap<Box<str>, Repository>,
    count: usize,
    /// How often something was forgotten.
    forgotten: u64,
}

/// When the destination was asked: what it answers to a question from before something was forgotten is not learned any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked(u64);

#[derive(Default)]
struct Repository {
    blobs: HashSet<Digest>,
    manifests: HashSet<Digest>,
}

impl Memory {
    /// Whether the destination's repository is known to have a blob.
    pub(super) fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        lock(&self.there).repositories.get(repository).is_some_and(|known| known.blobs.contains(digest))
    }

    /// Taken before the destination is asked for what is learned from its answer.
    pub(super) fn asks(&self) -> Asked {
        Asked(lock(&self.there).forgotten)
    }

    /// It has it.
    pub(super) fn blob_is_there(&self, asked: Asked, repository: &str, digest: &Digest) {
        lock(&self.there).note(asked, repository, |known| known.blobs.insert(digest.clone()));
    }

    /// Whether the destination's repository is known to have a manifest, and so everything that it names.
    pub(super) fn has_manifest(&self, repository: &str, digest: &Digest) -> bool {
        lock(&self.there).repositories.get(repository).is_some_and(|known| known.manifests.contains(digest))
    }

    /// It has it.
    pub(super) fn manifest_is_there(&self, asked: Asked, repository: &str, digest: &Digest) {
        lock(&self.there).note(asked, repository, |known| known.manifests.insert(digest.clone()));
    }

    /// The destination does not have what was thought to be there: everything about the repository is asked again, also what others are
    /// just being told of it.
    pub(super) fn forget(&self, repository: &str) {
        let mut there = lock(&self.there);
        there.forgotten += 1;
        if let Some(known) = there.repositories.remove(repository) {
            there.count = there.count.saturating_sub(known.blobs.len() + known.manifests.len());
        }
    }

    /// Whether this run has created the destination's repository.
    pub(super) fn has_created(&self, repository: &str) -> bool {
        lock(&self.created).contains(repository)
    }

    /// It has.
    pub(super) fn created(&self, repository: &str) {
        lock(&self.created).insert(repository.into());
    }

    /// Why a blob could not be carried, if it was tried in this run and trying again is no use.
    pub(super) fn failure(&self, digest: &Digest) -> Option<TransferError> {
        lock(&self.failed).get(digest).cloned()
    }

    /// A blob could not be carried. Only what the source says of a blob holds for all repositories of the destination.
    pub(super) fn blob_failed(&self, digest: &Digest, error: &TransferError) {
        if error.side == dth_proto::failure::Side::Source && error.code == "DIGEST_MISMATCH" {
            lock(&self.failed).insert(digest.clone(), error.clone());
        }
    }

    /// Whether the destination takes a blob in parts, as far as is known.
    pub(super) fn takes_parts(&self) -> bool {
        !self.only_whole.load(Relaxed)
    }

    /// It does not.
    pub(super) fn takes_only_whole_blobs(&self) {
        self.only_whole.store(true, Relaxed);
    }
}

impl There {
    fn note(&mut self, asked: Asked, repository: &str, note: impl FnOnce(&mut Repository) -> bool) {
        if asked.0 != self.forgotten {
            return;
        }
        if self.count >= MOST {
            *self = Self { forgotten: self.forgotten, ..Self::default() };
        }
        if !self.repositories.contains_key(repository) {
            self.repositories.insert(repository.into(), Repository::default());
        }
        if let Some(known) = self.repositories.get_mut(repository)
            && note(known)
        {
            self.count += 1;
        }
    }
}

/// Sets that are changed in single steps: they are whole also when a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use dth_proto::failure::{FailureClass, Side};

    use super::*;

    #[test]
    fn repositories_are_told_apart_and_forgotten() {
        let (memory, digest) = (Memory::default(), Digest::sha256(b"x"));
        let asked = memory.asks();
        memory.blob_is_there(asked, "a", &digest);
        memory.manifest_is_there(asked, "b", &digest);
        assert!(memory.has_blob("a", &digest) && !memory.has_blob("b", &digest));
        assert!(memory.has_manifest("b", &digest) && !memory.has_manifest("a", &digest));
        memory.forget("a");
        assert!(!memory.has_blob("a", &digest) && memory.has_manifest("b", &digest));
        memory.blob_is_there(asked, "a", &digest);
        assert!(!memory.has_blob("a", &digest), "an answer to a question from before says nothing");
        memory.blob_is_there(memory.asks(), "a", &digest);
        assert!(memory.has_blob("a", &digest));
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::default();
        for n in 0..=MOST {
            memory.blob_is_there(memory.asks(), "a", &Digest::sha256(&n.to_le_bytes()));
        }
        assert_eq!(lock(&memory.there).count, 1);
    }

    #[test]
    fn only_wrong_bytes_of_the_source_are_believed_for_good() {
        let (memory, digest) = (Memory::default(), Digest::sha256(b"x"));
        let error = |side, code: &str| TransferError::new(FailureClass::Transient, side, "GetBlob", code, "why");
        memory.blob_failed(&digest, &error(Side::Source, "ConnectionFailed"));
        memory.blob_failed(&digest, &error(Side::Destination, "DIGEST_MISMATCH"));
        assert_eq!(memory.failure(&digest), None);
        memory.blob_failed(&digest, &error(Side::Source, "DIGEST_MISMATCH"));
        assert_eq!(memory.failure(&digest).map(|error| error.code).as_deref(), Some("DIGEST_MISMATCH"));
    }
}
