//! The headers with which a key of ours goes along (SSE-C).

use http::{HeaderName, HeaderValue};

use super::sign::Header;
use crate::credential::CustomerKey;

/// Which object a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The one that the request is about.
    Object,
    /// The source of a copy.
    CopySource,
}

/// Algorithm, key, and the key's MD5 (AWS: "Using server-side encryption with customer-provided keys").
pub(super) fn headers(whose: Whose, key: &CustomerKey) -> [Header; 3] {
    let [algorithm, secret, md5] = match whose {
        Whose::Object => [
            "x-amz-server-side-encryption-customer-algorithm",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-customer-key-md5",
        ],
        Whose::CopySource => [
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "x-amz-copy-source-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-key-md5",
        ],
    };
    let value = |text: &str| HeaderValue::from_str(text).expect("base64 is a header's value");
    let mut hidden = value(key.base64());
    hidden.set_sensitive(true);
    [
        (HeaderName::from_static(algorithm), HeaderValue::from_static("AES256")),
        (HeaderName::from_static(secret), hidden),
        (HeaderName::from_static(md5), value(key.md5())),
    ]
}
