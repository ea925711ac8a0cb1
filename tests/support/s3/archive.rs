//! Archives: objects that must be restored before they can be read, and their restoration, which takes as long as a test says.

use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::{
    error::S3Error,
    reply::Reply,
    route::Call,
    store::{Buckets, Object, Store},
    xml,
};

/// Storage classes of objects that cannot be read at once (AWS).
const CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];
/// By which a test puts an object of the class INTELLIGENT_TIERING into an archive: among what was asked for with the object.
pub const ARCHIVE_STATUS: &str = "x-amz-archive-status";

/// A restoration that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// `Expedited`, `Standard` or `Bulk`.
    pub tier: String,
    /// For how many days; `None`: for good.
    pub days: Option<u32>,
    /// When the object can be read.
    pub ready: Instant,
}

fn is_archived(object: &Object) -> bool {
    CLASSES.contains(&object.attributes.storage_class.as_str()) || object.attributes.asked.contains_key(ARCHIVE_STATUS)
}

/// Sets what HEAD and GET say of an archive; GET of what is not restored is refused.
pub(super) fn tell(reply: &mut Reply, call: &Call, object: &Object, restored: Option<&Restored>, is_head: bool) -> Result<(), S3Error> {
    if !is_archived(object) {
        return Ok(());
    }
    let ready = restored.map(|restored| restored.ready <= Instant::now());
    match ready {
        Some(true) => reply.set("x-amz-restore", "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2040 00:00:00 GMT\""),
        Some(false) => reply.set("x-amz-restore", "ongoing-request=\"true\""),
        None => {}
    }
    if let Some(status) = object.attributes.asked.get(ARCHIVE_STATUS).filter(|_| ready != Some(true)) {
        reply.set(ARCHIVE_STATUS, status);
    }
    if ready == Some(true) || is_head { Ok(()) } else { Err(S3Error::invalid_object_state(&call.key)) }
}

/// `RestoreObject`.
pub(super) fn restore(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let delay = buckets.restore_delay;
    let bucket = buckets.bucket(&call.bucket)?;
    let (object, version) = bucket.found(call)?;
    if !is_archived(&object) {
        return Err(S3Error::invalid_object_state(&call.key));
    }
    let body = call.body.to_bytes();
    let text = std::str::from_utf8(&body).map_err(|_| S3Error::malformed_xml())?;
    let tier = xml::text(text, "Tier").unwrap_or_else(|| "Standard".to_owned());
    let days = xml::text(text, "Days").and_then(|days| days.parse().ok());
    let intelligent = object.attributes.asked.contains_key(ARCHIVE_STATUS);
    if days.is_some() == intelligent {
        return Err(S3Error::malformed_xml());
    }
    if tier == "Expedited" && object.attributes.storage_class == "DEEP_ARCHIVE" {
        return Err(S3Error::invalid_argument("Expedited retrievals are not for DEEP_ARCHIVE"));
    }
    let name = (call.key.clone(), version.unwrap_or_default());
    if bucket.restored.get(&name).is_some_and(|restored| restored.ready > Instant::now()) {
        return Err(S3Error::restore_in_progress());
    }
    let again = bucket.restored.insert(name, Restored { tier, days, ready: Instant::now() + delay }).is_some();
    Ok(Reply::new(if again { StatusCode::OK } else { StatusCode::ACCEPTED }))
}

impl Store {
    /// How long the restorations take that are asked for from now on.
    pub fn set_restore_delay(&self, delay: Duration) {
        self.lock().restore_delay = delay;
    }

    /// Everything that is being restored is ready now.
    pub fn finish_restores(&self, bucket: &str) {
        if let Ok(bucket) = self.lock().bucket(bucket) {
            for restored in bucket.restored.values_mut() {
                restored.ready = Instant::now();
            }
        }
    }

    /// The restoration of the latest version of a key, or of its only object.
    #[must_use]
    pub fn restored(&self, bucket: &str, key: &str) -> Option<Restored> {
        let mut buckets = self.lock();
        let bucket = buckets.bucket(bucket).ok()?;
        bucket.restored.iter().rev().find(|((name, _), _)| name == key).map(|(_, restored)| restored.clone())
    }
}
