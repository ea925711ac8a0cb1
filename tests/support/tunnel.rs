//! A TCP proxy in front of a server, which makes the way to it long and counts what goes through.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

/// Most bytes of one read.
const PIECE: usize = 64 << 10;
/// Most pieces under way in one direction of a connection.
const UNDER_WAY: usize = 256;

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub struct Tunnel {
    port: u16,
    counts: Arc<Counts>,
    cut: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Tunnel {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `server` (`HOST:PORT`). Every byte takes half of `latency`, in
    /// either direction; opening a connection takes all of it, as TCP's handshake does.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn open(server: String, latency: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let (cut, is_cut) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, server, latency, Arc::clone(&counts), is_cut));
        Ok(Self { port, counts, cut, accepting })
    }

    /// Breaks all connections, and every new one at once, until [`Tunnel::mend`].
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Passes on again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Relaxed)
    }

    /// Bytes that clients have sent so far, those on connections that broke included.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Relaxed)
    }

    /// Bytes that the server has sent so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counts.received.load(Relaxed)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, latency: Duration, counts: Arc<Counts>, mut cut: watch::Receiver<bool>) {
    // ends its connections with itself
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // an error: out of file descriptors, and the next turn may find one
                let Ok((client, _)) = accepted else { tokio::task::yield_now().await; continue };
                if *cut.borrow() {
                    continue;
                }
                counts.connections.fetch_add(1, Relaxed);
                connections.spawn(connect(client, server.clone(), latency, Arc::clone(&counts)));
            }
            Some(_) = connections.join_next() => {}
            Ok(()) = cut.changed() => if *cut.borrow_and_update() {
                connections.shutdown().await;
            },
        }
    }
}

/// Passes on in both directions until either end breaks or both have said all.
async fn connect(client: TcpStream, server: String, latency: Duration, counts: Arc<Counts>) -> io::Result<()> {
    let open = Instant::now() + latency;
    let server = TcpStream::connect(server).await?;
    // small pieces must not wait for acknowledgements
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    tokio::try_join!(
        pass(client_in, server_out, open, latency / 2, &counts.sent),
        pass(server_in, client_out, open, latency / 2, &counts.received),
    )?;
    Ok(())
}

/// Passes on in one direction: what is read now is written after `delay`, and no earlier than that after `open`.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, open: Instant, delay: Duration, count: &AtomicU64) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY);
    let reading = async {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let len = from.read_buf(&mut piece).await?;
            if len == 0 {
                // dropping the sender tells the writing side
                drop(sender);
                return Ok(());
            }
            count.fetch_add(len as u64, Relaxed);
            if sender.send((Instant::now().max(open) + delay, piece.freeze())).await.is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = receiver.recv().await {
            if !delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says back whatever it hears.
    async fn echo() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn bytes_come_back_late_and_are_counted() {
        let latency = Duration::from_millis(60);
        let tunnel = Tunnel::open(echo().await, latency).await.expect("a tunnel");
        let mut stream = TcpStream::connect(tunnel.address()).await.expect("a connection");
        let mut times = Vec::new();
        for _ in 0..3 {
            let begin = Instant::now();
            stream.write_all(b"hello").await.expect("written");
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.expect("read");
            assert_eq!(&answer, b"hello");
            times.push(begin.elapsed());
        }
        // the first waits for the connection as well
        assert!(times[0] >= 2 * latency && times[1] >= latency && times[2] >= latency, "{times:?}");
        assert_eq!((tunnel.connections(), tunnel.sent(), tunnel.received()), (1, 15, 15));
    }

    #[tokio::test]
    async fn a_cut_breaks_what_is_and_what_comes_until_it_is_mended() {
        let tunnel = Tunnel::open(echo().await, Duration::ZERO).await.expect("a tunnel");
        let mut said = [0; 2];
        let mut stream = TcpStream::connect(tunnel.address()).await.expect("a connection");
        stream.write_all(b"ab").await.expect("written");
        stream.read_exact(&mut said).await.expect("read");
        tunnel.cut();
        assert!(!matches!(stream.read(&mut said).await, Ok(1..)));
        let mut late = TcpStream::connect(tunnel.address()).await.expect("the system accepts");
        assert!(!matches!(late.read(&mut said).await, Ok(1..)));
        tunnel.mend();
        let mut again = TcpStream::connect(tunnel.address()).await.expect("a connection");
        again.write_all(b"cd").await.expect("written");
        assert!(again.read_exact(&mut said).await.is_ok() && &said == b"cd");
    }

    #[tokio::test]
    async fn the_end_of_one_direction_leaves_the_other() {
        let tunnel = Tunnel::open(echo().await, Duration::ZERO).await.expect("a tunnel");
        let mut stream = TcpStream::connect(tunnel.address()).await.expect("a connection");
        let large = vec![7; 3 << 20];
        let (mut from, mut to) = stream.split();
        let writing = async {
            to.write_all(&large).await?;
            to.shutdown().await
        };
        let mut answer = Vec::new();
        let (read, written) = tokio::join!(from.read_to_end(&mut answer), writing);
        assert!(read.is_ok() && written.is_ok() && answer == large);
        assert_eq!(tunnel.sent(), large.len() as u64);
    }
}
