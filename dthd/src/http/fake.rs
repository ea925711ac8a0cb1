//! A server for tests that says exactly the bytes it is told to, in the pieces it is told to.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// What the server does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends these bytes, in a packet of their own.
    Say(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// From 0, in the order in which they were opened.
    pub(crate) connection: usize,
}

impl Heard {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }
}

pub(crate) struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    _accepting: AbortOnDropHandle<()>,
}

/// An answer with a body of an announced length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<Step> {
    vec![Step::Say(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())]
}

impl Fake {
    /// `script` says what to do about the n-th request (from 0).
    pub(crate) async fn start(script: impl Fn(usize, &Heard) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (script, record, connections) = (Arc::new(script), Arc::clone(&heard), AtomicUsize::new(0));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, connections.fetch_add(1, SeqCst), Arc::clone(&script), Arc::clone(&record)));
            }
        });
        Self { address, heard, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn talk(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<impl Fn(usize, &Heard) -> Vec<Step>>,
    record: Arc<Mutex<Vec<Heard>>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut unread).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&unread[..end]).into_owned();
        let mut heard = Heard { head, body: unread.split_off(end), connection };
        let length = heard.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        while heard.body.len() < length {
            if stream.read_buf(&mut heard.body).await.ok()? == 0 {
                return None;
            }
        }
        unread = heard.body.split_off(length);
        let steps = {
            let mut all = record.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(heard.clone());
            script(all.len() - 1, &heard)
        };
        for step in steps {
            match step {
                Step::Say(bytes) => {
                    stream.write_all(&bytes).await.ok()?;
                    // lets the client read what is there before more comes
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                }
                Step::Close => return None,
            }
        }
    }
}
