//! From an HTTP request to the operation it asks for, its bucket and its key.

use std::borrow::Cow;

use hyper::{HeaderMap, Method, Uri, header::HOST};
use percent_encoding::percent_decode_str;

use super::{data::Data, digest::Checksum, error::S3Error, operation::Operation};

/// Longest key, in bytes of UTF-8 (AWS).
const MAX_KEY: usize = 1_024;

/// A request, understood; the body comes later.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: Operation,
    /// As it came.
    pub method: Method,
    /// As it came.
    pub uri: Uri,
    pub bucket: String,
    pub key: String,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Data,
    /// MD5 of the body; only of operations that have a use for it.
    pub md5: [u8; 16],
    /// Verified checksums that came with the body.
    pub checksums: Vec<Checksum>,
}

/// The decoded query of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Self, S3Error> {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        };
        text.split('&').filter(|part| !part.is_empty()).map(pair).collect::<Result<_, _>>().map(Self)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A number, when it was sent; an error when it is none.
    pub fn number(&self, name: &str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| S3Error::invalid_argument(format!("{name} must be an integer, not {text:?}")))
    }
}

impl Call {
    /// Understands a request line and its headers. `domain`: hosts below it name their bucket.
    pub fn parse(method: &Method, uri: &Uri, headers: HeaderMap, domain: &str) -> Result<Self, S3Error> {
        let query = Query::parse(uri.query().unwrap_or_default())?;
        let path = uri.path().strip_prefix('/').unwrap_or_default();
        let (bucket, key) = match host_bucket(&headers, domain) {
            Some(bucket) => (bucket, decode(path)?),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (decode(bucket)?, decode(key)?)
            }
        };
        if key.len() > MAX_KEY {
            return Err(S3Error::key_too_long());
        }
        let operation = operation(method, &bucket, &key, &query, &headers)?;
        let (method, uri) = (method.clone(), uri.clone());
        Ok(Self { operation, method, uri, bucket, key, query, headers, body: Data::default(), md5: [0; 16], checksums: Vec::new() })
    }

    /// A header as text; `None` when it is missing or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

/// Percent-decoding; keys that are not UTF-8 do not exist in S3.
pub(super) fn decode(text: &str) -> Result<String, S3Error> {
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| S3Error::invalid_uri())
}

fn host_bucket(headers: &HeaderMap, domain: &str) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let name = host.split(':').next()?;
    name.strip_suffix(domain)?.strip_suffix('.').map(str::to_owned)
}

fn operation(method: &Method, bucket: &str, key: &str, query: &Query, headers: &HeaderMap) -> Result<Operation, S3Error> {
    use Operation as O;
    let copy = headers.contains_key("x-amz-copy-source");
    let unknown = || S3Error::not_implemented(&format!("{method} with this query"));
    let subresource = ["policy", "cors", "lifecycle", "attributes", "legal-hold"];
    if subresource.iter().any(|name| query.has(name)) {
        return Err(unknown());
    }
    let found = match (method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) => O::ListBuckets,
        ("HEAD", false, true) => O::HeadBucket,
        ("DELETE", false, true) => O::DeleteBucket,
        ("GET", false, true) if query.has("location") => O::GetBucketLocation,
        ("GET", false, true) if query.has("versions") => O::ListObjectVersions,
        ("GET", false, true) if query.has("versioning") => O::GetBucketVersioning,
        ("PUT", false, true) if query.has("versioning") => O::PutBucketVersioning,
        ("POST", false, false) if query.has("restore") => O::RestoreObject,
        ("GET", false, true) if query.has("uploads") => O::ListMultipartUploads,
        ("GET", false, true) if query.get("list-type") == Some("2") => O::ListObjectsV2,
        ("GET", false, true) => O::ListObjects,
        ("PUT", false, true) => O::CreateBucket,
        ("POST", false, true) if query.has("delete") => O::DeleteObjects,
        ("GET", false, false) if query.has("tagging") => O::GetObjectTagging,
        ("GET", false, false) if query.has("acl") => O::GetObjectAcl,
        (_, false, _) if query.has("acl") => return Err(unknown()),
        ("GET", false, false) if query.has("retention") => O::GetObjectRetention,
        (_, false, false) if query.has("retention") => return Err(unknown()),
        ("PUT", false, false) if query.has("tagging") => O::PutObjectTagging,
        ("DELETE", false, false) if query.has("tagging") => O::DeleteObjectTagging,
        ("GET", false, false) if query.has("uploadId") => O::ListParts,
        ("PUT", false, false) if query.has("uploadId") && copy => O::UploadPartCopy,
        ("PUT", false, false) if query.has("uploadId") => O::UploadPart,
        ("POST", false, false) if query.has("uploads") => O::CreateMultipartUpload,
        ("POST", false, false) if query.has("uploadId") => O::CompleteMultipartUpload,
        ("DELETE", false, false) if query.has("uploadId") => O::AbortMultipartUpload,
        ("GET", false, false) => O::GetObject,
        ("HEAD", false, false) => O::HeadObject,
        ("PUT", false, false) if copy => O::CopyObject,
        ("PUT", false, false) => O::PutObject,
        ("DELETE", false, false) => O::DeleteObject,
        _ => return Err(unknown()),
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, uri: &str, host: &str) -> Result<Call, S3Error> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        Call::parse(&method.parse().unwrap(), &uri.parse().unwrap(), headers, "localhost")
    }

    #[test]
    fn requests_become_operations() {
        for (method, uri, host, operation, bucket, key) in [
            ("GET", "/", "127.0.0.1:1", Operation::ListBuckets, "", ""),
            ("GET", "/b?list-type=2", "127.0.0.1:1", Operation::ListObjectsV2, "b", ""),
            ("GET", "/b/?prefix=x", "127.0.0.1:1", Operation::ListObjects, "b", ""),
            ("GET", "/b//a/../c//?x-id=GetObject", "127.0.0.1:1", Operation::GetObject, "b", "/a/../c//"),
            ("HEAD", "/a%20%2B+%5C%01", "b.localhost:80", Operation::HeadObject, "b", "a ++\\\u{1}"),
            ("PUT", "/b/k?partNumber=2&uploadId=u", "localhost", Operation::UploadPart, "b", "k"),
            ("POST", "/b?delete", "localhost", Operation::DeleteObjects, "b", ""),
        ] {
            let call = call(method, uri, host).unwrap();
            assert_eq!((call.operation, call.bucket.as_str(), call.key.as_str()), (operation, bucket, key), "{method} {uri}");
        }
    }

    #[test]
    fn bad_keys_are_refused() {
        assert_eq!(call("GET", "/b/%ff", "x").unwrap_err().code, "InvalidURI");
        assert_eq!(call("GET", &format!("/b/{}", "k".repeat(1_025)), "x").unwrap_err().code, "KeyTooLongError");
        assert!(call("GET", &format!("/b/{}", "%c3%a4".repeat(512)), "x").is_ok());
        assert_eq!(call("PUT", "/b/k?acl", "x").unwrap_err().code, "NotImplemented");
    }
}
