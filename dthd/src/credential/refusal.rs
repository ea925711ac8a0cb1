//! By which codes services of AWS, and stores that speak like them, refuse the keys of a request.

/// The keys were good for a time that is over.
#[must_use]
pub fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired")
}

/// Nobody knows the keys, or they do not belong together: others that were put in their place would help. S3 has words of its own.
#[must_use]
pub fn is_refused(code: &str) -> bool {
    matches!(
        code,
        "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
    )
}
