//! What a store's answer means: the class of a failure from status and code.

use dth_proto::failure::{FailureClass, Side};

/// Codes that say "less load", from S3 and the stores that speak its dialect.
const THROTTLED: [&str; 12] = [
    "SlowDown",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequests",
    "BandwidthLimitExceeded",
    "QpsLimitExceeded",
    "TooManyRequestsException",
];

/// Codes for which the same request may succeed a moment later.
const TRANSIENT: [&str; 7] =
    ["InternalError", "InternalFailure", "RequestTimeout", "OperationAborted", "IncompleteBody", "RequestTimeoutException", "ServerBusy"];

/// Codes about who asks.
const AUTH: [&str; 17] = [
    "AccessDenied",
    "AccessDeniedException",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "CredentialsNotLoaded",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// The class of an answer of a store. `status` is HTTP's, `code` the store's or, where a bodiless answer (HEAD) has none, empty.
///
#[must_use]
pub fn classify(side: Side, operation: &str, status: u16, code: &str) -> FailureClass {
    let one_of = |codes: &[&str]| codes.contains(&code);
    match (code, status) {
        // A wrong region answers 400 with this code too; waiting does not help.
        _ if one_of(&AUTH) => FailureClass::Auth,
        _ if one_of(&THROTTLED) => FailureClass::Throttled,
        _ if one_of(&TRANSIENT) => FailureClass::Transient,
        // 403 as well, but about the object: it must be restored from its archive first.
        ("InvalidObjectState", _) => FailureClass::Permanent,
        // 503 as well, and no matter of load: nothing can be restored so fast now.
        ("GlacierExpeditedRetrievalNotAvailable", _) => FailureClass::Permanent,
        ("PreconditionFailed" | "InvalidRange", _) | (_, 412 | 416) => FailureClass::Changed,
        ("NoSuchBucket" | "NoSuchUpload", _) => FailureClass::Permanent,
        ("NoSuchKey" | "NoSuchVersion" | "NotFound" | "", 404) if side == Side::Source && reads_an_object(operation) => {
            FailureClass::Changed
        }
        (_, 401 | 403) => FailureClass::Auth,
        (_, 429 | 503 | 509) => FailureClass::Throttled,
        (_, 408 | 425 | 500 | 502 | 504) => FailureClass::Transient,
        // Codes of gateways and proxies in front of a store (Cloudflare 520-526, 598, 599).
        (_, 520..=599) => FailureClass::Transient,
        _ => FailureClass::Permanent,
    }
}

fn reads_an_object(operation: &str) -> bool {
    matches!(operation, "GetObject" | "HeadObject" | "GetObjectTagging")
}

/// The code for an answer without one.
#[must_use]
pub fn code_of_status(status: u16) -> &'static str {
    match status {
        301 | 307 | 308 => "PermanentRedirect",
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "AccessDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        408 => "RequestTimeout",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        500 => "InternalError",
        501 => "NotImplemented",
        503 => "ServiceUnavailable",
        _ => "UnexpectedAnswer",
    }
}

#[cfg(test)]
mod tests {
    use FailureClass::{Auth, Changed, Permanent, Throttled, Transient};
    use Side::{Destination, Source};

    use super::*;

    #[test]
    fn answers() {
        for (side, operation, status, code, expected) in [
            (Source, "GetObject", 403, "AccessDenied", Auth),
            (Source, "HeadObject", 403, "", Auth),
            (Source, "ListObjectsV2", 401, "Unauthorized", Auth),
            (Source, "GetObject", 403, "InvalidAccessKeyId", Auth),
            (Source, "GetObject", 403, "SignatureDoesNotMatch", Auth),
            (Source, "GetObject", 400, "ExpiredToken", Auth),
            (Source, "GetObject", 400, "AuthorizationHeaderMalformed", Auth),
            (Source, "GetObject", 403, "RequestTimeTooSkewed", Auth),
            (Source, "GetObject", 403, "InvalidObjectState", Permanent),
            (Destination, "PutObject", 503, "SlowDown", Throttled),
            (Destination, "PutObject", 503, "", Throttled),
            (Destination, "PutObject", 429, "Whatever", Throttled),
            (Destination, "CompleteMultipartUpload", 200, "SlowDown", Throttled),
            (Destination, "CompleteMultipartUpload", 200, "InternalError", Transient),
            (Destination, "PutObject", 500, "InternalError", Transient),
            (Destination, "PutObject", 502, "", Transient),
            (Destination, "PutObject", 504, "GatewayTimeout", Transient),
            (Destination, "PutObject", 400, "RequestTimeout", Transient),
            (Destination, "PutObject", 400, "IncompleteBody", Transient),
            (Destination, "PutObject", 409, "OperationAborted", Transient),
            (Destination, "PutObject", 520, "", Transient),
            (Destination, "PutObject", 501, "NotImplemented", Permanent),
            (Destination, "PutObject", 400, "EntityTooLarge", Permanent),
            (Destination, "PutObject", 400, "KeyTooLongError", Permanent),
            (Destination, "PutObject", 400, "BadDigest", Permanent),
            (Destination, "PutObject", 404, "NoSuchBucket", Permanent),
            (Destination, "UploadPart", 404, "NoSuchUpload", Permanent),
            (Destination, "HeadObject", 404, "", Permanent),
            (Source, "GetObject", 404, "NoSuchKey", Changed),
            (Source, "HeadObject", 404, "", Changed),
            (Source, "GetObject", 404, "NoSuchBucket", Permanent),
            (Source, "ListObjectsV2", 404, "", Permanent),
            (Source, "GetObject", 412, "PreconditionFailed", Changed),
            (Source, "HeadObject", 412, "", Changed),
            (Source, "GetObject", 416, "InvalidRange", Changed),
            (Source, "ListObjectsV2", 301, "PermanentRedirect", Permanent),
        ] {
            assert_eq!(classify(side, operation, status, code), expected, "{side:?} {operation} {status} {code}");
        }
    }
}
