//! `dth log`: what happened, and what happens.

use std::io::Write;

use dth_proto::{
    event::{Event, EventsRequest, Level},
    id::TaskName,
    wire,
};

use super::{
    Caller, CommandError, cell,
    output::{Format, Row},
    table::{Align, Column},
};
use crate::exit;

/// Which events are asked for.
pub(super) struct Which {
    /// `None`: all.
    pub(super) task: Option<TaskName>,
    /// This level and above.
    pub(super) level: Level,
}

impl Row for Event {
    const COLUMNS: &'static [Column] = &[("TIME", Align::Left), ("LEVEL", Align::Left), ("TASK", Align::Left), ("MESSAGE", Align::Left)];

    fn cells(&self) -> Vec<String> {
        let task = self.task.as_ref().map(ToString::to_string);
        vec![cell::time(self.at), self.level.word().to_owned(), cell::or_nothing(task), self.message.clone()]
    }
}

pub(super) async fn run(caller: &mut Caller<'_>, which: &Which, follow: bool) -> Result<u8, CommandError> {
    if follow && caller.output.format() == Format::Json {
        return Err(CommandError::Usage("log --follow has no end and cannot be one JSON document: use -o ndjson".to_owned()));
    }
    let mut session = caller.connect().await?;
    let Caller { output, err, .. } = caller;
    let mut list = output.bare_list();
    let mut request = EventsRequest { epoch: None, after: 0, task: which.task.clone(), level: which.level, limit: wire::PAGE, wait_ms: 0 };
    loop {
        let wait = std::time::Duration::from_millis(request.wait_ms.into());
        let ask = |client: dth_proto::service::DthClient| {
            let request = request.clone();
            async move { client.events(wire::deadline_after(wait), request).await }
        };
        let reply = if request.epoch.is_none() {
            session.call(ask).await?
        } else {
            let lost = |error: &crate::session::SessionError| {
                // following goes on whether or not somebody reads this
                let _ = writeln!(err, "{}", super::lost(error));
            };
            session.call_patiently(None, lost, ask).await?
        };
        list.page(&reply.events)?;
        if !follow {
            break;
        }
        request.after = reply.next;
        request.epoch = Some(reply.epoch);
        request.wait_ms = wire::millis(wire::MAX_WAIT);
    }
    list.finish()?;
    Ok(exit::OK)
}
