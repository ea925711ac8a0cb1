//! The listener: from a connection to an answer, with the faults in between.

use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioTimer;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{
    chunked,
    count::{Counter, Requests},
    damage,
    data::Data,
    digest,
    error::S3Error,
    fault::{Action, Faults},
    list::{self, Defects},
    multipart,
    operation::Operation,
    pace::Pace,
    read,
    reply::{Body, Reply},
    route::Call,
    socket::{ResetSwitch, Socket},
    store::{Buckets, Store},
    tagging, write,
    xml::Xml,
};

/// Settings of a server before it starts.
#[derive(Clone, Debug)]
pub struct Builder {
    keys: BTreeSet<String>,
    anonymous: bool,
    domain: String,
    aws_checksums: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self { keys: BTreeSet::new(), anonymous: true, domain: "localhost".to_owned(), aws_checksums: false }
    }
}

impl Builder {
    /// Accepts only known access key ids, this one among them, and no anonymous requests unless [`Builder::anonymous`] says so.
    #[must_use]
    pub fn access_key(mut self, id: &str) -> Self {
        // the first key closes the door; a later one leaves a choice made in between
        self.anonymous &= !self.keys.is_empty();
        self.keys.insert(id.to_owned());
        self
    }

    /// Whether requests without a signature are accepted (they are, until an access key is set).
    #[must_use]
    pub fn anonymous(mut self, accepted: bool) -> Self {
        self.anonymous = accepted;
        self
    }

    /// Keep a CRC-64/NVME for objects that came without a checksum, as AWS does since 2024-12.
    #[must_use]
    pub fn aws_checksums(mut self) -> Self {
        self.aws_checksums = true;
        self
    }

    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(self) -> io::Result<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            settings: self,
            store: Store::default(),
            faults: Faults::default(),
            counter: Counter::default(),
            pace: Pace::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Server { address, shared, accepting })
    }
}

/// A running server; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
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

    /// `http://127.0.0.1:PORT`. Hosts `BUCKET.localhost` on the same port name their bucket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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
    let reset = ResetSwitch::default();
    // small answers must not wait for the peer's acknowledgement; where it fails they only come later
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, reset.clone());
    let service = service_fn(move |request| answer(Arc::clone(&shared), request, reset.clone()));
    // an error here is the client's (or a fault's) broken connection
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(socket, service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>, reset: ResetSwitch) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == "HEAD";
    let resource = head.uri.path().to_owned();
    let mut call = match Call::parse(&head.method, &head.uri, head.headers, &shared.settings.domain) {
        Ok(call) => call,
        Err(error) => return Ok(Reply::error(&error, &resource).into_response(&shared.pace, is_head, false)),
    };
    shared.counter.request(&call);
    let actions = shared.faults.strike(&call);
    for action in &actions {
        match action {
            Action::Delay(time) => tokio::time::sleep(*time).await,
            Action::Reset => return broken(&reset),
            _ => {}
        }
    }
    shared.pace.delay().await;
    let received = receive(&shared, &mut call, body).await;
    let reply = match received.and_then(|()| admit(&shared.settings, &call)) {
        Ok(()) => struck(&shared, &call, &actions),
        Err(error) => Err(error),
    };
    let mut reply = reply.unwrap_or_else(|error| Reply::error(&error, &resource));
    if actions.iter().any(|action| matches!(action, Action::ResetAfter)) {
        return broken(&reset);
    }
    let mut cut = false;
    for action in &actions {
        match action {
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

fn broken<T>(reset: &ResetSwitch) -> io::Result<T> {
    reset.on();
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Reads the body, and takes `aws-chunked` frames off it; trailers become headers.
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

/// Who may ask: known access keys, and anonymous clients where they are accepted.
fn admit(settings: &Builder, call: &Call) -> Result<(), S3Error> {
    match call.access_key() {
        Some(id) if settings.keys.is_empty() || settings.keys.contains(id) => Ok(()),
        Some(_) => Err(S3Error::invalid_access_key()),
        None if settings.anonymous => Ok(()),
        None => Err(S3Error::access_denied()),
    }
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

fn carry_out(settings: &Builder, buckets: &mut Buckets, call: &Call, defects: Defects) -> Result<Reply, S3Error> {
    use Operation as O;
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
        O::ListObjects | O::ListObjectsV2 => list::reply(call, buckets, defects),
        O::ListMultipartUploads => multipart::list_uploads(call, buckets),
        O::GetObject | O::HeadObject => read::reply(call, buckets),
        O::PutObject => write::put(call, buckets, settings.aws_checksums),
        O::CopyObject => write::copy(call, buckets),
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
