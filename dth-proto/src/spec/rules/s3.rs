//! The rules of an S3 task.

use super::{LONGEST_KEY, keep};
use crate::spec::{S3Destination, S3Job, S3Source, Store};

pub(super) fn problems(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let S3Job { source, destination, .. } = job;
    store(&source.store, ["source.bucket", "source.endpoint"], add);
    store(&destination.store, ["destination.bucket", "destination.endpoint"], add);
    for (field, text) in [
        ("source.prefix", &source.prefix),
        ("destination.prefix", &destination.prefix),
        ("destination.strip_prefix", &destination.strip_prefix),
    ] {
        if text.len() > LONGEST_KEY {
            add(field, format!("is {} bytes long: an S3 key has at most {LONGEST_KEY}", text.len()));
        }
    }
    if overlaps(source, destination) {
        add(
            "destination.prefix",
            "source and destination are the same place: copies would be listed as sources; use another bucket or prefix".to_owned(),
        );
    }
    keep::problems(job, add);
}

fn store(store: &Store, [bucket, endpoint]: [&'static str; 2], add: &mut impl FnMut(&'static str, String)) {
    if store.bucket.is_empty() {
        add(bucket, "is missing: name the bucket".to_owned());
    } else if store.bucket.contains(['/', '?', '#', ' ']) || store.bucket.starts_with("s3:") {
        add(bucket, format!("{:?} is not a bucket name: only the name, the path goes to prefix", store.bucket));
    }
    if let Some(url) = &store.endpoint {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|h| h.trim_end_matches('/').is_empty() || h.contains([' ', '@'])) {
            add(endpoint, format!("{url:?} is not an endpoint: write it like https://host[:port]"));
        }
    }
}

/// Would a copy land among the objects that are listed as sources?
fn overlaps(source: &S3Source, destination: &S3Destination) -> bool {
    let same_bucket = source.store.bucket == destination.store.bucket
        && source.store.endpoint == destination.store.endpoint
        && source.store.region == destination.store.region;
    same_bucket && destination.key_for(&source.prefix).starts_with(&source.prefix)
}
