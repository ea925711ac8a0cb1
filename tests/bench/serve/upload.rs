//! Writes: thrown away, but answered with the ETag and the checksum that the content must have.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hyper::{HeaderMap, Method, Response, StatusCode};

use super::{Shared, empty, error, object, query::Query, xml};
use crate::content::Pieces;

/// Multipart uploads that are open: the length of each part by its number.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    next: AtomicU64,
    open: Mutex<HashMap<u64, BTreeMap<u64, u64>>>,
}

impl Uploads {
    fn create(&self) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, BTreeMap::new());
        id
    }

    fn part(&self, id: u64, number: u64, len: u64) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_mut(&id).map(|parts| parts.insert(number, len)).is_some()
    }

    fn close(&self, id: u64) -> Option<BTreeMap<u64, u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }
}

/// Carries out `PutObject`, `UploadPart`, the ends of an upload, and deletions (which do nothing).
pub(super) fn reply(
    shared: &Shared,
    method: &Method,
    key: &str,
    query: &Query<'_>,
    headers: &HeaderMap,
    received: u64,
) -> Response<Pieces> {
    // behind `aws-chunked` there are fewer bytes than came
    let decoded = headers.get("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let len = decoded.unwrap_or(received);
    match (method, query.number("uploadId"), query.number("partNumber")) {
        (&Method::PUT, None, None) if query.has("tagging") => empty(StatusCode::OK),
        (&Method::PUT, None, None) => {
            shared.counter.wrote(shared.settings.keys.number(key).filter(|_| len == shared.settings.size.0));
            written(shared, headers, len)
        }
        (&Method::PUT, Some(id), Some(number)) if shared.uploads.part(id, number, len) => written(shared, headers, len),
        (&Method::POST, None, None) if query.has("uploads") => {
            xml(format!("<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>", shared.uploads.create()))
        }
        (&Method::POST, Some(id), None) => complete(shared, key, id),
        (&Method::DELETE, id, _) => {
            id.and_then(|id| shared.uploads.close(id));
            empty(StatusCode::NO_CONTENT)
        }
        _ => error(StatusCode::NOT_FOUND, "NoSuchUpload", "The specified multipart upload does not exist."),
    }
}

fn written(shared: &Shared, headers: &HeaderMap, len: u64) -> Response<Pieces> {
    let sums = match &shared.single {
        Some(single) if len == shared.settings.size.0 => Some(single.clone()),
        _ => object::Headers::single(&shared.content, len).ok(),
    };
    let mut reply = empty(StatusCode::OK);
    let Some(object::Headers { etag, crc }) = sums else { return reply };
    let fields = reply.headers_mut();
    fields.insert("etag", etag);
    // AWS answers with the checksum that came, else with the one it computes by itself
    let sent = headers.iter().find(|(name, value)| {
        let kind = name.as_str().strip_prefix("x-amz-checksum-");
        kind.is_some_and(|kind| kind != "type" && kind != "algorithm") && !value.is_empty()
    });
    match sent {
        Some((name, value)) => drop(fields.insert(name.clone(), value.clone())),
        None => drop(fields.insert("x-amz-checksum-crc64nvme", crc)),
    }
    reply
}

fn complete(shared: &Shared, key: &str, id: u64) -> Response<Pieces> {
    let Some(parts) = shared.uploads.close(id) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload", "The specified multipart upload does not exist.");
    };
    let len: u64 = parts.values().sum();
    shared.counter.wrote(shared.settings.keys.number(key).filter(|_| len == shared.settings.size.0));
    let etag = shared.content.multipart_etag(parts.values().copied());
    let crc = shared.content.sums(len).crc_base64();
    xml(format!(
        "<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag><ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>\
         <ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"
    ))
}
