//! One connection: who is it, the handshake, then requests until either side ends it.

use std::{future::Future, pin::pin, time::Duration};

use dth_proto::{
    PROTOCOL_MAX, PROTOCOL_MIN,
    handshake::{self, HandshakeError, Hello, PATIENCE, Welcome},
    id::Epoch,
    service::Dth,
    wire,
};
use futures::{StreamExt, stream::FuturesUnordered};
use tarpc::{
    ClientMessage,
    server::{BaseChannel, Channel, Config},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Gate,
    role::{Identity, Role, role},
};
use crate::{config::Access, shutdown::Shutdown};

/// Requests of one connection at the same time; tarpc answers those over it with `WouldBlock`.
const MAX_REQUESTS: usize = 16;
/// How long a draining connection waits for the requests it has.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the answers of a draining connection get to be written once the last handler is done.
const FLUSH: Duration = Duration::from_millis(200);

/// The process at the other end of a unix socket, as the kernel knows it (SO_PEERCRED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id, where the system tells.
    pub pid: Option<i32>,
}

/// Who a connection belongs to; fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Login name, or the number as text.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// The protocol both sides speak.
    pub protocol: u32,
}

/// What every connection needs to be let in.
#[derive(Clone, Debug)]
pub struct Door {
    /// Who may do what, now; a change counts for new connections.
    pub access: watch::Receiver<Access>,
    /// User id of this process.
    pub daemon_uid: u32,
    /// This start of the daemon.
    pub epoch: Epoch,
    /// Ends connections.
    pub shutdown: Shutdown,
}

/// Why a connection ended before its first request.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Neither operator nor viewer.
    #[error("user {user} (uid {uid}) is neither operator nor viewer")]
    Denied {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// The protocol ranges do not meet.
    #[error("{0}")]
    Version(String),
    /// The user could not be looked up.
    #[error("the lookup of uid {0} did not come back")]
    Lookup(u32),
}

/// Serves one connection until the client ends it or the daemon has drained. Handlers run within this future, so that a
/// panic in one ends this connection and no other; spawn it.
///
/// # Errors
/// When the client was not let in; it has been told why, as far as it listens.
pub async fn serve_connection<S, A>(mut io: S, peer: Peer, door: Door, make_api: impl FnOnce(Session) -> A) -> Result<(), SessionError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Dth + Clone,
{
    let session = greet(&mut io, peer, &door).await?;
    tracing::debug!(user = session.user, uid = session.uid, pid = peer.pid, role = session.role.word(), "connected");
    let transport = wire::transport(io).map(|message| message.map(clamp));
    let channel = BaseChannel::new(Config::default(), transport).max_concurrent_requests(MAX_REQUESTS);
    let gate = Gate::new(make_api(session.clone()).serve(), session, door.shutdown.clone());
    drive(channel.execute(gate), &door.shutdown).await;
    Ok(())
}

/// Runs handlers as requests come. While draining it goes on, because the same stream writes the answers, until no
/// handler is left or [`DRAIN`] is over; what remains is then dropped.
async fn drive<F: Future<Output = ()>>(requests: impl futures::Stream<Item = F>, shutdown: &Shutdown) {
    let mut requests = pin!(requests);
    let mut handlers = FuturesUnordered::new();
    let mut deadline: Option<Instant> = None;
    let mut last_answers = false;
    loop {
        tokio::select! {
            request = requests.next() => match request {
                Some(handler) => handlers.push(handler),
                None => return,
            },
            Some(()) = handlers.next(), if !handlers.is_empty() => {}
            () = shutdown.draining(), if deadline.is_none() => deadline = Some(Instant::now() + DRAIN),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return,
            () = shutdown.now() => return,
        }
        if deadline.is_some() && handlers.is_empty() && !last_answers {
            last_answers = true;
            deadline = deadline.map(|d| d.min(Instant::now() + FLUSH));
        }
    }
}

/// tarpc keeps deadlines in a queue that panics on one more than 2.2 years ahead.
fn clamp<T>(message: ClientMessage<T>) -> ClientMessage<T> {
    match message {
        ClientMessage::Request(mut request) => {
            request.context.deadline = wire::clamp_deadline(request.context.deadline);
            ClientMessage::Request(request)
        }
        other => other,
    }
}

/// The server's half of the handshake. Nothing a stranger sends gets further than this.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, peer: Peer, door: &Door) -> Result<Session, SessionError> {
    let line = timeout(PATIENCE, handshake::read_line(io)).await.map_err(|_| HandshakeError::Silent)??;
    let Some(hello) = Hello::parse(&line) else {
        let stranger = HandshakeError::NotDth(line.chars().take(80).collect());
        refuse(io, "hello", "this is dthd: begin with \"DTH 1 proto=MIN..MAX name=NAME\"").await;
        return Err(stranger.into());
    };
    let version = env!("CARGO_PKG_VERSION");
    let protocol = match handshake::negotiate(&hello, PROTOCOL_MIN, PROTOCOL_MAX, version) {
        Ok(protocol) => protocol,
        Err(say) => {
            refuse(io, "version", &say).await;
            return Err(SessionError::Version(say));
        }
    };
    let identity = tokio::task::spawn_blocking(move || Identity::lookup(peer.uid, peer.gid));
    let identity = timeout(PATIENCE, identity).await.ok().and_then(Result::ok).ok_or(SessionError::Lookup(peer.uid))?;
    let role = role(&identity, &door.access.borrow(), door.daemon_uid);
    let Identity { uid, gid, user, .. } = identity;
    let Some(role) = role else {
        let say = format!("{user} may not use this dthd: ask for a place in [access] of its dthd.toml");
        refuse(io, "denied", &say).await;
        return Err(SessionError::Denied { user, uid });
    };
    let welcome =
        Welcome { protocol, name: format!("dthd/{version}"), boot: door.epoch.0.clone(), user: user.clone(), role: role.word().to_owned() };
    let written = timeout(PATIENCE, handshake::write_line(io, &welcome.line())).await;
    written.map_err(|_| HandshakeError::Silent)??;
    Ok(Session { uid, gid, user, role, protocol })
}

/// Says no; a client that does not listen is not waited for.
async fn refuse<S: AsyncWrite + Unpin>(io: &mut S, code: &str, say: &str) {
    let line = handshake::refusal(code, say);
    if !matches!(timeout(PATIENCE, handshake::write_line(io, &line)).await, Ok(Ok(()))) {
        tracing::debug!(code, "the client did not hear the refusal");
    }
}

#[cfg(test)]
mod tests;
