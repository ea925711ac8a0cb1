//! Repositories, manifests, blobs and uploads in memory, and the view of tests on them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    blob::Blob,
    digest,
    ecr::{Attributes, layer::LayerUpload},
    graph::Graph,
    image::Image,
    upload::Upload,
};

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `sha256:…`.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// When it came.
    pub pushed: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub manifests: BTreeMap<String, Manifest>,
    pub tags: BTreeMap<String, String>,
    pub blobs: BTreeSet<String>,
    pub attributes: Attributes,
}

impl Repository {
    /// The manifest with this tag or digest.
    pub fn find(&self, reference: &str) -> Option<&Manifest> {
        self.manifests.get(self.tags.get(reference).map_or(reference, String::as_str))
    }

    /// Whether a manifest here needs this blob.
    pub fn references(&self, blob: &str) -> bool {
        self.manifests.values().any(|manifest| Graph::read(&manifest.bytes).is_ok_and(|graph| graph.blobs.iter().any(|one| one == blob)))
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub blobs: HashMap<String, Blob>,
    pub repositories: BTreeMap<String, Repository>,
    /// Sessions of the distribution API.
    pub uploads: HashMap<String, Arc<tokio::sync::Mutex<Upload>>>,
    /// Sessions of ECR's API.
    pub layers: HashMap<String, LayerUpload>,
    /// ECR: settings of the account by name.
    pub account: BTreeMap<String, String>,
    /// How many sessions were begun.
    pub begun: u64,
}

impl State {
    /// A blob of a repository.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<&Blob> {
        self.repositories.get(repository).filter(|found| found.blobs.contains(digest)).and_then(|_| self.blobs.get(digest))
    }

    /// Puts a blob into a repository, which is made where it is missing.
    pub fn add(&mut self, repository: &str, blob: Blob) {
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(blob.digest().to_owned());
        self.blobs.insert(blob.digest().to_owned(), blob);
    }

    /// A name for a new session.
    pub fn session(&mut self) -> String {
        self.begun += 1;
        format!("{:08x}-{:016x}", self.begun, rand::random::<u64>())
    }
}

/// What hangs on a manifest, counted by [`Store::verify`]; every digest once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Manifests, the first included.
    pub manifests: BTreeSet<String>,
    /// Blobs.
    pub blobs: BTreeSet<String>,
    /// Bytes of the blobs.
    pub bytes: u64,
}

/// The content of a server.
#[derive(Debug, Default)]
pub struct Store(Mutex<State>);

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository<T: Default>(&self, name: &str, f: impl FnOnce(&Repository) -> T) -> T {
        self.lock().repositories.get(name).map(f).unwrap_or_default()
    }

    /// An empty repository.
    pub fn create_repository(&self, name: &str, attributes: Attributes) {
        self.lock().repositories.entry(name.to_owned()).or_default().attributes = attributes;
    }

    /// Takes a repository away with everything in it.
    pub fn remove_repository(&self, name: &str) {
        self.lock().repositories.remove(name);
    }

    /// All repositories, in order.
    #[must_use]
    pub fn repositories(&self) -> Vec<String> {
        self.lock().repositories.keys().cloned().collect()
    }

    /// ECR's settings of a repository; `None`: there is no such repository.
    #[must_use]
    pub fn attributes(&self, repository: &str) -> Option<Attributes> {
        self.lock().repositories.get(repository).map(|found| found.attributes.clone())
    }

    /// Puts an image with all that hangs on it into a repository, and a tag on it.
    pub fn push(&self, repository: &str, tag: Option<&str>, image: &Image) {
        let mut state = self.lock();
        for blob in image.blobs() {
            state.add(repository, blob);
        }
        let into = state.repositories.entry(repository.to_owned()).or_default();
        for one in image.manifests() {
            let manifest = Manifest {
                digest: one.digest().to_owned(),
                media_type: one.media_type().to_owned(),
                bytes: one.bytes(),
                pushed: Timestamp::now(),
            };
            into.manifests.insert(manifest.digest.clone(), manifest);
        }
        if let Some(tag) = tag {
            into.tags.insert(tag.to_owned(), image.digest().to_owned());
        }
    }

    /// Puts a tag on what is there already.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.lock().repositories.entry(repository.to_owned()).or_default().tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Takes a tag away.
    pub fn untag(&self, repository: &str, tag: &str) {
        if let Some(found) = self.lock().repositories.get_mut(repository) {
            found.tags.remove(tag);
        }
    }

    /// Digests by tag.
    #[must_use]
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        self.repository(repository, |found| found.tags.clone())
    }

    /// Digests of all manifests.
    #[must_use]
    pub fn manifests(&self, repository: &str) -> BTreeSet<String> {
        self.repository(repository, |found| found.manifests.keys().cloned().collect())
    }

    /// A manifest by tag or digest.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        self.repository(repository, |found| found.find(reference).cloned())
    }

    /// Takes a manifest away, and its tags.
    pub fn remove_manifest(&self, repository: &str, digest: &str) {
        if let Some(found) = self.lock().repositories.get_mut(repository) {
            found.manifests.remove(digest);
            found.tags.retain(|_, of| of != digest);
        }
    }

    /// Digests of all blobs.
    #[must_use]
    pub fn blobs(&self, repository: &str) -> BTreeSet<String> {
        self.repository(repository, |found| found.blobs.clone())
    }

    /// A blob of a repository.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Blob> {
        self.lock().blob(repository, digest).cloned()
    }

    /// Puts a blob into a repository.
    pub fn add_blob(&self, repository: &str, blob: Blob) {
        self.lock().add(repository, blob);
    }

    /// Takes a blob away from a repository.
    pub fn remove_blob(&self, repository: &str, digest: &str) {
        if let Some(found) = self.lock().repositories.get_mut(repository) {
            found.blobs.remove(digest);
        }
    }

    /// How many uploads were begun and not ended, by either API.
    #[must_use]
    pub fn uploads(&self) -> usize {
        let state = self.lock();
        state.uploads.len() + state.layers.len()
    }

    /// ECR: a setting of the account (`BLOB_MOUNTING`).
    pub fn set_account(&self, name: &str, value: &str) {
        self.lock().account.insert(name.to_owned(), value.to_owned());
    }

    /// Follows a tag or digest through everything it names, and computes the digest of each manifest and blob again.
    ///
    /// # Errors
    /// What is missing or has other bytes than its digest says, all of it.
    pub fn verify(&self, repository: &str, reference: &str) -> Result<Verified, Vec<String>> {
        let (mut verified, mut problems) = (Verified::default(), Vec::new());
        let mut open = vec![reference.to_owned()];
        while let Some(reference) = open.pop() {
            let Some(manifest) = self.manifest(repository, &reference) else {
                problems.push(format!("{repository}: manifest {reference} is missing"));
                continue;
            };
            if !digest::matches(&manifest.digest, &manifest.bytes.clone().into()) {
                problems.push(format!("{repository}: manifest {} has other bytes", manifest.digest));
            }
            if !verified.manifests.insert(manifest.digest.clone()) {
                continue;
            }
            match Graph::read(&manifest.bytes) {
                Ok(graph) => {
                    open.extend(graph.children);
                    self.verify_blobs(repository, graph.blobs, &mut verified, &mut problems);
                }
                Err(refusal) => problems.push(format!("{repository}: manifest {}: {}", manifest.digest, refusal.message)),
            }
        }
        if problems.is_empty() { Ok(verified) } else { Err(problems) }
    }

    fn verify_blobs(&self, repository: &str, blobs: Vec<String>, verified: &mut Verified, problems: &mut Vec<String>) {
        for wanted in blobs {
            let Some(blob) = self.blob(repository, &wanted) else {
                problems.push(format!("{repository}: blob {wanted} is missing"));
                continue;
            };
            if !verified.blobs.insert(wanted.clone()) {
                continue;
            }
            verified.bytes += blob.len();
            if blob.content().is_some_and(|content| !digest::matches(&wanted, content)) {
                problems.push(format!("{repository}: blob {wanted} has other bytes"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_found() {
        let store = Store::default();
        let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[10, 20]);
        store.push("a", Some("v1"), &image);
        let verified = store.verify("a", "v1").expect("a whole image");
        assert_eq!((verified.manifests.len(), verified.blobs.len()), (3, 6));
        assert_eq!(store.verify("a", image.digest()), Ok(verified.clone()));
        assert!(store.verify("a", "v2").is_err() && store.verify("b", "v1").is_err());

        let blob = verified.blobs.first().expect("six blobs");
        store.lock().blobs.insert(blob.clone(), Blob::claimed(blob, 1, Some(Bytes::from_static(b"x").into())));
        assert_eq!(store.verify("a", "v1"), Err(vec![format!("a: blob {blob} has other bytes")]));
        store.remove_blob("a", blob);
        assert_eq!(store.verify("a", "v1"), Err(vec![format!("a: blob {blob} is missing")]));
        let child = store.manifests("a").into_iter().find(|digest| digest != image.digest()).expect("two children");
        store.remove_manifest("a", &child);
        assert!(store.verify("a", "v1").expect_err("a child is missing").contains(&format!("a: manifest {child} is missing")));
    }
}
