//! `dth list`: tasks as rows.

use dth_proto::{
    units,
    view::TaskView,
    watch::{Mirror, WatchReply, WatchRequest},
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
    let (mirror, _) = snapshot(&mut session).await?;
    let mut list = caller.output.list();
    list.page(mirror.tasks.values().filter(|task| filter.matches(task)))?;
    list.finish()?;
    Ok(exit::OK)
}

/// The daemon's state now, and its last answer.
pub(super) async fn snapshot(session: &mut Session) -> Result<(Mirror, WatchReply), SessionError> {
    let reply = session.call(|client| async move { client.watch(wire::context(), WatchRequest::default()).await }).await?;
    let mut mirror = Mirror::default();
    mirror.apply(&reply);
    Ok((mirror, reply))
}
