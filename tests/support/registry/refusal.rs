//! Answers that are errors, as the distribution specification words them.

use hyper::StatusCode;
use serde_json::json;

use crate::s3::Answer;

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub headers: Vec<(&'static str, String)>,
    /// The whole body is the message.
    pub plain: bool,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new(), plain: false }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(&self) -> String {
        if self.plain { self.message.clone() } else { body(self.code, &self.message) }
    }

    /// The body does not say what is wrong in JSON, only in words.
    pub fn in_words(mut self) -> Self {
        self.plain = true;
        self
    }
}

macro_rules! refusals {
    ($($name:ident $status:ident $code:literal $message:literal;)*) => {
        impl Refusal {
            $(#[doc = $message] pub fn $name() -> Self { Self::new(StatusCode::$status, $code, $message) })*
        }
    };
}

refusals! {
    unauthorized UNAUTHORIZED "UNAUTHORIZED" "authentication required";
    name_invalid BAD_REQUEST "NAME_INVALID" "invalid repository name";
    name_unknown NOT_FOUND "NAME_UNKNOWN" "repository name not known to registry";
    manifest_unknown NOT_FOUND "MANIFEST_UNKNOWN" "manifest unknown";
    manifest_invalid BAD_REQUEST "MANIFEST_INVALID" "manifest invalid";
    digest_invalid BAD_REQUEST "DIGEST_INVALID" "provided digest did not match uploaded content";
    blob_unknown NOT_FOUND "BLOB_UNKNOWN" "blob unknown to registry";
    upload_unknown NOT_FOUND "BLOB_UPLOAD_UNKNOWN" "blob upload unknown to registry";
    upload_invalid BAD_REQUEST "BLOB_UPLOAD_INVALID" "blob upload invalid";
    range_invalid RANGE_NOT_SATISFIABLE "RANGE_INVALID" "invalid content range";
    page_invalid BAD_REQUEST "PAGINATION_NUMBER_INVALID" "invalid number of results requested";
    unsupported METHOD_NOT_ALLOWED "UNSUPPORTED" "The operation is unsupported.";
    too_many TOO_MANY_REQUESTS "TOOMANYREQUESTS" "Rate exceeded";
    not_found NOT_FOUND "NOT_FOUND" "404 page not found";
}

fn body(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

/// An error made up by a test, as a registry words it: `refusal(429, "TOOMANYREQUESTS").header("retry-after", "1")`.
#[must_use]
pub fn refusal(status: u16, code: &str) -> Answer {
    Answer::new(status).header("content-type", "application/json").body(&body(code, &format!("made up: {code}")))
}
