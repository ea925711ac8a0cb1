//! The listener: from a connection to an answer, with the faults in between.

use std::{fmt, future::poll_fn, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::either::Either;

use super::{
    archive, chunked,
    count::{Counter, Requests},
    damage,
    data::Data,
    digest,
    error::S3Error,
    fault::{Action, Answer, Faults},
    list::{self, Defects},
    multipart,
    operation::Operation,
    pace::Pace,
    read,
    reply::{Body, Reply},
    route::Call,
    settings::Builder,
    socket::{End, Switch},
    store::{Buckets, Store},
    tagging, versions, write,
    xml::{self, Xml},
};

/// A running server; dropping it closes its port and its connections.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    settings: Builder,
    store: Store,
    faults: Faults,
    counter: Counter,
    pace: Pace,
}

impl Server {
    /// A server that accepts everyone.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A server with other settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn on(listener: TcpListener, settings: Builder) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            settings,
            store: Store::default(),
            faults: Faults::default(),
            counter: Counter::default(),
            pace: Pace::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// `http://127.0.0.1:PORT`, or `https`. Hosts `BUCKET.localhost` on the same port name their bucket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.shared.settings.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its buckets and objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked of it so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.counter.snapshot()
    }

    /// Counts from zero again.
    pub fn reset_requests(&self) {
        self.shared.counter.reset();
    }

    /// Every request waits this long from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.pace.set_latency(latency);
    }

    /// All connections together move this many body bytes per second from now on; `None`: as many as they can.
    pub fn set_bandwidth(&self, bytes_per_s: Option<u64>) {
        self.shared.pace.set_bandwidth(bytes_per_s);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // dropped with this task, which ends every connection
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&shared)))),
                // out of file descriptors: the next turn may find one
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // small answers must not wait for the peer's acknowledgement; where it fails they only come later
    let _ = stream.set_nodelay(true);
    let stream = match &shared.settings.tls {
        None => Either::Left(stream),
        // a client that does not trust the certificate hangs up
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Either::Right(stream),
            Err(_) => return,
        },
    };
    let switch = Switch::default();
    let end = switch.clone();
    let service = service_fn(move |request| Box::pin(answer(Arc::clone(&shared), request, switch.clone())));
    let mut http = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // an error here and below is the client's (or a fault's) broken connection
    let _ = poll_fn(|cx| http.poll_without_shutdown(cx)).await;
    let _ = end.carry_out(http.into_parts().io.into_inner()).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>, switch: Switch) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == "HEAD";
    let resource = head.uri.path().to_owned();
    let mut call = match Call::parse(&head.method, &head.uri, head.headers, &shared.settings.domain) {
        Ok(call) => call,
        Err(error) => return Ok(Reply::error(&error, &resource).into_response(&shared.pace, is_head, false)),
    };
    shared.counter.request(&call);
    let _open = shared.counter.open(call.operation);
    let actions = shared.faults.strike(&call);
    for action in &actions {
        match action {
            Action::Delay(time) => tokio::time::sleep(*time).await,
            Action::Reset => return switch.end(End::Reset),
            _ => {}
        }
    }
    shared.pace.delay().await;
    let reply = match receive(&shared, &mut call, body).await {
        Ok(()) => struck(&shared, &call, &actions),
        Err(error) => Err(error),
    };
    let mut reply = reply.unwrap_or_else(|error| Reply::error(&error, &resource));
    reply.set("date", read::http_time(shared.settings.door.now()));
    if let Some(page) = reply.listed.take() {
        shared.counter.page(page);
    }
    let mut cut = false;
    for action in &actions {
        match action {
            Action::ResetAfter => return switch.end(End::Reset),
            Action::Wire(wire) => return switch.end(wire.end(&reply, is_head)),
            Action::Shorten(keep) if *keep < reply.data.len() => {
                let data = reply.data.slice(0..*keep);
                reply = reply.with_data(data);
            }
            Action::RawKeys => {
                let text = xml::with_raw_controls(&String::from_utf8_lossy(&reply.data.to_bytes()));
                reply = reply.with_data(Bytes::from(text).into());
            }
            Action::Truncate(keep) if *keep < reply.data.len() => {
                reply.data = reply.data.slice(0..*keep);
                cut = true;
            }
            Action::Corrupt(at) => reply.data = reply.data.corrupted(*at),
            _ => {}
        }
    }
    shared.counter.answered(if is_head { 0 } else { reply.length });
    Ok(reply.into_response(&shared.pace, is_head, cut))
}

/// Reads the body, verifies the signature, and takes `aws-chunked` frames off the body; trailers become headers.
async fn receive(shared: &Shared, call: &mut Call, mut body: Incoming) -> Result<(), S3Error> {
    let announced = call.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    let mut bytes = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| S3Error::incomplete_body())?;
        if let Some(piece) = frame.data_ref() {
            shared.pace.take(piece.len()).await;
            bytes.extend_from_slice(piece);
        }
    }
    shared.counter.received(bytes.len() as u64);
    let bytes = bytes.freeze();
    shared.settings.door.admit(call, &bytes)?;
    call.body = if chunked::is_chunked(&call.headers) {
        let length = call.header("x-amz-decoded-content-length").and_then(|text| text.parse().ok());
        let (data, trailers) = chunked::decode(&bytes, length)?;
        call.headers.extend(trailers);
        data
    } else {
        Data::from(bytes)
    };
    // here and not where the object is stored, because there the whole store is locked
    if matches!(call.operation, Operation::PutObject | Operation::UploadPart | Operation::DeleteObjects) {
        call.md5 = digest::md5(&call.body);
        digest::check_md5(&call.headers, &call.md5)?;
        call.checksums = digest::check_sums(&call.headers, &call.body)?;
    }
    Ok(())
}

/// Carries the request out, unless a fault stands in the way.
fn struck(shared: &Shared, call: &Call, actions: &[Action]) -> Result<Reply, S3Error> {
    let mut defects = Defects::default();
    for action in actions {
        match action {
            Action::SlowDown => return Err(S3Error::slow_down()),
            Action::InternalError => return Err(S3Error::internal()),
            Action::Deny => return Err(S3Error::access_denied()),
            Action::ErrorIn200 => {
                let mut reply = Reply::error(&S3Error::internal(), &call.key);
                reply.status = StatusCode::OK;
                return Ok(reply);
            }
            Action::DirectoryOrder => defects.by_directory = true,
            Action::TruncatedWithoutToken => defects.no_token = true,
            Action::RepeatPage => defects.repeat = true,
            Action::PlainKeys | Action::RawKeys => defects.plain = true,
            Action::Answer(answer) => return made_up(answer),
            _ => {}
        }
    }
    let damaged = damage::strike(call, actions)?;
    let call = damaged.as_ref().unwrap_or(call);
    let reply = carry_out(&shared.settings, &mut shared.store.lock(), call, defects);
    for action in actions {
        match action {
            Action::Swap(object) => shared.store.put(&call.bucket, &call.key, Arc::clone(object)),
            Action::ErrorAfter => return Err(S3Error::internal()),
            _ => {}
        }
    }
    reply
}

/// The answer a test made up.
fn made_up(answer: &Answer) -> Result<Reply, S3Error> {
    let status = StatusCode::from_u16(answer.status).map_err(|_| S3Error::internal())?;
    let mut reply = Reply::new(status).with_data(Bytes::from(answer.body.clone()).into());
    for (name, value) in &answer.headers {
        reply.set(name, value);
    }
    Ok(reply)
}

fn carry_out(settings: &Builder, buckets: &mut Buckets, call: &Call, defects: Defects) -> Result<Reply, S3Error> {
    use Operation as O;
    if settings.requester_pays && call.operation.reads() && call.header("x-amz-request-payer") != Some("requester") {
        return Err(S3Error::access_denied());
    }
    match call.operation {
        O::ListBuckets => Ok(list_buckets(buckets)),
        O::HeadBucket => buckets.bucket(&call.bucket).map(|_| Reply::new(StatusCode::OK)),
        O::CreateBucket if buckets.create(&call.bucket) => Ok(Reply::new(StatusCode::OK)),
        O::CreateBucket => Err(S3Error::bucket_owned()),
        O::DeleteBucket => {
            if !buckets.bucket(&call.bucket)?.objects.is_empty() {
                return Err(S3Error::bucket_not_empty());
            }
            buckets.remove(&call.bucket);
            Ok(Reply::new(StatusCode::NO_CONTENT))
        }
        O::GetBucketLocation => buckets.bucket(&call.bucket).map(|_| Reply::xml(Xml::document("LocationConstraint", |_| {}))),
        O::ListObjects | O::ListObjectsV2 => list::reply(call, buckets, defects, settings.most_keys),
        O::ListObjectVersions => versions::reply(call, buckets, settings.most_keys),
        O::GetBucketVersioning => versions::status(call, buckets),
        O::PutBucketVersioning => versions::configure(call, buckets),
        O::RestoreObject => archive::restore(call, buckets),
        O::ListMultipartUploads => multipart::list_uploads(call, buckets),
        O::GetObjectAcl => read::acl(call, buckets),
        O::GetObjectRetention => read::retention(call, buckets),
        O::GetObject | O::HeadObject => read::reply(call, buckets),
        O::PutObject => write::put(call, buckets, settings.aws_checksums),
        O::CopyObject => write::copy(call, buckets, settings.most_copied),
        O::DeleteObject => write::delete(call, buckets),
        O::DeleteObjects => write::delete_many(call, buckets),
        O::GetObjectTagging | O::PutObjectTagging | O::DeleteObjectTagging => tagging::reply(call, buckets),
        O::CreateMultipartUpload => multipart::create(call, buckets, settings.aws_checksums),
        O::UploadPart => multipart::part(call, buckets),
        O::UploadPartCopy => multipart::part_copy(call, buckets),
        O::CompleteMultipartUpload => multipart::complete(call, buckets),
        O::AbortMultipartUpload => multipart::abort(call, buckets),
        O::ListParts => multipart::list_parts(call, buckets),
    }
}

fn list_buckets(buckets: &Buckets) -> Reply {
    Reply::xml(Xml::document("ListAllMyBucketsResult", |xml| {
        xml.element("Buckets", |xml| {
            for name in buckets.names() {
                xml.element("Bucket", |xml| xml.text("Name", name));
            }
        });
    }))
}
