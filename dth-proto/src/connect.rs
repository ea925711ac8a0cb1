//! From an address to a client of the service.

use std::{io, path::PathBuf};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};

use crate::{
    address::Address,
    handshake::{self, HandshakeError, Hello, Welcome},
    service::DthClient,
    ssh, wire,
};

/// An open connection. It does not come back by itself: when a call answers with a transport error, connect again.
pub struct Connection {
    /// Makes the calls.
    pub client: DthClient,
    /// What the handshake settled.
    pub welcome: Welcome,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No daemon listens there.
    #[error("cannot reach dthd at {path}: {source}; is it running? (start one with: dthd run)")]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// ssh did not start.
    #[error("{0}")]
    SshStart(io::Error),
    /// ssh started, but no daemon answered behind it.
    #[error("cannot reach dthd on {host}: {why}; does `ssh {host} dthd --version` work there?")]
    Ssh {
        /// The host.
        host: String,
        /// What ssh said, or else what went wrong.
        why: String,
    },
    /// Something listens there that does not answer as a daemon does.
    #[error("{path} does not answer as dthd does: {source}; is it the socket of a dthd?")]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// What came instead.
        source: HandshakeError,
    },
    /// The daemon said no, in its words.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// Connects and shakes hands. `name` is what the daemon logs (`dth/0.1.0`); `batch`: ssh must not ask questions.
///
/// # Errors
/// See [`ConnectError`]; every message names the place and the way out.
pub async fn connect(address: &Address, name: &str, batch: bool) -> Result<Connection, ConnectError> {
    match address {
        Address::Unix(path) => {
            let io = UnixStream::connect(path).await.map_err(|source| ConnectError::Unix { path: path.clone(), source })?;
            over(io, name).await.map_err(|error| match error {
                refused @ HandshakeError::Refused { .. } => refused.into(),
                source => ConnectError::Stranger { path: path.clone(), source },
            })
        }
        Address::Ssh(target) => {
            let io = ssh::spawn(target, batch).map_err(ConnectError::SshStart)?;
            let mut said = io.said();
            match over(io, name).await {
                Ok(connection) => Ok(connection),
                Err(refused @ HandshakeError::Refused { .. }) => Err(refused.into()),
                Err(other) => {
                    said.ended().await;
                    let text = said.text();
                    let why = if text.is_empty() { other.to_string() } else { text };
                    Err(ConnectError::Ssh { host: target.host.clone(), why })
                }
            }
        }
    }
}

/// Shakes hands over an open byte stream and starts the client on it.
///
/// # Errors
/// See [`HandshakeError`].
pub async fn over<S>(mut io: S, name: &str) -> Result<Connection, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let welcome = handshake::connect(&mut io, &Hello::ours(name)).await?;
    let client = DthClient::new(tarpc::client::Config::default(), wire::transport(io)).spawn();
    Ok(Connection { client, welcome })
}
