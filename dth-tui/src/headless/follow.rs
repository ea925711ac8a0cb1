//! A job of the daemon, followed by long poll until it is done: what has ended is shown as it ends.

use dth_proto::{error::ApiError, service::DthClient, wire};
use serde::Serialize;
use tarpc::{client::RpcError, context::Context};

use super::{
    Caller, CommandError,
    output::{Format, Row},
};
use crate::session::Session;

/// Where a job stands: everything so far, not only what is new.
pub(super) trait Progress: Serialize {
    /// One thing that it does.
    type Row: Row;

    /// What it has done, from the first on, that will not change any more.
    fn ended(&self) -> &[Self::Row];

    /// Nothing more will come.
    fn is_done(&self) -> bool;
}

/// What is asked about a job.
pub(super) struct Question {
    /// With the deadline.
    pub(super) context: Context,
    /// How many rows are known already.
    pub(super) seen: u32,
    /// How long the daemon may wait for more, in milliseconds.
    pub(super) max_wait_ms: u32,
}

/// Asks again and again; rows are shown as they come, or all with what else the last answer has where one JSON document is wanted. Answers
/// with the last answer.
pub(super) async fn job<P: Progress>(
    caller: &mut Caller<'_>,
    session: &mut Session,
    poll: impl AsyncFn(DthClient, Question) -> Result<Result<P, ApiError>, RpcError>,
) -> Result<P, CommandError> {
    let whole = caller.output.format() == Format::Json;
    let mut list = caller.output.list();
    let mut shown = 0;
    let reply = loop {
        let seen = u32::try_from(shown).unwrap_or(u32::MAX);
        let question = || Question { context: wire::deadline_after(wire::MAX_WAIT), seen, max_wait_ms: wire::millis(wire::MAX_WAIT) };
        let reply = session.call(|client| poll(client, question())).await?;
        let ended = reply.ended();
        if !whole {
            list.page(ended.get(shown..).unwrap_or_default())?;
        }
        shown = ended.len().max(shown);
        if reply.is_done() {
            break reply;
        }
    };
    if whole {
        caller.output.document(&reply)?;
    } else {
        list.finish()?;
    }
    Ok(reply)
}
