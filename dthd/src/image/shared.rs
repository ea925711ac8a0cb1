//! What all image tasks of a daemon share: the quotas of ECR, tokens, who works on which blob, and where blobs are.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use super::{digest::Digest, ecr::Accounts, registry::SignIns};
use crate::transfer::turns::{Turn, Turns};

/// Blobs of a registry whose place is remembered (about 200 bytes each); beyond that it begins anew, which costs uploads in place of
/// mounts.
const LOCATED: usize = 50_000;
/// Mounts that a registry has to refuse, without having done one, until it is not asked any more.
const REFUSALS: u32 = 3;

/// See the module. One per daemon.
#[derive(Default)]
pub struct Shared {
    /// Quotas and tokens of ECR.
    pub accounts: Accounts,
    /// How runs sign in to other registries.
    pub sign_ins: SignIns,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

impl Shared {
    /// What is known of the destination at `host[:port]`.
    #[must_use]
    pub fn place(&self, host: &str) -> Arc<Place> {
        Arc::clone(lock(&self.places).entry(host.to_ascii_lowercase()).or_default())
    }
}

/// One destination registry, as all tasks that write to it see it.
#[derive(Default)]
pub struct Place {
    turns: Turns,
    located: Mutex<HashMap<Digest, Arc<str>>>,
    mounted: AtomicU32,
    refused: AtomicU32,
}

impl Place {
    /// Waits until nobody else works on a blob for a repository; where blobs can be mounted from one repository into another, until nobody works
    /// on it for any: then the second one finds it in place.
    pub async fn blob(&self, repository: &str, digest: &Digest) -> Turn {
        if self.mounts() { self.turns.take(digest.as_str()).await } else { self.turns.take(&format!("{repository}@{digest}")).await }
    }

    /// Waits until nobody else creates a repository.
    pub async fn repository(&self, repository: &str) -> Turn {
        self.turns.take(repository).await
    }

    /// Another repository from which a blob may be mounted.
    #[must_use]
    pub fn other_holder(&self, digest: &Digest, than: &str) -> Option<Arc<str>> {
        let holder = lock(&self.located).get(digest).cloned()?;
        (self.mounts() && *holder != *than).then_some(holder)
    }

    /// Whether some task of this daemon has put the blob into the repository; `false` says nothing.
    #[must_use]
    pub fn held_by(&self, repository: &str, digest: &Digest) -> bool {
        lock(&self.located).get(digest).is_some_and(|holder| **holder == *repository)
    }

    /// The repository has the blob, so that others may mount it from there.
    pub fn holds(&self, repository: &str, digest: &Digest) {
        let mut located = lock(&self.located);
        if located.len() >= LOCATED {
            located.clear();
        }
        located.entry(digest.clone()).or_insert_with(|| repository.into());
    }

    /// A blob was mounted.
    pub fn mounted(&self) {
        self.mounted.fetch_add(1, Relaxed);
    }

    /// A blob could not be mounted: it is not where it was, or the registry does not mount at all.
    pub fn not_mounted(&self, digest: &Digest) {
        lock(&self.located).remove(digest);
        self.refused.fetch_add(1, Relaxed);
    }

    /// Whether it is worth while to ask for a mount.
    #[must_use]
    pub fn mounts(&self) -> bool {
        self.mounted.load(Relaxed) > 0 || self.refused.load(Relaxed) < REFUSALS
    }
}

/// Maps that are changed in single steps: they are whole also when a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn places_are_shared_by_host() {
        let shared = Shared::default();
        let (one, same, other) = (shared.place("r.example.com"), shared.place("R.example.com"), shared.place("r.example.com:5000"));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    }

    #[tokio::test]
    async fn a_blob_is_worked_on_once_and_then_mounted() {
        let (place, digest) = (Place::default(), Digest::sha256(b"layer"));
        let turn = place.blob("a", &digest).await;
        assert!(place.blob("b", &digest).now_or_never().is_none(), "another repository waits to mount it");
        assert_eq!(place.other_holder(&digest, "b"), None);
        place.holds("a", &digest);
        drop(turn);
        let _turn = place.blob("b", &digest).now_or_never().expect("its turn");
        assert_eq!(place.other_holder(&digest, "b").as_deref(), Some("a"));
        assert_eq!(place.other_holder(&digest, "a"), None, "it is there already");
    }

    #[tokio::test]
    async fn registries_that_refuse_mounts_are_not_asked_for_ever() {
        let (place, digest) = (Place::default(), Digest::sha256(b"layer"));
        for _ in 0..REFUSALS {
            place.holds("a", &digest);
            assert!(place.other_holder(&digest, "b").is_some());
            place.not_mounted(&digest);
            assert_eq!(place.other_holder(&digest, "b"), None, "it was not there");
        }
        place.holds("a", &digest);
        assert_eq!(place.other_holder(&digest, "b"), None);
        let _turn = place.blob("a", &digest).await;
        assert!(place.blob("b", &digest).now_or_never().is_some(), "without mounts there is nothing to wait for");
        place.mounted();
        assert!(place.mounts(), "one that was done proves it");
    }

    #[test]
    fn memory_is_bounded() {
        let place = Place::default();
        for n in 0..=LOCATED {
            place.holds("a", &Digest::sha256(&n.to_le_bytes()));
        }
        assert_eq!(lock(&place.located).len(), 1);
    }
}
