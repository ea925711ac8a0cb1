//! The errors of S3: status, code, message.

use std::fmt;

use hyper::StatusCode;

/// An answer that is an error, as S3 words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Error {
    /// HTTP status.
    pub status: StatusCode,
    /// S3's code.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The region that the request should have been signed for; `None`: that is not what is wrong.
    pub region: Option<String>,
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for S3Error {}

macro_rules! errors {
    ($($name:ident $status:ident $code:literal $message:literal;)*) => {
        impl S3Error {
            $(#[doc = $message] pub(super) fn $name() -> Self { Self::new(StatusCode::$status, $code, $message) })*
        }
    };
}

errors! {
    access_denied FORBIDDEN "AccessDenied" "Access Denied";
    invalid_access_key FORBIDDEN "InvalidAccessKeyId" "The AWS Access Key Id you provided does not exist in our records.";
    no_such_bucket NOT_FOUND "NoSuchBucket" "The specified bucket does not exist";
    no_such_key NOT_FOUND "NoSuchKey" "The specified key does not exist.";
    no_such_version NOT_FOUND "NoSuchVersion" "The specified version does not exist.";
    method_not_allowed METHOD_NOT_ALLOWED "MethodNotAllowed" "The specified method is not allowed against this resource.";
    restore_in_progress CONFLICT "RestoreAlreadyInProgress" "Object restore is already in progress";
    no_object_lock NOT_FOUND "NoSuchObjectLockConfiguration" "The specified object does not have a ObjectLock configuration";
    no_such_upload NOT_FOUND "NoSuchUpload" "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    key_too_long BAD_REQUEST "KeyTooLongError" "Your key is too long";
    invalid_uri BAD_REQUEST "InvalidURI" "Couldn't parse the specified URI.";
    invalid_range RANGE_NOT_SATISFIABLE "InvalidRange" "The requested range is not satisfiable";
    invalid_part_number RANGE_NOT_SATISFIABLE "InvalidPartNumber" "The requested partnumber is not satisfiable";
    precondition_failed PRECONDITION_FAILED "PreconditionFailed" "At least one of the pre-conditions you specified did not hold";
    not_modified NOT_MODIFIED "NotModified" "Not Modified";
    invalid_digest BAD_REQUEST "InvalidDigest" "The Content-MD5 you specified is not valid.";
    incomplete_body BAD_REQUEST "IncompleteBody" "You did not provide the number of bytes specified by the Content-Length HTTP header";
    malformed_xml BAD_REQUEST "MalformedXML" "The XML you provided was not well-formed or did not validate against our published schema";
    invalid_part BAD_REQUEST "InvalidPart" "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.";
    invalid_part_order BAD_REQUEST "InvalidPartOrder" "The list of parts was not in ascending order. Parts list must be specified in order by part number.";
    entity_too_small BAD_REQUEST "EntityTooSmall" "Your proposed upload is smaller than the minimum allowed object size.";
    bucket_not_empty CONFLICT "BucketNotEmpty" "The bucket you tried to delete is not empty";
    bucket_owned CONFLICT "BucketAlreadyOwnedByYou" "Your previous request to create the named bucket succeeded and you already own it.";
    invalid_tag BAD_REQUEST "InvalidTag" "The tags are not valid: at most 10, each key once";
    unsigned_headers FORBIDDEN "AccessDenied" "There were headers present in the request which were not signed";
    time_skewed FORBIDDEN "RequestTimeTooSkewed" "The difference between the request time and the current time is too large.";
    payload_mismatch BAD_REQUEST "XAmzContentSHA256Mismatch" "The provided 'x-amz-content-sha256' header does not match what was computed.";
    slow_down SERVICE_UNAVAILABLE "SlowDown" "Please reduce your request rate.";
    internal INTERNAL_SERVER_ERROR "InternalError" "We encountered an internal error. Please try again.";
}

impl S3Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), region: None }
    }

    /// An argument that breaks its rule.
    pub(super) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    /// A request whose parts do not go together.
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    /// The header of the signature cannot be read, or its scope is not right.
    pub(super) fn authorization_malformed(why: &str) -> Self {
        let message = format!("The authorization header is malformed; {why}");
        Self::new(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed", message)
    }

    /// Signed for another region.
    pub(super) fn wrong_region(given: &str, right: &str) -> Self {
        let why = format!("the region '{given}' is wrong; expecting '{right}'");
        Self { region: Some(right.to_owned()), ..Self::authorization_malformed(&why) }
    }

    /// The signature is not the one computed here from `canonical`, which AWS tells as well.
    pub(super) fn signature_mismatch(canonical: &str) -> Self {
        let message = format!(
            "The request signature we calculated does not match the signature you provided. Check your key and signing method. Signed here: {canonical:?}"
        );
        Self::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
    }

    /// The body is not what `header` says.
    pub(super) fn bad_digest(header: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadDigest", format!("The {header} you specified did not match what we received."))
    }

    /// An object in an archive is asked for, or one that is in none is to be restored.
    pub(super) fn invalid_object_state(key: &str) -> Self {
        let message = format!("The operation is not valid for the object's storage class: {key}");
        Self::new(StatusCode::FORBIDDEN, "InvalidObjectState", message)
    }

    /// A part of S3 that this server does not have.
    pub(super) fn not_implemented(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("{what} is not implemented"))
    }
}
