//! The long poll: answer when something changed, but not more often than the client wants, and not later than it can wait.

use std::time::Duration;

use dth_proto::{
    error::ApiError,
    watch::{WatchReply, WatchRequest},
    wire::MAX_WAIT,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::board::Board;
use crate::{event::EventLog, task::Handle};

/// Answers one `watch`.
///
/// # Errors
/// `ShuttingDown` when the daemon is stopping.
pub async fn watch(board: &Board, events: &EventLog, tasks: &Handle, request: WatchRequest) -> Result<WatchReply, ApiError> {
    let asked = Instant::now();
    let deadline = asked + Duration::from_millis(request.max_wait_ms.into()).min(MAX_WAIT);
    let earliest = (asked + Duration::from_millis(request.min_interval_ms.into())).min(deadline);
    let mut changed = board.subscribe();
    changed.mark_unchanged();
    let known = request.epoch.as_ref() == Some(board.epoch());
    if known {
        while !board.news(request.epoch.as_ref(), request.seq) {
            // an error means that the board is gone, and with it the daemon
            if !matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        sleep_until(earliest).await;
    }
    let mut reply = board.since(request.epoch.as_ref(), request.seq);
    if let Some(name) = request.focus {
        // a focus on a task that was just deleted is no error: the row's removal is in the answer
        reply.focus = tasks.detail(name).await.ok();
    }
    reply.events_head = events.head();
    reply.held_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
    Ok(reply)
}
