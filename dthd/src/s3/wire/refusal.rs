//! A store's answer that is not the one hoped for: its code, its words, and what it tells about where and when to ask again.

use std::{borrow::Cow, time::Duration};

use http::HeaderMap;
use memchr::memmem;

use super::answer::text;

/// What a store said instead of doing what it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::s3) struct Refusal {
    /// Of HTTP.
    pub(in crate::s3) status: u16,
    /// The store's; empty when it gave none.
    pub(in crate::s3) code: String,
    /// The store's; empty when it gave none.
    pub(in crate::s3) message: String,
    /// To ask the store's makers with.
    pub(in crate::s3) request_id: Option<String>,
    /// How long to leave it alone.
    pub(in crate::s3) retry_after: Option<Duration>,
    /// Where the bucket is (`x-amz-bucket-region`, or `Region` of the body).
    pub(in crate::s3) region: Option<String>,
}

impl Refusal {
    /// From the head of an answer and its body, which may be anything.
    pub(super) fn of(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut refusal = Self {
            status,
            request_id: text(headers, "x-amz-request-id").map(str::to_owned),
            region: text(headers, "x-amz-bucket-region").map(str::to_owned),
            retry_after: retry_after(|name| text(headers, name)),
            ..Self::default()
        };
        if is_error(body) {
            let element = |name: &str| element(body, name).filter(|text| !text.is_empty());
            refusal.code = element("Code").unwrap_or_default();
            refusal.message = element("Message").unwrap_or_default();
            refusal.request_id = refusal.request_id.or_else(|| element("RequestId"));
            refusal.region = refusal.region.or_else(|| element("Region"));
        }
        // it becomes part of a host name
        refusal.region = refusal.region.filter(|region| region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        refusal
    }
}

/// How long a store asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), else AWS's
/// `x-amz-retry-after` in milliseconds.
pub(in crate::s3) fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let standard = header("retry-after").map(str::trim).and_then(|value| match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let until = httpdate::parse_http_date(value).ok()?;
            Some(until.duration_since(crate::clock::now().to_system()).unwrap_or_default())
        }
    });
    standard.or_else(|| header("x-amz-retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_millis))
}

/// Whether a body is the document in which S3 reports an error; it comes even with status 200.
pub(super) fn is_error(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let root = match body.strip_prefix(b"<?") {
        Some(rest) => memmem::find(rest, b"?>").map_or(&[][..], |end| rest[end + 2..].trim_ascii_start()),
        None => body,
    };
    root.starts_with(b"<Error>") || root.starts_with(b"<Error ")
}

/// The text of the first element of a name.
pub(super) fn element(xml: &[u8], name: &str) -> Option<String> {
    let start = memmem::find(xml, format!("<{name}>").as_bytes())? + name.len() + 2;
    let end = start + memmem::find(&xml[start..], format!("</{name}>").as_bytes())?;
    Some(unescape(&String::from_utf8_lossy(&xml[start..end])).into_owned())
}

/// Text of XML without its entities. What is none stays as it is: the text is for people.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = rest.find(';').and_then(|end| Some((entity(&rest[1..end])?, end + 1)));
        let (character, length) = found.unwrap_or(('&', 1));
        plain.push(character);
        rest = &rest[length..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn what_stores_say() {
        let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The key &quot;a&#x26;b&amp;&quot; \
                     isn&apos;t &there;</Message><RequestId>R1</RequestId><Region>eu-west-1</Region></Error>";
        let refusal = Refusal::of(404, &headers(&[("retry-after", " 7 ")]), body);
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("NoSuchKey", "The key \"a&b&\" isn't &there;"));
        assert_eq!((refusal.request_id.as_deref(), refusal.region.as_deref()), (Some("R1"), Some("eu-west-1")));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));

        let refusal = Refusal::of(301, &headers(&[("x-amz-bucket-region", "us-west-2"), ("x-amz-retry-after", "1500")]), b"<html>");
        assert_eq!((refusal.code.as_str(), refusal.message.as_str(), refusal.region.as_deref()), ("", "", Some("us-west-2")));
        assert_eq!(refusal.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(Refusal::of(301, &headers(&[("x-amz-bucket-region", "x.evil.example/")]), b"").region, None);
        assert_eq!(Refusal::of(503, &headers(&[("retry-after", "soon")]), b"").retry_after, None);
        let past = headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(Refusal::of(503, &past, b"").retry_after, Some(Duration::ZERO));
    }

    #[test]
    fn errors_among_bodies() {
        for (body, error) in [
            (&b"<Error><Code>InternalError</Code></Error>"[..], true),
            (b"  \n<?xml version='1.0'?>\n<Error xmlns='x'><Code>SlowDown</Code></Error>", true),
            (b"<ListBucketResult><Key>&lt;Error&gt;</Key></ListBucketResult>", false),
            (b"<Errors/>", false),
            (b"<?xml", false),
            (b"", false),
        ] {
            assert_eq!(is_error(body), error, "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(body in prop::collection::vec(any::<u8>(), 0..200), inner in "[&#x;a-f0-9<>/]{0,40}") {
            let _ = Refusal::of(500, &HeaderMap::new(), &body);
            let wrapped = format!("<Error><Code>{inner}</Code><Message>{inner}</Error>");
            let _ = Refusal::of(500, &HeaderMap::new(), wrapped.as_bytes());
        }
    }
}
