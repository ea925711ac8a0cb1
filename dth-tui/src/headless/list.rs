//! `dth list`: tasks as rows.

use dth_proto::{
    service::DthClient,
    units,
    view::TaskView,
    watch::{Mirror, WatchRequest},
    wire,
};

use super::{
    Caller, CommandError, cell,
    output::Row,
    table::{Align, Column},
};
use crate::{
    exit,
    filter::Filter,
    session::{Session, SessionError},
};

impl Row for TaskView {
    const COLUMNS: &'static [Column] = &[
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("DONE", Align::Right),
        ("RATE", Align::Right),
        ("ETA", Align::Right),
        ("FAILED", Align::Right),
        ("NEXT", Align::Left),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("NOTE", Align::Left),
    ];

    fn cells(&self) -> Vec<String> {
        let run = self.run.as_ref();
        vec![
            self.name.to_string(),
            self.word.clone(),
            cell::or_nothing(run.map(cell::progress)),
            cell::or_nothing(cell::rate(self)),
            cell::or_nothing(cell::eta(self)),
            cell::or_nothing(run.map(|r| units::grouped(r.counters.failed))),
            cell::or_nothing(self.next_run.map(cell::time)),
            self.from.clone(),
            self.to.clone(),
            self.note.clone(),
        ]
    }
}

pub(super) async fn run(caller: &mut Caller<'_>, filter: &str) -> Result<u8, CommandError> {
    let filter = Filter::parse(filter)?;
    let mut session = caller.connect().await?;
    let mirror = snapshot(&mut session).await?;
    let mut list = caller.output.list();
    list.page(mirror.tasks.values().filter(|task| filter.matches(task)))?;
    list.finish()?;
    Ok(exit::OK)
}

/// The daemon's state now, all pages of it.
pub(super) async fn snapshot(session: &mut Session) -> Result<Mirror, SessionError> {
    let mut mirror = Mirror::default();
    loop {
        // at once, whether or not there is news
        let request = WatchRequest { epoch: mirror.epoch.clone(), seq: mirror.seq, ..WatchRequest::default() };
        let ask = |client: DthClient| {
            let request = request.clone();
            async move { client.watch(wire::context(), request).await }
        };
        let reply = session.call(ask).await?;
        mirror.apply(&reply);
        // a full page: there may be more
        if reply.changed.len() < wire::PAGE as usize {
            return Ok(mirror);
        }
    }
}
