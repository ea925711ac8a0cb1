//! Any request, and the store's answer as it came: to find out what a store does.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use memchr::memmem;

use super::{
    answer::text,
    encode,
    refusal::{Refusal, is_error, unescape},
    request::{Call, Hash, value},
    send::{Failure, Wire, read},
};
use crate::s3::payload::Payload;

/// Longest answer that is read.
const ANSWER: usize = 16 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Debug)]
pub(in crate::s3) struct Raw<'a> {
    /// Of HTTP.
    pub(in crate::s3) method: Method,
    /// `None`: the bucket itself.
    pub(in crate::s3) key: Option<&'a str>,
    /// Sorted by name.
    pub(in crate::s3) query: &'a [(&'a str, &'a str)],
    /// Besides those that every request has.
    pub(in crate::s3) headers: &'a [(&'static str, &'a str)],
    /// `None`: there is none.
    pub(in crate::s3) body: Option<&'a Payload>,
    /// Without a hash of the body in the signature.
    pub(in crate::s3) unsigned: bool,
}

/// What the store answered, good or bad.
#[derive(Clone, Debug)]
pub(in crate::s3) struct Reply {
    /// Of HTTP.
    pub(in crate::s3) status: u16,
    headers: HeaderMap,
    /// Empty for refusals.
    pub(in crate::s3) body: Bytes,
    /// The store's code, when it refused with one.
    pub(in crate::s3) code: String,
    message: String,
}

impl Reply {
    /// Whether the store did what it was asked for.
    pub(in crate::s3) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header that is text.
    pub(in crate::s3) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// Status, code and message, as far as there are any.
    pub(in crate::s3) fn words(&self) -> String {
        let words = [self.code.as_str(), self.message.as_str()].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        [self.status.to_string(), words.join(": ")].join(" ").trim_end().to_owned()
    }

    /// The texts of all elements of a name in an XML body, without its entities.
    pub(in crate::s3) fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut rest = &self.body[..];
        let mut found = Vec::new();
        while let Some(start) = memmem::find(rest, open.as_bytes()) {
            rest = &rest[start + open.len()..];
            let Some(end) = memmem::find(rest, close.as_bytes()) else { break };
            found.push(unescape(&String::from_utf8_lossy(&rest[..end])).into_owned());
            rest = &rest[end..];
        }
        found
    }

    fn refused(refusal: Refusal) -> Self {
        let Refusal { status, code, message, .. } = refusal;
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), code, message }
    }
}

impl Wire {
    /// # Errors
    /// [`Failure`] only where there is no answer; a refusal is one.
    pub(in crate::s3) async fn raw(&self, what: &Raw<'_>) -> Result<Reply, Failure> {
        let header = |(name, text): &(&'static str, &str)| {
            let name = HeaderName::from_static(name);
            value(&name, text).map(|value| (name, value)).map_err(Failure::Request)
        };
        let headers = what.headers.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        let hash = match what.body {
            _ if what.unsigned => Hash::Unsigned,
            Some(body) => Hash::signed(body).await,
            None => Hash::Empty,
        };
        let query = encode::query(what.query);
        let call = Call { method: what.method.clone(), key: what.key, query, headers, plain: Vec::new(), body: what.body, hash };
        let (head, body) = match self.send(&call).await {
            Ok(response) => response.into_parts(),
            Err(Failure::Refused(refusal)) => return Ok(Reply::refused(refusal)),
            Err(other) => return Err(other),
        };
        let status = head.status.as_u16();
        let body = read(body, ANSWER).await.map_err(|why| Failure::Unreadable { status, why })?;
        if is_error(&body) {
            return Ok(Reply::refused(Refusal::of(status, &head.headers, &body)));
        }
        Ok(Reply { status, headers: head.headers, body, code: String::new(), message: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_an_answer() {
        let body = "<R><Version><Key>a&amp;b</Key><VersionId>1</VersionId></Version><DeleteMarker><Key>c</Key><VersionId>2</VersionId></DeleteMarker><Key>";
        let reply = Reply { status: 200, headers: HeaderMap::new(), body: body.into(), code: String::new(), message: String::new() };
        assert_eq!(reply.elements("Key"), ["a&b", "c"]);
        assert_eq!(reply.elements("VersionId"), ["1", "2"]);
        assert!(reply.elements("Nothing").is_empty() && reply.is_ok());
        let refused =
            Reply::refused(Refusal { status: 501, code: "NotImplemented".into(), message: "no tags".into(), ..Refusal::default() });
        assert_eq!((refused.is_ok(), refused.words().as_str()), (false, "501 NotImplemented: no tags"));
        assert_eq!(Reply::refused(Refusal { status: 404, ..Refusal::default() }).words(), "404");
    }
}
