//! One page of a listing of objects, versions or parts, and whether a bucket keeps versions, as the store's XML.

use bytes::Bytes;
use http::{HeaderValue, Method};

use super::{
    encode,
    get::PAYER,
    refusal::{Refusal, is_error},
    request::{Call, Hash},
    seal::{self, Whose},
    send::{Failure, Wire, read},
    sign::Header,
};
use crate::credential::CustomerKey;

/// A page of a thousand keys of 1024 bytes, each percent-encoded, is 4 MB.
const PAGE: usize = 64 * 1024 * 1024;

/// What to list of the versions of objects.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct Versions<'a> {
    /// Keys begin with this.
    pub(in crate::s3) prefix: &'a str,
    /// And come behind this place: a key, and one of its versions.
    pub(in crate::s3) place: Option<(&'a str, Option<&'a str>)>,
    /// At most so many versions and markers; S3's own limit is 1000.
    pub(in crate::s3) limit: Option<u32>,
    /// See [`Listing::url_encoding`].
    pub(in crate::s3) url_encoding: bool,
}

impl Versions<'_> {
    fn query(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let parameters = [
            ("encoding-type", self.url_encoding.then_some("url")),
            ("key-marker", self.place.map(|(key, _)| key)),
            ("max-keys", limit.as_deref()),
            ("prefix", Some(self.prefix).filter(|prefix| !prefix.is_empty())),
            ("version-id-marker", self.place.and_then(|(_, version)| version)),
            ("versions", Some("")),
        ];
        let given: Vec<(&str, &str)> = parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        encode::query(&given)
    }
}

/// Of which upload to list the parts.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct PartsOf<'a> {
    pub(in crate::s3) key: &'a str,
    /// The store's name for the upload.
    pub(in crate::s3) id: &'a str,
    /// Parts come behind this one: `NextPartNumberMarker`.
    pub(in crate::s3) marker: Option<&'a str>,
    /// The key that the parts are encrypted with, if that is one of ours.
    pub(in crate::s3) customer: Option<&'a CustomerKey>,
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct Listing<'a> {
    /// Keys begin with this.
    pub(in crate::s3) prefix: &'a str,
    /// And come after this.
    pub(in crate::s3) start_after: Option<&'a str>,
    /// Where the page before ended: `NextContinuationToken`, or `NextMarker` of version 1.
    pub(in crate::s3) token: Option<&'a str>,
    /// At most so many keys; S3's own limit is 1000.
    pub(in crate::s3) limit: Option<u32>,
    /// Of ListObjects: 1 or 2.
    pub(in crate::s3) version: u8,
    /// Asks for keys in percent-encoding: XML has no way to write some characters.
    pub(in crate::s3) url_encoding: bool,
}

impl Listing<'_> {
    fn query(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let encoding = self.url_encoding.then_some("url");
        let prefix = Some(self.prefix).filter(|prefix| !prefix.is_empty());
        let start = self.start_after.filter(|_| self.token.is_none());
        let parameters: [(&str, Option<&str>); 6] = if self.version == 1 {
            let marker = self.token.or(start);
            [("encoding-type", encoding), ("marker", marker), ("max-keys", limit.as_deref()), ("prefix", prefix), ("", None), ("", None)]
        } else {
            [
                ("continuation-token", self.token),
                ("encoding-type", encoding),
                ("list-type", Some("2")),
                ("max-keys", limit.as_deref()),
                ("prefix", prefix),
                ("start-after", start),
            ]
        };
        let given: Vec<(&str, &str)> = parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        encode::query(&given)
    }
}

impl Wire {
    /// # Errors
    /// [`Failure`]; a store that answers 200 and then an error has refused.
    pub(in crate::s3) async fn list(&self, what: Listing<'_>) -> Result<Bytes, Failure> {
        self.page(None, what.query(), Vec::new()).await
    }

    /// # Errors
    /// As [`Self::list`].
    pub(in crate::s3) async fn list_versions(&self, what: Versions<'_>) -> Result<Bytes, Failure> {
        self.page(None, what.query(), Vec::new()).await
    }

    /// The answer to `GetBucketVersioning`.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(in crate::s3) async fn versioning(&self) -> Result<Bytes, Failure> {
        self.page(None, "versioning=".to_owned(), Vec::new()).await
    }

    /// # Errors
    /// As [`Self::list`].
    pub(in crate::s3) async fn list_parts(&self, what: PartsOf<'_>) -> Result<Bytes, Failure> {
        let marker = what.marker.map(|marker| ("part-number-marker", marker));
        let query: Vec<(&str, &str)> = marker.into_iter().chain([("uploadId", what.id)]).collect();
        let headers = what.customer.into_iter().flat_map(|key| seal::headers(Whose::Object, key)).collect();
        self.page(Some(what.key), encode::query(&query), headers).await
    }

    async fn page(&self, key: Option<&str>, query: String, mut headers: Vec<Header>) -> Result<Bytes, Failure> {
        if self.requester_pays {
            headers.push((PAYER, HeaderValue::from_static("requester")));
        }
        let call = Call { method: Method::GET, key, query, headers, plain: Vec::new(), body: None, hash: Hash::Empty };
        let (head, body) = self.send(&call).await?.into_parts();
        let status = head.status.as_u16();
        let body = read(body, PAGE).await.map_err(|why| Failure::Unreadable { status, why })?;
        if is_error(&body) {
            return Err(Failure::Refused(Refusal::of(status, &head.headers, &body)));
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_asked_for_behind_a_place() {
        let all = Versions { prefix: "", place: None, limit: None, url_encoding: false };
        assert_eq!(all.query(), "versions=");
        let some = Versions { prefix: "a/", place: Some(("a/ü", Some("v+1"))), limit: Some(1), url_encoding: true };
        assert_eq!(some.query(), "encoding-type=url&key-marker=a%2F%C3%BC&max-keys=1&prefix=a%2F&version-id-marker=v%2B1&versions=");
    }

    #[test]
    fn both_versions_of_the_question() {
        let all = Listing { prefix: "a b/", start_after: Some("a b/ü"), token: None, limit: Some(7), version: 2, url_encoding: true };
        for (listing, query) in [
            (all, "encoding-type=url&list-type=2&max-keys=7&prefix=a%20b%2F&start-after=a%20b%2F%C3%BC"),
            (
                Listing { token: Some("t=/+"), ..all },
                "continuation-token=t%3D%2F%2B&encoding-type=url&list-type=2&max-keys=7&prefix=a%20b%2F",
            ),
            (Listing { version: 1, ..all }, "encoding-type=url&marker=a%20b%2F%C3%BC&max-keys=7&prefix=a%20b%2F"),
            (Listing { version: 1, token: Some("t"), ..all }, "encoding-type=url&marker=t&max-keys=7&prefix=a%20b%2F"),
            (Listing { prefix: "", start_after: None, token: None, limit: None, version: 1, url_encoding: false }, ""),
        ] {
            assert_eq!(listing.query(), query);
        }
    }
}
