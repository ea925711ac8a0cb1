//! Sending a request to where the bucket really is, at the time the store takes it to be, and telling good answers from refusals.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use aws_credential_types::{Credentials, provider::error::CredentialsError};
use aws_smithy_async::time::TimeSource;
use bytes::{Bytes, BytesMut};
use dth_proto::time::Timestamp;
use http::{Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::{
    address::{Address, Site},
    answer::{self, NotText},
    encode,
    refusal::Refusal,
    request::Call,
    sign::{Date, Keys},
};
use crate::{
    clock,
    credential::Credential,
    http::{Client, SendError},
};

/// A store that answers with another place more often sends in circles.
const HOPS: u32 = 5;
/// What is read of an answer that is not the one hoped for.
const REFUSAL: usize = 64 * 1024;

/// Why a request did not succeed.
#[derive(Debug)]
pub(in crate::s3) enum Failure {
    /// No answer.
    Send(SendError),
    /// No credentials to sign with.
    Credentials(CredentialsError),
    /// It cannot be put into words of HTTP.
    Request(String),
    /// The store refused.
    Refused(Refusal),
    /// The store sent from place to place.
    TooManyRedirects {
        /// The last one.
        location: String,
    },
    /// The answer makes no sense, or ended early.
    Unreadable {
        /// Of HTTP.
        status: u16,
        /// In words.
        why: String,
    },
    /// The object has a header that cannot be passed on.
    Header(String),
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<NotText> for Failure {
    fn from(error: NotText) -> Self {
        Self::Header(error.to_string())
    }
}

/// Requests to one bucket.
pub(in crate::s3) struct Wire {
    http: Client,
    credential: Credential,
    place: RwLock<Arc<Place>>,
    keys: Keys,
    skew: Skew,
    pub(super) requester_pays: bool,
}

/// The store's clock, by its distance from ours in milliseconds. Clones are one clock.
#[derive(Clone, Debug, Default)]
pub(in crate::s3) struct Skew(Arc<AtomicI64>);

impl Skew {
    fn now(&self) -> Timestamp {
        Timestamp(clock::now().0.saturating_add_signed(self.0.load(Relaxed)))
    }
}

impl TimeSource for Skew {
    fn now(&self) -> SystemTime {
        Self::now(self).to_system()
    }
}

struct Place {
    site: Site,
    address: Address,
}

impl Wire {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Why the bucket has no address, in words.
    pub(in crate::s3) async fn open(http: Client, credential: Credential, site: Site, requester_pays: bool) -> Result<Self, String> {
        let address = site.address().await?;
        let place = RwLock::new(Arc::new(Place { site, address }));
        Ok(Self { http, credential, place, keys: Keys::default(), skew: Skew::default(), requester_pays })
    }

    fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the bucket is, as far as is known by now.
    pub(in crate::s3) fn site(&self) -> Site {
        self.place().site.clone()
    }

    /// Whether nobody can read or change what is sent: TLS, or an address of this machine.
    pub(in crate::s3) fn is_private(&self) -> bool {
        let place = self.place();
        place.address.scheme == http::uri::Scheme::HTTPS || place.address.is_loopback()
    }

    /// An answer with a status of success. Wrong regions are corrected for good, clocks that differ as well; either costs one more request.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Response<Incoming>, Failure> {
        let mut elsewhere: Option<Address> = None;
        let mut hops = 0;
        let mut corrected = false;
        loop {
            let place = self.place();
            let address = elsewhere.as_ref().unwrap_or(&place.address);
            let credentials = self.credential.load().await.map_err(Failure::Credentials)?;
            let response = self.ask(call, address, credentials.as_ref()).await?;
            let status = response.status().as_u16();
            if response.status().is_success() {
                return Ok(response);
            }
            let location = answer::text(response.headers(), header::LOCATION.as_str()).map(str::to_owned);
            let date = answer::text(response.headers(), header::DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
            let refusal = refusal(response).await;
            let moves = matches!(status, 301 | 307 | 308) || (status == 400 && refusal.code == "AuthorizationHeaderMalformed");
            let region = refusal.region.as_deref().filter(|region| moves && *region != place.site.region);
            if hops == HOPS && (region.is_some() || (moves && location.is_some())) {
                return Err(Failure::TooManyRedirects { location: location.or(refusal.region).unwrap_or_default() });
            }
            if let Some(region) = region {
                self.correct(&place, region).await.map_err(Failure::Request)?;
                elsewhere = None;
                hops += 1;
                continue;
            }
            if let (307 | 308, Some(location)) = (status, location)
                && let Some(next) = address.redirected(&location, &encode::key(call.key.unwrap_or_default()))
            {
                elsewhere = Some(next);
                hops += 1;
                continue;
            }
            if let (403, "RequestTimeTooSkewed", Some(date), false) = (status, refusal.code.as_str(), date, corrected) {
                self.set_clock(Timestamp::from_system(date));
                corrected = true;
                continue;
            }
            return Err(Failure::Refused(refusal));
        }
    }

    async fn ask(&self, call: &Call<'_>, address: &Address, credentials: Option<&Credentials>) -> Result<Response<Incoming>, Failure> {
        let make = || call.at(address, credentials, &Date::of(self.now()), &self.keys).map_err(Failure::Request);
        self.http.send(make).await
    }

    /// The clock that requests to this store are signed with.
    pub(in crate::s3) fn skew(&self) -> Skew {
        self.skew.clone()
    }

    fn now(&self) -> Timestamp {
        self.skew.now()
    }

    fn set_clock(&self, theirs: Timestamp) {
        let ours = clock::now();
        let signed = |time: Timestamp| i64::try_from(time.0).unwrap_or(i64::MAX);
        let skew = signed(theirs) - signed(ours);
        self.skew.0.store(skew, Relaxed);
        tracing::warn!(bucket = ?self.place().site.bucket, seconds = skew / 1000, "the store's clock is ahead of this machine's by this much (behind, if negative); requests are signed with its time");
    }

    /// The bucket is in another region than it was taken to be.
    async fn correct(&self, seen: &Place, region: &str) -> Result<(), String> {
        let site = seen.site.moved(region);
        let address = site.address().await?;
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        // of several requests that find out at the same time, one corrects
        if place.site == seen.site {
            tracing::info!(bucket = ?site.bucket, configured = %seen.site.region, found = %region, "the bucket is in another region");
            *place = Arc::new(Place { site, address });
        }
        Ok(())
    }
}

/// What a store says instead of doing what it is asked for.
async fn refusal(response: Response<Incoming>) -> Refusal {
    let (head, body) = response.into_parts();
    // an error that cannot be read to its end is still one
    let body = read(body, REFUSAL).await.unwrap_or_default();
    Refusal::of(head.status.as_u16(), &head.headers, &body)
}

/// Reads up to `most` bytes of a body.
///
/// # Errors
/// Why it ended early or is longer, in words.
pub(super) async fn read(mut body: Incoming, most: usize) -> Result<Bytes, String> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| crate::http::client::in_words(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > most {
            return Err(format!("it is longer than {most} bytes"));
        }
        // most bodies come in one piece, which need not be copied
        match (&first, all.is_empty()) {
            (None, true) => first = Some(data),
            _ => {
                if let Some(first) = first.take() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
