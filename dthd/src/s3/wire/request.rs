//! One request, as it is said before it is known where it goes and who signs it.

use aws_credential_types::Credentials;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri::PathAndQuery};

use super::{
    address::Address,
    encode,
    sign::{self, Date, Header, Keys, Signable},
};
use crate::{http::Pieces, s3::payload::Payload};

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Bodies up to this many bytes are hashed in place: moving them to another thread costs more.
const IN_PLACE: u64 = 256 * 1024;
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// S3 tells apart who moves data by this.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("dthd/", env!("CARGO_PKG_VERSION")));

/// What the signature says of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// There is none.
    Empty,
    /// Nothing: nobody in between could change it.
    Unsigned,
    /// Its SHA-256, in hexadecimal digits.
    Sha256(String),
}

impl Hash {
    /// Of a body that must be signed; large ones are read away from the reactor.
    pub(super) async fn signed(body: &Payload) -> Self {
        if body.is_empty() {
            return Self::Empty;
        }
        if body.len() <= IN_PLACE {
            return Self::Sha256(sign::sha256(body.pieces()));
        }
        let shared = body.clone();
        let hash = tokio::task::spawn_blocking(move || sign::sha256(shared.pieces())).await;
        // not run only when the runtime is going down: nobody else computes now
        Self::Sha256(hash.unwrap_or_else(|_| sign::sha256(body.pieces())))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Empty => EMPTY,
            Self::Unsigned => UNSIGNED,
            Self::Sha256(hash) => hash,
        }
    }
}

/// A request for a key of a bucket, or for the bucket.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// `None`: the bucket itself.
    pub(super) key: Option<&'a str>,
    /// In canonical form.
    pub(super) query: String,
    /// What is signed besides host, date and hash; in any order.
    pub(super) headers: Vec<Header>,
    /// What is not: proxies change it, and some stores (Google's) refuse signatures over it.
    pub(super) plain: Vec<Header>,
    pub(super) body: Option<&'a Payload>,
    pub(super) hash: Hash,
}

impl Call<'_> {
    /// The request at an address, signed unless there are no credentials.
    ///
    /// # Errors
    /// What cannot be part of a request, in words.
    pub(super) fn at(
        &self,
        address: &Address,
        credentials: Option<&Credentials>,
        date: &Date,
        keys: &Keys,
    ) -> Result<Request<Pieces>, String> {
        let mut target = String::with_capacity(address.base.len() + self.key.map_or(1, |key| key.len() * 2) + self.query.len() + 2);
        target.push_str(&address.base);
        match self.key {
            Some(key) => encode::push_key(&mut target, key),
            None => target.push('/'),
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 4);
        headers.push((header::HOST, address.host.clone()));
        headers.extend(self.headers.iter().cloned());
        let mut authorization = None;
        if let Some(credentials) = credentials {
            let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "the credentials are no header values".to_owned());
            headers.push((HASH, value(self.hash.as_str())?));
            headers.push((DATE, value(date.as_str())?));
            if let Some(token) = credentials.session_token() {
                let mut token = value(token)?;
                token.set_sensitive(true);
                headers.push((TOKEN, token));
            }
            headers.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
            let signable = Signable {
                method: self.method.as_str(),
                path: &target,
                query: &self.query,
                headers: &headers,
                payload: self.hash.as_str(),
                date,
            };
            let mut signed = value(&keys.authorization(credentials, &address.region, &address.service, &signable))?;
            signed.set_sensitive(true);
            authorization = Some(signed);
        }
        if !self.query.is_empty() {
            target.push('?');
            target.push_str(&self.query);
        }
        let path = PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).map_err(|e| format!("the key fits into no request: {e}"))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(address.scheme.clone());
        parts.authority = Some(address.authority.clone());
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|e| e.to_string())?;
        let mut request = Request::new(self.body.map_or_else(Pieces::default, |body| Pieces::of(body.pieces())));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let mut all = HeaderMap::with_capacity(headers.len() + self.plain.len() + 3);
        all.extend(headers);
        all.extend(self.plain.iter().cloned());
        all.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        all.insert(header::USER_AGENT, AGENT);
        if let Some(body) = self.body {
            // also for an empty body, where it would be left out
            all.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        *request.headers_mut() = all;
        Ok(request)
    }
}

/// A header of a request whose value comes from outside.
///
/// # Errors
/// When it is none, in words.
pub(super) fn value(name: &HeaderName, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| format!("{name} cannot have the value {value:?}: it has control characters"))
}
