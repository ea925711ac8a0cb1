//! Frames and their limits: length-delimited JSON, and deadlines that cannot hurt the peer.

use std::time::{Duration, Instant};

use serde::{Serialize, de::DeserializeOwned};
use tarpc::context::Context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serde::formats::Json;
use tokio_util::codec::LengthDelimitedCodec;

/// Largest frame in either direction. Lists are paged so that no answer comes near it.
pub const MAX_FRAME: usize = 2 * 1024 * 1024;
/// Longest deadline a client may ask for. tarpc panics on deadlines more than 2.2 years ahead, so the server clamps what it reads.
pub const MAX_DEADLINE: Duration = Duration::from_mins(10);
/// Longest wait of a long poll.
pub const MAX_WAIT: Duration = Duration::from_mins(1);
/// Deadline of a request that does not wait: generous, because links can be slow.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Most entries in one page.
pub const PAGE: u32 = 500;

/// A transport of the service over any byte stream, after the handshake.
pub type Transport<S, Item, SinkItem> = tarpc::serde_transport::Transport<S, Item, SinkItem, Json<Item, SinkItem>>;

/// Puts frames and JSON on a byte stream.
pub fn transport<S, Item, SinkItem>(io: S) -> Transport<S, Item, SinkItem>
where
    S: AsyncRead + AsyncWrite,
    Item: DeserializeOwned,
    SinkItem: Serialize,
{
    let framed = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_framed(io);
    tarpc::serde_transport::new(framed, Json::default())
}

/// Context for a request that does not wait.
#[must_use]
pub fn context() -> Context {
    deadline_after(Duration::ZERO)
}

/// Context for a request that the server holds for up to `wait`.
#[must_use]
pub fn deadline_after(wait: Duration) -> Context {
    let mut context = tarpc::context::current();
    context.deadline = Instant::now() + (wait + DEADLINE).min(MAX_DEADLINE);
    context
}

/// A wait as requests name it, in milliseconds.
#[must_use]
pub fn millis(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

/// `deadline`, but not further away than [`MAX_DEADLINE`].
#[must_use]
pub fn clamp_deadline(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + MAX_DEADLINE)
}
