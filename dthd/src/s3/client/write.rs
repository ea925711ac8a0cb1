//! Writing: PUT, delete.

use std::sync::atomic::Ordering::Relaxed;

use aws_sdk_s3::{operation::put_object::PutObjectOutput, primitives::ByteStream, types::ServerSideEncryption};
use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::{
        metadata::Creation,
        object::ETag,
        payload::Payload,
        verify::{Crc, Md5Sum, StoredChecksum},
    },
    transfer::TransferError,
};

const PUT: &str = "PutObject";
const DELETE: &str = "DeleteObject";

/// What the store said about a written object or part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its ETag.
    pub etag: ETag,
    /// The ETag is not an MD5 because of encryption (SSE-KMS, DSSE).
    pub opaque_etag: bool,
    /// The checksum over all its bytes that it says it has.
    pub checksum: Option<StoredChecksum>,
}

/// Sets what PutObject and CreateMultipartUpload have in common, in builders that know nothing of each other.
macro_rules! with_creation {
    ($request:expr, $creation:expr) => {{
        let c: &$crate::s3::metadata::Creation = $creation;
        let m = &c.metadata;
        $request
            .set_content_type(m.content_type.clone())
            .set_cache_control(m.cache_control.clone())
            .set_content_disposition(m.content_disposition.clone())
            .set_content_encoding(m.content_encoding.clone())
            .set_content_language(m.content_language.clone())
            .set_website_redirect_location(m.redirect.clone())
            .set_metadata((!m.user.is_empty()).then(|| m.user.clone().into_iter().collect()))
            .set_tagging(c.tagging.clone())
            .set_storage_class(c.class.as_deref().map(aws_sdk_s3::types::StorageClass::from))
            .set_acl(c.acl.as_deref().map(aws_sdk_s3::types::ObjectCannedAcl::from))
            .set_server_side_encryption(c.encryption.as_ref().map(|e| aws_sdk_s3::types::ServerSideEncryption::from(e.kind.as_str())))
            .set_ssekms_key_id(c.encryption.as_ref().and_then(|e| e.key.clone()))
    }};
}
pub(super) use with_creation;

/// Sets the checksum of builders that know nothing of each other.
macro_rules! with_checksum {
    ($request:expr, $crc:expr, $value:expr) => {
        match $crc {
            $crate::s3::verify::Crc::Crc64Nvme => $request.set_checksum_crc64_nvme($value),
            $crate::s3::verify::Crc::Crc32c => $request.set_checksum_crc32_c($value),
            $crate::s3::verify::Crc::Crc32 => $request.set_checksum_crc32($value),
        }
    };
}
pub(super) use with_checksum;

/// The checksum that an answer names.
macro_rules! answered {
    ($output:expr) => {
        $crate::s3::client::write::named([
            ($crate::s3::verify::Crc::Crc64Nvme, $output.checksum_crc64_nvme()),
            ($crate::s3::verify::Crc::Crc32c, $output.checksum_crc32_c()),
            ($crate::s3::verify::Crc::Crc32, $output.checksum_crc32()),
        ])
    };
}
pub(super) use answered;

pub(super) fn named(values: [(Crc, Option<&str>); 3]) -> Option<StoredChecksum> {
    values.into_iter().find_map(|(crc, value)| StoredChecksum::parse(crc, value?))
}

pub(super) fn stream(body: &Payload) -> ByteStream {
    ByteStream::from(body.pieces().concat())
}

/// `Expires` goes verbatim: the model knows only dates, stores also keep what is none.
pub(super) fn expires(
    creation: &Creation,
) -> impl Fn(&mut aws_smithy_runtime_api::client::orchestrator::HttpRequest) + Send + Sync + 'static {
    let value = creation.metadata.expires.clone();
    move |request| {
        if let Some(value) = &value {
            // A value that is no header value cannot have come from a header.
            let _ = request.headers_mut().try_insert("expires", value.clone());
        }
    }
}

pub(super) fn is_kms(encryption: Option<&ServerSideEncryption>) -> bool {
    encryption.is_some_and(|e| e.as_str().starts_with("aws:kms"))
}

impl Bucket {
    /// Creates or replaces an object. The store refuses bytes that do not have the digest given.
    ///
    /// # Errors
    /// Code `BadDigest` when the bytes do not have the digest; others as classified.
    pub async fn put(
        &self,
        key: &str,
        body: &Payload,
        creation: &Creation,
        md5: Option<&Md5Sum>,
        checksum: Option<&StoredChecksum>,
    ) -> Result<Put, TransferError> {
        let len = body.len();
        let output: PutObjectOutput = self
            .call(PUT, len, || async {
                let request = self.inner.client.put_object().bucket(&self.inner.name).key(key).body(stream(body));
                let mut request = with_creation!(request, creation).set_content_md5(md5.map(Md5Sum::base64));
                if let Some(stored) = checksum {
                    let value = Some(stored.base64());
                    request = with_checksum!(request, stored.crc, value);
                }
                let mut request = request.customize().mutate_request(expires(creation));
                if self.inner.tls {
                    request = request.disable_payload_signing();
                }
                request.send().await.map_err(|e| self.failed(PUT, &e))
            })
            .await?;
        self.inner.counters.sent.fetch_add(len, Relaxed);
        let etag = ETag::new(output.e_tag().unwrap_or_default());
        if etag.as_str().is_empty() {
            return Err(self.error(
                FailureClass::Transient,
                PUT,
                "IncompleteAnswer",
                "the store accepted the object without naming its ETag",
            ));
        }
        Ok(Put { etag, opaque_etag: is_kms(output.server_side_encryption()), checksum: answered!(output) })
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(&self, key: &str) -> Result<(), TransferError> {
        self.call(DELETE, 0, || async {
            self.inner.client.delete_object().bucket(&self.inner.name).key(key).send().await.map(drop).map_err(|e| self.failed(DELETE, &e))
        })
        .await
    }
}
