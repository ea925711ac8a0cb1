//! Versioned buckets: what each key was, delete markers between, and their listing.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    error::S3Error,
    list::{encode, iso_time},
    reply::Reply,
    route::Call,
    store::{Bucket, Buckets, Object, Store},
    xml::{self, Xml},
};

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id; `null` of what was there before the bucket kept versions.
    pub id: String,
    /// The object; `None`: a delete marker.
    pub object: Option<Arc<Object>>,
    /// When it was made.
    pub made: Timestamp,
}

/// What was there before the bucket kept versions.
const NULL: &str = "null";

impl Bucket {
    /// Puts an object; answers with the id of the version that it is.
    pub fn insert(&mut self, key: &str, object: Arc<Object>) -> Option<String> {
        let id = self.version(key, Some(Arc::clone(&object)), object.modified);
        self.objects.insert(key.to_owned(), object);
        id
    }

    /// Takes the latest away; answers with the id of the delete marker.
    pub fn delete(&mut self, key: &str) -> Option<String> {
        let gone = self.objects.remove(key);
        if let (Some(object), true) = (gone, self.versioned && !self.versions.contains_key(key)) {
            self.before(key, object);
        }
        self.version(key, None, Timestamp::now())
    }

    fn before(&mut self, key: &str, object: Arc<Object>) {
        let made = object.modified;
        self.versions.insert(key.to_owned(), vec![Version { id: NULL.to_owned(), object: Some(object), made }]);
    }

    fn version(&mut self, key: &str, object: Option<Arc<Object>>, made: Timestamp) -> Option<String> {
        if !self.versioned {
            return None;
        }
        if let (Some(old), false) = (self.objects.get(key).cloned(), self.versions.contains_key(key)) {
            self.before(key, old);
        }
        self.made += 1;
        let id = format!("version.{:08}", self.made);
        self.versions.entry(key.to_owned()).or_default().push(Version { id: id.clone(), object, made });
        Some(id)
    }

    /// The object that a request is about, and its version where the bucket keeps them.
    ///
    /// # Errors
    /// As S3 has it: nothing there, no such version, or a delete marker.
    pub fn found(&self, call: &Call) -> Result<(Arc<Object>, Option<String>), S3Error> {
        self.find(&call.key, call.query.get("versionId"))
    }

    /// A version of a key; without an id the latest.
    ///
    /// # Errors
    /// As [`Self::found`].
    pub fn find(&self, key: &str, id: Option<&str>) -> Result<(Arc<Object>, Option<String>), S3Error> {
        let versions = self.versions.get(key);
        let Some(id) = id else {
            let object = self.objects.get(key).cloned().ok_or_else(S3Error::no_such_key)?;
            return Ok((object, versions.and_then(|versions| versions.last()).map(|version| version.id.clone())));
        };
        let alone = || (id == NULL && versions.is_none()).then(|| self.objects.get(key).cloned()).flatten();
        let version = versions.and_then(|versions| versions.iter().find(|version| version.id == id));
        match version.map(|version| version.object.clone()) {
            Some(Some(object)) => Ok((object, Some(id.to_owned()))),
            Some(None) => Err(S3Error::method_not_allowed()),
            None => alone().map(|object| (object, Some(id.to_owned()))).ok_or_else(S3Error::no_such_version),
        }
    }

    /// Every key with its versions, oldest first.
    pub fn history(&self) -> Vec<(String, Vec<Version>)> {
        let null = |object: &Arc<Object>| vec![Version { id: NULL.to_owned(), object: Some(Arc::clone(object)), made: object.modified }];
        let alone =
            self.objects.iter().filter(|(key, _)| !self.versions.contains_key(*key)).map(|(key, object)| (key.clone(), null(object)));
        let mut all: Vec<_> = self.versions.clone().into_iter().chain(alone).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

/// `GetBucketVersioning`.
pub(super) fn status(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let versioned = buckets.bucket(&call.bucket)?.versioned;
    Ok(Reply::xml(Xml::document("VersioningConfiguration", |xml| {
        if versioned {
            xml.text("Status", "Enabled");
        }
    })))
}

/// `PutBucketVersioning`; it can only be turned on.
pub(super) fn configure(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let body = call.body.to_bytes();
    let text = std::str::from_utf8(&body).map_err(|_| S3Error::malformed_xml())?;
    if xml::text(text, "Status").as_deref() != Some("Enabled") {
        return Err(S3Error::not_implemented("suspending versions"));
    }
    buckets.bucket(&call.bucket)?.versioned = true;
    Ok(Reply::new(StatusCode::OK))
}

/// `ListObjectVersions`, without delimiters.
pub(super) fn reply(call: &Call, buckets: &mut Buckets, most_keys: usize) -> Result<Reply, S3Error> {
    let query = |name| call.query.get(name).unwrap_or_default();
    let (prefix, key_marker, version_marker) = (query("prefix"), query("key-marker"), query("version-id-marker"));
    let max = call.query.number("max-keys")?.map_or(most_keys, |n| most_keys.min(n as usize));
    let url = query("encoding-type") == "url";
    let encode = |text: &str| encode(text, url);
    let mut all = Vec::new();
    for (key, versions) in buckets.bucket(&call.bucket)?.history() {
        let newest_first = versions.into_iter().rev().enumerate();
        let mut behind = version_marker.is_empty();
        for (n, version) in newest_first {
            let wanted =
                key.starts_with(prefix) && (key.as_str() > key_marker || (key == key_marker && !version_marker.is_empty() && behind));
            behind |= version.id == version_marker;
            if wanted {
                all.push((key.clone(), version, n == 0));
            }
        }
    }
    let is_more = all.len() > max;
    all.truncate(max);
    Ok(Reply::xml(Xml::document("ListVersionsResult", |xml| {
        xml.text("Name", &call.bucket);
        xml.text("Prefix", encode(prefix));
        xml.text("KeyMarker", encode(key_marker));
        xml.text("VersionIdMarker", version_marker);
        if let Some((key, version, _)) = all.last().filter(|_| is_more) {
            xml.text("NextKeyMarker", encode(key));
            xml.text("NextVersionIdMarker", &version.id);
        }
        xml.text("MaxKeys", max);
        if url {
            xml.text("EncodingType", "url");
        }
        xml.text("IsTruncated", is_more);
        for (key, version, latest) in &all {
            let element = if version.object.is_some() { "Version" } else { "DeleteMarker" };
            xml.element(element, |xml| {
                xml.text("Key", encode(key));
                xml.text("VersionId", &version.id);
                xml.text("IsLatest", latest);
                xml.text("LastModified", iso_time(version.made));
                if let Some(object) = &version.object {
                    xml.text("ETag", format_args!("\"{}\"", object.etag));
                    xml.text("Size", object.data.len());
                    xml.text("StorageClass", &object.attributes.storage_class);
                }
            });
        }
    })))
}

impl Store {
    /// From now on a bucket keeps versions; what is there becomes the version `null`.
    pub fn keep_versions(&self, bucket: &str) {
        self.create_bucket(bucket);
        if let Ok(bucket) = self.lock().bucket(bucket) {
            bucket.versioned = true;
        }
    }

    /// Makes a delete marker that is of this time.
    pub fn mark_deleted(&self, bucket: &str, key: &str, time: Timestamp) {
        if let Ok(bucket) = self.lock().bucket(bucket) {
            bucket.delete(key);
            if let Some(marker) = bucket.versions.get_mut(key).and_then(|versions| versions.last_mut()) {
                marker.made = time;
            }
        }
    }

    /// Takes the oldest versions of a key away, as a lifecycle rule does.
    pub fn expire(&self, bucket: &str, key: &str, count: usize) {
        if let Ok(bucket) = self.lock().bucket(bucket)
            && let Some(versions) = bucket.versions.get_mut(key)
        {
            versions.drain(..count.min(versions.len()));
        }
    }

    /// Every key of a bucket with its versions, oldest first.
    #[must_use]
    pub fn history(&self, bucket: &str) -> Vec<(String, Vec<Version>)> {
        self.lock().bucket(bucket).map(|bucket| bucket.history()).unwrap_or_default()
    }
}
