//! Deleting many objects with one request.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::{Engine, prelude::BASE64_STANDARD};
use dth_proto::failure::FailureClass;
use md5::{Digest, Md5};

use super::Bucket;
use crate::{s3::error::classify, transfer::TransferError};

const DELETE_MANY: &str = "DeleteObjects";

impl Bucket {
    /// Deletes objects (latest versions: a versioned bucket gets delete markers) with one request; what is not there is deleted already. The keys, at most as
    /// many as the store's profile says, must stand in XML 1.0 ([`fits_in_xml`]). Gives back what the store refused.
    ///
    /// # Errors
    /// When the request as a whole failed: nothing is known of any of the objects.
    pub async fn delete_many(&self, keys: &[String]) -> Result<BTreeMap<String, TransferError>, TransferError> {
        let defect = |error: &dyn std::fmt::Display| self.error(FailureClass::Permanent, DELETE_MANY, "BadRequest", error.to_string());
        let objects: Result<Vec<_>, _> = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let delete = Delete::builder().set_objects(Some(objects.map_err(|e| defect(&e))?)).quiet(true).build().map_err(|e| defect(&e))?;
        self.call(DELETE_MANY, 0, || async {
            let request = self.sdk().delete_objects().bucket(&self.inner.name).delete(delete.clone()).customize();
            // older stores want this one; the SDK sends a CRC32 beside it
            let request = request.mutate_request(|request| {
                if let Some(body) = request.body().bytes() {
                    let digest = BASE64_STANDARD.encode(Md5::digest(body));
                    request.headers_mut().insert("content-md5", digest);
                }
            });
            let output = request.send().await.map_err(|e| self.failed(DELETE_MANY, &e))?;
            let refused = output.errors.unwrap_or_default().into_iter().filter_map(|error| {
                let code = error.code.unwrap_or_default();
                let message = error.message.unwrap_or_else(|| "the store gave no reason".to_owned());
                // the answer has no status of its own for each key
                let class = classify(self.inner.side, DELETE_MANY, 0, &code);
                (code != "NoSuchKey").then(|| (error.key.unwrap_or_default(), self.error(class, DELETE_MANY, &code, message)))
            });
            Ok(refused.collect())
        })
        .await
    }
}

/// Whether a request can name a key in its body: XML 1.0 has no way to write most control characters, and some parsers change those it
/// has.
#[must_use]
pub fn fits_in_xml(key: &str) -> bool {
    !key.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{2028}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_told() {
        for (key, fits) in [
            ("a/b c&<>\"'.é\u{10000}", true),
            ("a\u{1}", false),
            ("a\nb", false),
            ("a\r", false),
            ("\u{85}", false),
            ("\u{ffff}", false),
            ("\u{fffd}", true),
        ] {
            assert_eq!(fits_in_xml(key), fits, "{key:?}");
        }
    }
}
