//! A registry's answer that is not the one hoped for: its code, its words, what it means, and when to ask again.

use std::time::Duration;

use dth_proto::failure::FailureClass;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Longest text that is quoted, in characters.
const LONGEST: usize = 400;
/// Codes of the distribution specification and of ECR that say "less load".
const THROTTLED: [&str; 5] = ["TOOMANYREQUESTS", "SlowDown", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded"];
/// Codes about who asks.
const AUTH: [&str; 4] = ["UNAUTHORIZED", "DENIED", "AccessDenied", "AccessDeniedException"];

/// What a registry, a token server or a blob's storage said instead of doing what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Its own code; empty when it gave none.
    pub(super) code: String,
    /// Its own words, in one line; empty when it gave none.
    pub(super) message: String,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// To ask its operators with.
    pub(super) request_id: Option<String>,
    /// What Docker Hub says about the pulls that are left.
    pulls: Option<String>,
}

impl Refusal {
    /// From the head of an answer and the beginning of its body, which may be anything.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let (code, message) = words(body);
        Self {
            status,
            code: code.chars().filter(|c| !c.is_control()).take(80).collect(),
            message: in_one_line(&message),
            retry_after: retry_after(text),
            request_id: ["x-amzn-requestid", "x-amz-request-id", "x-request-id"].into_iter().find_map(text).map(str::to_owned),
            pulls: pulls(text("ratelimit-limit"), text("ratelimit-remaining")),
        }
    }

    /// What to do about it.
    pub(super) fn class(&self) -> FailureClass {
        let one_of = |codes: &[&str]| codes.iter().any(|code| self.code.eq_ignore_ascii_case(code));
        match self.status.as_u16() {
            429 => FailureClass::Throttled,
            _ if one_of(&THROTTLED) || self.message.contains("Rate exceeded") => FailureClass::Throttled,
            401 | 403 => FailureClass::Auth,
            _ if one_of(&AUTH) => FailureClass::Auth,
            503 if self.retry_after.is_some() => FailureClass::Throttled,
            // client closed request: nginx in front of registries says so when the registry was too slow
            408 | 425 | 499 => FailureClass::Transient,
            501 | 505 => FailureClass::Permanent,
            500..=599 => FailureClass::Transient,
            _ => FailureClass::Permanent,
        }
    }

    /// Its code, or one of ours for its status.
    pub(super) fn code(&self) -> &str {
        if !self.code.is_empty() {
            return &self.code;
        }
        match self.status.as_u16() {
            300..=399 => "Redirected",
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "AccessDenied",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            408 => "RequestTimeout",
            411 => "LengthRequired",
            413 => "TooLarge",
            416 => "RangeNotSatisfiable",
            429 => "TOOMANYREQUESTS",
            500 => "InternalError",
            501 => "NotImplemented",
            502 => "BadGateway",
            503 => "ServiceUnavailable",
            504 => "GatewayTimeout",
            _ => "UnexpectedAnswer",
        }
    }

    /// Its words, or those of its status, and what is left of a limit.
    pub(super) fn message(&self) -> String {
        let said = if self.message.is_empty() { format!("status {}", self.status) } else { self.message.clone() };
        match &self.pulls {
            Some(pulls) if self.status == StatusCode::TOO_MANY_REQUESTS => format!("{said} ({pulls})"),
            _ => said,
        }
    }

    /// Whether a token of ECR is over (12 hours, AWS: "Private registry authentication in Amazon ECR"), or a signed address of a blob.
    pub(super) fn is_expired(&self) -> bool {
        let said = |words: &str| self.message.contains(words);
        matches!(self.status.as_u16(), 400 | 401 | 403)
            && (said("authorization token has expired")
                || said("Request has expired")
                || said("token has expired")
                || said("Signature not valid in the specified time frame")
                || self.code == "ExpiredToken")
    }

    /// Whether a limit is reached that counts by hours: asking again at once would only be counted too (Docker Hub's "pull rate limit").
    pub(super) fn lasts(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS && self.message.contains("pull rate limit")
    }
}

/// How long a server asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), else Docker Hub's
/// `X-Retry-After`, a time in seconds since 1970.
fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let now = || crate::clock::now().to_system();
    let standard = header("retry-after").and_then(|value| match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now()).unwrap_or_default()),
    });
    standard.or_else(|| {
        let at = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(header("x-retry-after")?.parse().ok()?))?;
        Some(at.duration_since(now()).unwrap_or_default())
    })
}

/// `0 of 100 pulls left in 6h`, of `100;w=21600` and `0;w=21600` (Docker: "Pull usage and limits").
fn pulls(limit: Option<&str>, left: Option<&str>) -> Option<String> {
    let number = |text: &str| text.split(';').next()?.trim().parse::<u64>().ok();
    let (limit_text, left) = (limit?, number(left?)?);
    let limit = number(limit_text)?;
    let window = limit_text.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse::<u64>().ok());
    let window = window.map_or_else(String::new, |seconds| format!(" in {}", dth_proto::time::Span(Duration::from_secs(seconds))));
    Some(format!("{left} of {limit} pulls left{window}"))
}

/// Code and words of an error body: the specification's JSON, OAuth2's, other JSON, S3's and Azure's XML, a page in HTML, plain text.
fn words(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        return of_json(&json);
    }
    if !text.starts_with('<') {
        return (String::new(), text.to_owned());
    }
    let element = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        Some(text[start..start + text[start..].find(&format!("</{name}>"))?].to_owned())
    };
    let code = element("Code").unwrap_or_default();
    let message = element("Message").or_else(|| element("title")).or_else(|| element("TITLE")).unwrap_or_default();
    (code, message)
}

fn of_json(json: &Value) -> (String, String) {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = json.get("errors").and_then(Value::as_array).and_then(|errors| errors.first());
    if let Some(error) = first {
        let (code, mut message) = (text(error, "code"), text(error, "message"));
        match error.get("detail") {
            Some(Value::String(detail)) if !detail.is_empty() && *detail != message => {
                message = if message.is_empty() { detail.clone() } else { format!("{message}: {detail}") };
            }
            Some(detail @ Value::Object(fields)) if !fields.is_empty() => message = format!("{message}: {detail}"),
            _ => {}
        }
        // a list of texts is not of the specification, and there
        let message = if message.is_empty() { error.as_str().unwrap_or_default().to_owned() } else { message };
        return (code, message);
    }
    let message = ["error_description", "message", "details", "detail", "Message"]
        .into_iter()
        .map(|key| text(json, key))
        .find(|message| !message.is_empty())
        .unwrap_or_default();
    let code = [text(json, "error"), text(json, "code")].into_iter().find(|code| !code.is_empty()).unwrap_or_default();
    // some write a sentence where the code should be
    if message.is_empty() && code.contains(' ') { (String::new(), code) } else { (code, message) }
}

/// Without what would leave its line or drive a terminal.
fn in_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use FailureClass::{Auth, Permanent, Throttled, Transient};
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn refusal(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Refusal {
        Refusal::read(StatusCode::from_u16(status).expect("a status"), &headers(pairs), body.as_bytes())
    }

    #[test]
    fn bodies_of_all_kinds() {
        for (status, body, class, code, message) in [
            (
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"v1"}}]}"#,
                Permanent,
                "MANIFEST_UNKNOWN",
                "manifest unknown: {\"Tag\":\"v1\"}",
            ),
            (
                404,
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository","detail":null}]}"#,
                Permanent,
                "NAME_UNKNOWN",
                "no such repository",
            ),
            (
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[]}]}"#,
                Auth,
                "UNAUTHORIZED",
                "authentication required",
            ),
            (403, r#"{"errors":[{"code":"DENIED","message":"denied","detail":"no push"}]}"#, Auth, "DENIED", "denied: no push"),
            (429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#, Throttled, "TOOMANYREQUESTS", "Rate exceeded"),
            (
                400,
                r#"{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}"#,
                Permanent,
                "TAG_INVALID",
                "the tag is immutable",
            ),
            (400, r#"{"errors":[{"code":"ThrottlingException","message":"slow"}]}"#, Throttled, "ThrottlingException", "slow"),
            (400, r#"{"error":"invalid_grant","error_description":"expired"}"#, Permanent, "invalid_grant", "expired"),
            (401, r#"{"details":"incorrect username or password"}"#, Auth, "Unauthorized", "incorrect username or password"),
            (500, r#"{"error":"something broke"}"#, Transient, "InternalError", "something broke"),
            (
                403,
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
                Auth,
                "AccessDenied",
                "Request has expired",
            ),
            (502, "<html><head><title>502 Bad\nGateway</title></head></html>", Transient, "BadGateway", "502 Bad Gateway"),
            (404, "404 page not found\n", Permanent, "NotFound", "404 page not found"),
            (503, "", Transient, "ServiceUnavailable", "status 503 Service Unavailable"),
            (501, "", Permanent, "NotImplemented", "status 501 Not Implemented"),
            (307, "", Permanent, "Redirected", "status 307 Temporary Redirect"),
        ] {
            let refusal = refusal(status, &[], body);
            assert_eq!((refusal.class(), refusal.code(), refusal.message().as_str()), (class, code, message), "{status} {body}");
        }
    }

    #[test]
    fn servers_say_when_to_come_back() {
        assert_eq!(refusal(429, &[("retry-after", " 7 ")], "").retry_after, Some(Duration::from_secs(7)));
        assert_eq!(refusal(503, &[("retry-after", "7")], "").class(), Throttled);
        assert_eq!(refusal(429, &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], "").retry_after, Some(Duration::ZERO));
        let later = httpdate::fmt_http_date(crate::clock::now().plus(Duration::from_secs(90)).to_system());
        let wait = refusal(429, &[("retry-after", &later)], "").retry_after.expect("a date");
        assert!((Duration::from_secs(60)..=Duration::from_secs(90)).contains(&wait), "{wait:?}");
        let epoch = (crate::clock::now().plus(Duration::from_secs(90)).0 / 1000).to_string();
        let wait = refusal(429, &[("x-retry-after", &epoch)], "").retry_after.expect("a time");
        assert!((Duration::from_secs(60)..=Duration::from_secs(90)).contains(&wait), "{wait:?}");
        assert_eq!(refusal(429, &[("retry-after", "soon"), ("x-retry-after", "99999999999999999999")], "").retry_after, None);
    }

    #[test]
    fn limits_of_docker_hub_are_told() {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        let refusal = refusal(429, &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")], body);
        assert_eq!(refusal.message(), "You have reached your pull rate limit. (0 of 100 pulls left in 6h)");
        assert!(refusal.lasts());
    }

    #[test]
    fn what_has_expired_is_known() {
        let ecr = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
        assert!(refusal(403, &[], ecr).is_expired());
        assert!(refusal(403, &[], "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>").is_expired());
        assert!(!refusal(403, &[], r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#).is_expired());
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(body in prop::collection::vec(any::<u8>(), 0..300), json in "[\\[\\]{}\":,a-z<>/0-9]{0,60}") {
            for body in [&body[..], json.as_bytes(), format!("{{\"errors\":[{json}]}}").as_bytes()] {
                let refusal = Refusal::read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
                prop_assert!(!refusal.message().chars().any(char::is_control));
                prop_assert!(refusal.message().chars().count() <= LONGEST + 1);
            }
        }
    }
}
