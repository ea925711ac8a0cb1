//! An answer before it goes on the wire, and its way there.

use std::{convert::Infallible, fmt::Display, io};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::{count::Listed, data::Data, error::S3Error, pace::Pace, xml::Xml};

/// The largest piece that is written at once when the server is slowed down.
const PIECE: usize = 16 * 1024;

/// A body on its way out; an error in it breaks the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub data: Data,
    /// The length to announce; the data may be shorter (HEAD, faults).
    pub length: u64,
    /// What a listing told, for whoever counts.
    pub listed: Option<Listed>,
}

impl Reply {
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), data: Data::default(), length: 0, listed: None }
    }

    pub fn xml(text: String) -> Self {
        let mut reply = Self::new(StatusCode::OK);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        reply.with_data(Bytes::from(text).into())
    }

    pub fn error(error: &S3Error, resource: &str) -> Self {
        if error.status == StatusCode::NOT_MODIFIED {
            return Self::new(error.status);
        }
        let mut reply = Self::xml(Xml::document("Error", |xml| {
            xml.text("Code", error.code);
            xml.text("Message", &error.message);
            xml.text("Resource", resource);
            if let Some(region) = &error.region {
                xml.text("Region", region);
            }
            xml.text("RequestId", "embedded");
        }));
        reply.status = error.status;
        if let Some(region) = &error.region {
            reply.set("x-amz-bucket-region", region);
        }
        reply
    }

    pub fn with_data(mut self, data: Data) -> Self {
        self.length = data.len();
        self.data = data;
        self
    }

    /// Adds a header, unless its value cannot be one (control characters).
    pub fn set(&mut self, name: &str, value: impl Display) {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.to_string().as_bytes()));
        if let (Ok(name), Ok(value)) = pair {
            self.headers.insert(name, value);
        }
    }

    /// Ready for hyper. `broken`: the connection breaks after the data, short of the announced length.
    pub fn into_response(mut self, pace: &Pace, head: bool, broken: bool) -> Response<Body> {
        let may_have_body = self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED;
        if may_have_body {
            self.headers.insert(CONTENT_LENGTH, self.length.into());
        }
        let body = if head || !may_have_body { Data::default() } else { self.data };
        let mut response = Response::new(stream_of(&body, pace.clone(), broken && !head));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn stream_of(data: &Data, pace: Pace, broken: bool) -> Body {
    let whole = data.segments().to_vec();
    if !pace.limited() && !broken {
        let frames = stream::iter(whole).map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        return StreamBody::new(frames).map_err(|never| match never {}).boxed_unsync();
    }
    let pieces: Vec<Bytes> = whole.into_iter().flat_map(cut).collect();
    let paced = stream::iter(pieces).then(move |piece| {
        let pace = pace.clone();
        async move {
            pace.take(piece.len()).await;
            Ok(Frame::data(piece))
        }
    });
    let end = stream::iter(broken.then_some(())).then(|()| async {
        // gives hyper the turn in which it writes what it has, so that the client sees the beginning
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    StreamBody::new(paced.chain(end)).boxed_unsync()
}

fn cut(mut segment: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!segment.is_empty()).then(|| segment.split_to(PIECE.min(segment.len()))))
}
