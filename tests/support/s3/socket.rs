//! How a connection ends when it does not end in order: reset, in silence, or with bytes that no HTTP library would write.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// A connection, with TLS or without.
pub(crate) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// What happens to a connection when hyper lets go of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// An orderly close.
    #[default]
    Close,
    /// A reset.
    Reset,
    /// Nothing: it stays open, and nobody answers.
    Silence,
    /// These bytes, then an orderly close.
    Bytes(Bytes),
    /// These bytes, each in a packet of its own, then an orderly close.
    Trickle(Bytes),
}

/// Decides, from within the service of a connection, how the connection ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<Mutex<End>>);

impl Switch {
    /// Ends the connection: the error is what the service answers with, so that hyper lets go.
    pub fn end<T>(&self, end: End) -> io::Result<T> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    fn take(&self) -> End {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries it out.
    pub async fn carry_out(&self, mut stream: Stream) -> io::Result<()> {
        match self.take() {
            End::Close => stream.shutdown().await,
            End::Reset => match &stream {
                Either::Left(tcp) => tcp.set_zero_linger(),
                Either::Right(tls) => tls.get_ref().0.set_zero_linger(),
            },
            // ends with the server, which drops its connections
            End::Silence => std::future::pending().await,
            End::Bytes(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await
            }
            End::Trickle(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    // the peer gets its turn to read this much and no more
                    tokio::task::yield_now().await;
                }
                stream.shutdown().await
            }
        }
    }
}
