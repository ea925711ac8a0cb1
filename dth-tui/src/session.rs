//! A conversation with the daemon that survives a lost connection, or says why it cannot.

use std::{future::Future, time::Duration};

use dth_proto::{
    address::Address,
    connect::{ConnectError, Connection, connect},
    error::{ApiError, ErrorCode},
    handshake::{HandshakeError, Welcome},
    id::RequestId,
    service::DthClient,
};
use tarpc::client::RpcError;
use tokio::time::{Instant, sleep_until};

/// What the daemon logs about us.
pub const NAME: &str = concat!("dth/", env!("CARGO_PKG_VERSION"));

/// First and longest pause between two tries to connect again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// An open connection and what is needed to open it again.
pub struct Session {
    address: Address,
    batch: bool,
    connection: Connection,
}

/// Why a request has no answer of the kind hoped for.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No daemon there, or none that we can talk to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, and once more after it was made again.
    #[error("lost the connection to dthd at {address}: {why}; is it being restarted?")]
    Lost {
        /// Where.
        address: Address,
        /// What was seen of it.
        why: String,
    },
    /// It is connected and does not answer.
    #[error("dthd at {address} did not answer in time; the link may be slow, or the daemon busy: try again")]
    Slow {
        /// Where.
        address: Address,
    },
    /// The daemon's own answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl SessionError {
    /// The daemon could not be asked, as opposed to: it said no.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lost { .. } | Self::Slow { .. } => true,
            Self::Api(error) => error.code == ErrorCode::ShuttingDown,
        }
    }

    /// Trying again later may help without anyone doing something about it.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Handshake(HandshakeError::Refused { code, .. })) => code == "busy",
            Self::Connect(ConnectError::Stranger { source: HandshakeError::NotDth(_), .. } | ConnectError::SshStart(_)) => false,
            other => other.is_unreachable(),
        }
    }
}

impl Session {
    /// Connects and shakes hands. `batch`: ssh must not ask for a password.
    ///
    /// # Errors
    /// [`SessionError::Connect`].
    pub async fn open(address: Address, batch: bool) -> Result<Self, SessionError> {
        let connection = connect(&address, NAME, batch).await?;
        Ok(Self { address, batch, connection })
    }

    /// What the handshake settled.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.connection.welcome
    }

    /// Where the daemon is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Makes a call; when its answer is lost, connects again and makes it once more. What changes something must carry one [`RequestId`] for
    /// both tries, so that the second is harmless: see [`Session::change`].
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn call<T, F>(&mut self, request: impl Fn(DthClient) -> F) -> Result<T, SessionError>
    where
        F: Future<Output = Result<Result<T, ApiError>, RpcError>>,
    {
        match self.call_once(&request).await {
            Err(SessionError::Lost { .. }) => {
                self.reopen().await?;
                self.call_once(&request).await
            }
            answer => answer,
        }
    }

    /// [`Session::call`] of something that is to happen once: the request gets an id of its own, the same for both tries.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn change<T, F>(&mut self, request: impl Fn(DthClient, RequestId) -> F) -> Result<T, SessionError>
    where
        F: Future<Output = Result<Result<T, ApiError>, RpcError>>,
    {
        let id = RequestId::random();
        self.call(|client| request(client, id.clone())).await
    }

    /// [`Session::call`] that goes on trying, with growing pauses, until `deadline` (`None`: for ever). `lost` is told once
    /// per interruption. The last error is the answer when the deadline comes first.
    ///
    /// # Errors
    /// See [`SessionError`]; an error that cannot pass ([`SessionError::may_pass`]) is answered at once.
    pub async fn call_patiently<T, F>(
        &mut self,
        deadline: Option<Instant>,
        mut lost: impl FnMut(&SessionError),
        request: impl Fn(DthClient) -> F,
    ) -> Result<T, SessionError>
    where
        F: Future<Output = Result<Result<T, ApiError>, RpcError>>,
    {
        let mut pause = PAUSES.0;
        let mut told = false;
        loop {
            let error = match self.call(&request).await {
                Err(error) if error.may_pass() => error,
                answer => return answer,
            };
            if !told {
                lost(&error);
                told = true;
            }
            let next = Instant::now() + pause;
            if deadline.is_some_and(|end| next >= end) {
                return Err(error);
            }
            sleep_until(next).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn call_once<T, F>(&self, request: impl Fn(DthClient) -> F) -> Result<T, SessionError>
    where
        F: Future<Output = Result<Result<T, ApiError>, RpcError>>,
    {
        match request(self.connection.client.clone()).await {
            Ok(answer) => Ok(answer?),
            Err(RpcError::DeadlineExceeded) => Err(SessionError::Slow { address: self.address.clone() }),
            Err(error) => Err(SessionError::Lost { address: self.address.clone(), why: chain(&error) }),
        }
    }

    async fn reopen(&mut self) -> Result<(), SessionError> {
        self.connection = connect(&self.address, NAME, self.batch).await?;
        Ok(())
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
