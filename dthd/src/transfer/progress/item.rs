//! How far the copy of one item is: its bytes, its parts, its blobs.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use dth_proto::view::BlobInFlight;

use super::lock;

/// How far the copy of one object is. Starts again at 0 when the object changed under the copy.
#[derive(Debug, Default)]
pub struct ItemProgress {
    /// Bytes the destination has.
    pub bytes: AtomicU64,
    /// Bytes in all.
    pub size: AtomicU64,
    /// Parts the destination has.
    pub parts: AtomicU32,
    /// Parts in all; 1 for a single PUT.
    pub parts_total: AtomicU32,
    /// Blobs of an image that are being sent.
    blobs: Mutex<Vec<Arc<BlobProgress>>>,
}

/// How far one blob of an image is.
#[derive(Debug)]
pub struct BlobProgress {
    digest: String,
    size: u64,
    bytes: AtomicU64,
}

impl BlobProgress {
    /// So many bytes of it were sent.
    pub fn set(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

impl ItemProgress {
    /// Begins, or begins again, a copy of `size` bytes in so many parts.
    pub fn begin(&self, size: u64, parts_total: u32) {
        self.bytes.store(0, Ordering::Relaxed);
        self.parts.store(0, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
        self.parts_total.store(parts_total, Ordering::Relaxed);
    }

    /// The destination has so many more bytes of a part.
    pub fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was sent of a part is lost: so many bytes.
    pub fn fall_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// A blob of `size` bytes begins to be sent; `digest` is as it is shown.
    #[must_use]
    pub fn blob_begins(&self, digest: &str, size: u64) -> Arc<BlobProgress> {
        let blob = Arc::new(BlobProgress { digest: digest.to_owned(), size, bytes: AtomicU64::new(0) });
        lock(&self.blobs).push(Arc::clone(&blob));
        blob
    }

    /// It is sent, or given up.
    pub fn blob_ends(&self, blob: &Arc<BlobProgress>) {
        lock(&self.blobs).retain(|one| !Arc::ptr_eq(one, blob));
    }

    /// The largest blobs that are being sent, at most `limit`.
    pub(super) fn blobs_in_flight(&self, limit: usize) -> Vec<BlobInFlight> {
        let shown = |blob: &Arc<BlobProgress>| BlobInFlight {
            digest: blob.digest.clone(),
            size: blob.size,
            done: blob.bytes.load(Ordering::Relaxed).min(blob.size),
        };
        let mut list: Vec<BlobInFlight> = lock(&self.blobs).iter().map(shown).collect();
        list.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
        list.truncate(limit);
        list
    }

    /// The destination has another part of so many bytes.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.parts.fetch_add(1, Ordering::Relaxed);
    }
}
