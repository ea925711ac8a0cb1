//! Server-side encryption as clients see it: keys that must come with every request (SSE-C), headers that tell, ETags that are no MD5s.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::{
    digest,
    error::S3Error,
    reply::Reply,
    route::Call,
    store::{Attributes, Object},
};

const ALGORITHM: &str = "server-side-encryption-customer-algorithm";
const KEY: &str = "server-side-encryption-customer-key";
const MD5: &str = "server-side-encryption-customer-key-md5";
/// Under which name the MD5 of the key is kept with an object.
const KEPT: &str = "x-amz-server-side-encryption-customer-key-md5";
/// What is told of an encrypted object.
const TOLD: [&str; 4] = [
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    KEPT,
];

/// The MD5 of the key that came with a request, in base64; `prefix` is `x-amz-` or `x-amz-copy-source-`.
pub(super) fn sent(call: &Call, prefix: &str) -> Result<Option<String>, S3Error> {
    let header = |name: &str| call.header(&format!("{prefix}{name}"));
    let (algorithm, key, sum) = match (header(ALGORITHM), header(KEY), header(MD5)) {
        (None, None, None) => return Ok(None),
        (Some(algorithm), Some(key), Some(sum)) => (algorithm, key, sum),
        _ => {
            return Err(S3Error::invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide all of algorithm, key and MD5",
            ));
        }
    };
    let key = STANDARD.decode(key).ok().filter(|key| key.len() == 32);
    let right = algorithm == "AES256" && key.is_some_and(|key| STANDARD.encode(Md5::digest(&key)) == sum);
    if right {
        Ok(Some(sum.to_owned()))
    } else {
        Err(S3Error::invalid_argument("The calculated MD5 hash of the key did not match the hash that was provided."))
    }
}

/// What the request says about encryption becomes an attribute.
pub(super) fn keep(call: &Call, attributes: &mut Attributes) -> Result<(), S3Error> {
    if let Some(sum) = sent(call, "x-amz-")? {
        attributes.asked.insert(KEPT.to_owned(), sum);
    }
    Ok(())
}

/// Whether the key that came is the one of the object, if it has one (AWS: 400 where only one of them has a key, 403 for another key).
pub(super) fn opens(call: &Call, prefix: &str, attributes: &Attributes) -> Result<(), S3Error> {
    match (sent(call, prefix)?, attributes.asked.get(KEPT)) {
        (None, None) => Ok(()),
        (Some(sent), Some(kept)) if sent == *kept => Ok(()),
        (Some(_), Some(_)) => Err(S3Error::access_denied()),
        (None, Some(_)) => Err(S3Error::invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (Some(_), None) => Err(S3Error::invalid_request("The encryption parameters are not applicable to this object.")),
    }
}

/// The ETag of bytes with these attributes: their MD5, or, encrypted with KMS or a key of the client's, something else of that form.
pub(super) fn etag(md5: &[u8; 16], attributes: &Attributes) -> String {
    if !is_opaque(attributes) {
        return digest::hex(md5);
    }
    let sealed: Vec<u8> = md5.iter().copied().chain(*b"sealed").collect();
    digest::md5_hex(&Bytes::from(sealed).into())
}

fn is_opaque(attributes: &Attributes) -> bool {
    let kms = attributes.asked.get(TOLD[0]).is_some_and(|kind| kind.starts_with("aws:kms"));
    kms || attributes.asked.contains_key(KEPT)
}

/// Says how the object is encrypted, and how it is locked.
pub(super) fn tell(reply: &mut Reply, attributes: &Attributes) {
    for name in TOLD.into_iter().chain(super::write::LOCK) {
        if let Some(value) = attributes.asked.get(name) {
            reply.set(name, value);
        }
    }
    if attributes.asked.contains_key(KEPT) {
        reply.set("x-amz-server-side-encryption-customer-algorithm", "AES256");
    }
}

/// The same for a read, after the key was looked at.
pub(super) fn read(call: &Call, reply: &mut Reply, object: &Object) -> Result<(), S3Error> {
    opens(call, "x-amz-", &object.attributes)?;
    tell(reply, &object.attributes);
    Ok(())
}
