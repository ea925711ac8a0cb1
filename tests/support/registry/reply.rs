//! An answer before it goes on the wire, and its way there.

use std::{fmt::Display, io};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{log::Page, refusal::Refusal};
use crate::s3::{Answer, Data, pace::Pace};

/// The largest piece that is written at once when somebody counts the bytes.
const PIECE: usize = 64 * 1024;

/// A body on its way out; an error in it breaks the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub data: Data,
    /// The length to announce; the data may be another (HEAD, faults).
    pub length: u64,
}

/// What hinders an answer's body.
#[derive(Clone, Debug, Default)]
pub(super) struct Hindrance {
    /// The connection breaks after this many bytes.
    pub breaks: Option<u64>,
    /// A pace of its own.
    pub slow: Option<Pace>,
}

impl Reply {
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), data: Data::default(), length: 0 }
    }

    pub fn json(value: &Value) -> Self {
        Self::new(StatusCode::OK).with("content-type", "application/json").with_data(Bytes::from(value.to_string()).into())
    }

    pub fn refused(refusal: &Refusal) -> Self {
        let kind = if refusal.plain { "text/plain; charset=utf-8" } else { "application/json" };
        let reply = Self::new(refusal.status).with("content-type", kind).with_data(Bytes::from(refusal.body()).into());
        refusal.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    pub fn made_up(answer: &Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Self::new(status).with_data(Bytes::from(answer.body.clone()).into());
        answer.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    pub fn with_data(mut self, data: Data) -> Self {
        self.length = data.len();
        self.data = data;
        self
    }

    /// Adds a header, unless its value cannot be one (control characters).
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.to_string().as_bytes()));
        if let (Ok(name), Ok(value)) = pair {
            self.headers.insert(name, value);
        }
        self
    }

    /// Ready for hyper; `page` is written until the body is gone.
    pub fn into_response(mut self, head: bool, page: Page, pace: &Pace, hindrance: Hindrance) -> Response<Body> {
        page.answered(self.status.as_u16());
        if self.status != StatusCode::NO_CONTENT {
            self.headers.insert(CONTENT_LENGTH, self.length.into());
            self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        }
        let data = if head || self.status == StatusCode::NO_CONTENT { Data::default() } else { self.data };
        // short of what was announced: no orderly end is possible
        let short = !head && self.length > data.len() && self.status != StatusCode::NO_CONTENT;
        let breaks = hindrance.breaks.filter(|after| !head && *after < data.len());
        let data = breaks.map_or(data.clone(), |after| data.slice(0..after));
        let mut response = Response::new(stream_of(&data, page, pace.clone(), hindrance.slow, breaks.is_some() || short));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn stream_of(data: &Data, page: Page, pace: Pace, slow: Option<Pace>, broken: bool) -> Body {
    let most = if broken || slow.is_some() || pace.limited() { PIECE } else { usize::MAX };
    let pieces: Vec<Bytes> = data.segments().iter().flat_map(|segment| cut(segment.clone(), most)).collect();
    let state = (pieces.into_iter(), page, broken);
    let body = stream::unfold(state, move |(mut pieces, page, broken)| {
        let (pace, slow) = (pace.clone(), slow.clone());
        async move {
            match pieces.next() {
                Some(piece) => {
                    pace.take(piece.len()).await;
                    if let Some(slow) = &slow {
                        slow.take(piece.len()).await;
                    }
                    page.sent(piece.len());
                    Some((Ok(Frame::data(piece)), (pieces, page, broken)))
                }
                None if broken => {
                    // gives hyper the turn in which it writes what it has, so that the client sees the beginning
                    tokio::task::yield_now().await;
                    Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (pieces, page, false)))
                }
                None => None,
            }
        }
    });
    StreamBody::new(body.boxed()).boxed_unsync()
}

fn cut(mut segment: Bytes, most: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!segment.is_empty()).then(|| segment.split_to(most.min(segment.len()))))
}
