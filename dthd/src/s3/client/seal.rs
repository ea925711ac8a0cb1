//! Keys of ours in requests of the SDK (SSE-C), and objects among them that have none.

use std::collections::BTreeSet;

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextMut},
    error::BoxError,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::Bucket;
use crate::{credential::CustomerKey, transfer::TransferError};

/// The headers of a key for the object that a request is about.
pub(super) fn with_key(key: Option<&CustomerKey>) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let key = key.cloned();
    move |request| {
        let Some(key) = &key else { return };
        let headers = request.headers_mut();
        for (name, value) in [("algorithm", "AES256"), ("key", key.base64()), ("key-md5", key.md5())] {
            headers.insert(format!("x-amz-server-side-encryption-customer-{name}"), value.to_owned());
        }
    }
}

/// Some stores (SeaweedFS 4.48, HEAD) say twice with which key an object is encrypted, and the SDK reads no such answer.
#[derive(Debug)]
pub(super) struct SaidOnce;

impl Intercept for SaidOnce {
    fn name(&self) -> &'static str {
        "SaidOnce"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response_mut().headers_mut();
        for name in ["x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key-md5"] {
            let said: BTreeSet<String> = headers.get_all(name).map(str::to_owned).collect();
            // keys that differ stay unreadable
            if said.len() == 1 {
                headers.insert(name, said.into_iter().next().unwrap_or_default());
            }
        }
        Ok(())
    }
}

impl Bucket {
    /// The key to ask again without, after a store has refused to read an object with it: of a bucket in which not all
    /// objects are encrypted so, the others are refused with these codes (AWS: 400, HEAD has no body to say why in).
    pub(super) fn is_not_sealed(&self, error: &TransferError) -> bool {
        self.customer.is_some() && matches!(error.code.as_str(), "InvalidRequest" | "InvalidArgument" | "BadRequest")
    }
}
