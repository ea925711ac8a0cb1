//! Buckets, objects and uploads in memory, and the view of tests on them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    archive::Restored,
    data::Data,
    digest::{Algorithm, Checksum, md5, md5_hex},
    error::S3Error,
    versions::Version,
};

/// What is kept with an object besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Content-Type, Cache-Control and so on, by lower-case header name.
    pub headers: BTreeMap<String, String>,
    /// User metadata, by lower-case name without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `STANDARD` unless the request said otherwise.
    pub storage_class: String,
    /// Canned ACL and encryption that the request asked for, by header name: kept for tests to see, not carried out.
    pub asked: BTreeMap<String, String>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            headers: BTreeMap::from([("content-type".to_owned(), "binary/octet-stream".to_owned())]),
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            storage_class: "STANDARD".to_owned(),
            asked: BTreeMap::new(),
        }
    }
}

/// A part of an object that was put together from parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// Bytes.
    pub size: u64,
    /// What the client sent with it.
    pub checksums: Vec<Checksum>,
}

/// One generation of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub data: Data,
    /// Without quotes: MD5, or MD5 of MD5s and `-PARTS`.
    pub etag: String,
    /// When it was put.
    pub modified: Timestamp,
    /// Headers, metadata, tags, storage class.
    pub attributes: Attributes,
    /// Checksums of the whole object.
    pub checksums: Vec<Checksum>,
    /// Empty for a single PUT.
    pub parts: Vec<PartInfo>,
}

impl Object {
    /// An object as a single PUT makes it.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let data = Data::from(bytes.into());
        let etag = md5_hex(&data);
        Self { data, etag, modified: Timestamp::now(), attributes: Attributes::default(), checksums: Vec::new(), parts: Vec::new() }
    }

    /// An object as a multipart upload with parts of `part_size` bytes makes it.
    #[must_use]
    pub fn multipart(bytes: impl Into<Bytes>, part_size: u64) -> Self {
        let data = Data::from(bytes.into());
        let part_size = part_size.max(1);
        let starts = (0..data.len().max(1).div_ceil(part_size)).map(|n| n * part_size);
        let parts: Vec<Data> = starts.map(|start| data.slice(start..start + part_size)).collect();
        let sums: Vec<Bytes> = parts.iter().map(|part| Bytes::copy_from_slice(&md5(part))).collect();
        let etag = format!("{}-{}", md5_hex(&sums.into()), parts.len());
        let parts = parts.iter().map(|part| PartInfo { size: part.len(), checksums: Vec::new() }).collect();
        Self { data, etag, modified: Timestamp::now(), attributes: Attributes::default(), checksums: Vec::new(), parts }
    }

    /// The same with a system header, such as `content-type`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.attributes.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// The same with one more entry of user metadata.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.attributes.metadata.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// The same with one more tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.attributes.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same as if it had been modified at `time`.
    #[must_use]
    pub fn modified(mut self, time: Timestamp) -> Self {
        self.modified = time;
        self
    }
}

/// An upload under way.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub key: String,
    pub initiated: Timestamp,
    pub attributes: Attributes,
    /// Asked for at the start, with whether it covers the full object (or else the part checksums).
    pub checksum: Option<(Algorithm, bool)>,
    pub parts: BTreeMap<u32, Part>,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub data: Data,
    pub md5: [u8; 16],
    pub modified: Timestamp,
    pub checksums: Vec<Checksum>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub objects: BTreeMap<String, Arc<Object>>,
    /// Every write makes a version.
    pub versioned: bool,
    /// Oldest first; of keys that were written since the bucket keeps versions.
    pub versions: BTreeMap<String, Vec<Version>>,
    /// Versions made so far.
    pub made: u64,
    /// By key and version, empty where there are none.
    pub restored: BTreeMap<(String, String), Restored>,
    pub uploads: BTreeMap<String, Upload>,
}

#[derive(Debug, Default)]
pub(super) struct Buckets {
    map: BTreeMap<String, Bucket>,
    uploads_made: u64,
    pub restore_delay: Duration,
}

impl Buckets {
    pub fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    pub fn bucket(&mut self, name: &str) -> Result<&mut Bucket, S3Error> {
        self.map.get_mut(name).ok_or_else(S3Error::no_such_bucket)
    }

    /// Whether it is new.
    pub fn create(&mut self, name: &str) -> bool {
        let is_new = !self.map.contains_key(name);
        if is_new {
            self.map.insert(name.to_owned(), Bucket::default());
        }
        is_new
    }

    pub fn remove(&mut self, name: &str) {
        self.map.remove(name);
    }

    /// An id that sorts by time, as those of AWS do not need to, but tests like.
    pub fn next_upload_id(&mut self) -> String {
        self.uploads_made += 1;
        format!("upload-{:08}", self.uploads_made)
    }
}

/// An upload under way, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Its id.
    pub id: String,
    /// The object it will make.
    pub key: String,
    /// Numbers of the parts that are there.
    pub parts: Vec<u32>,
}

/// The buckets of a server. Tests put and read objects here without a request being counted or a fault striking.
#[derive(Debug, Default)]
pub struct Store(Mutex<Buckets>);

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, Buckets> {
        // no code panics between two changes that belong together
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bucket, unless it is there.
    pub fn create_bucket(&self, name: &str) {
        self.lock().create(name);
    }

    /// Puts an object; makes the bucket if it is missing.
    pub fn put(&self, bucket: &str, key: &str, object: impl Into<Arc<Object>>) {
        let object = object.into();
        let mut buckets = self.lock();
        buckets.create(bucket);
        if let Ok(bucket) = buckets.bucket(bucket) {
            bucket.insert(key, object);
        }
    }

    /// The object of that key.
    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        self.lock().bucket(bucket).ok()?.objects.get(key).cloned()
    }

    /// Takes an object away; answers with what it was.
    pub fn remove(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        let mut buckets = self.lock();
        let bucket = buckets.bucket(bucket).ok()?;
        let gone = bucket.objects.get(key).cloned();
        bucket.delete(key);
        gone
    }

    /// All objects of a bucket, by key in byte order; empty when there is no such bucket.
    #[must_use]
    pub fn all(&self, bucket: &str) -> BTreeMap<String, Arc<Object>> {
        self.lock().bucket(bucket).map(|bucket| bucket.objects.clone()).unwrap_or_default()
    }

    /// Uploads under way in a bucket.
    #[must_use]
    pub fn uploads(&self, bucket: &str) -> Vec<UploadInfo> {
        let mut buckets = self.lock();
        let Ok(bucket) = buckets.bucket(bucket) else { return Vec::new() };
        let info = |(id, upload): (&String, &Upload)| UploadInfo {
            id: id.clone(),
            key: upload.key.clone(),
            parts: upload.parts.keys().copied().collect(),
        };
        bucket.uploads.iter().map(info).collect()
    }
}
