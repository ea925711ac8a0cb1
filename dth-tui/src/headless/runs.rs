//! `dth runs`: the history of a task.

use dth_proto::{id::TaskName, units, view::RunView, wire};

use super::{
    Caller, CommandError, cell,
    output::Row,
    table::{Align, Column},
};
use crate::exit;

impl Row for RunView {
    const COLUMNS: &'static [Column] = &[
        ("RUN", Align::Right),
        ("KIND", Align::Left),
        ("OUTCOME", Align::Left),
        ("STARTED", Align::Left),
        ("TOOK", Align::Right),
        ("LISTED", Align::Right),
        ("SAME", Align::Right),
        ("COPIED", Align::Right),
        ("PLANNED", Align::Right),
        ("SKIPPED", Align::Right),
        ("DELETED", Align::Right),
        ("FAILED", Align::Right),
        ("PENDING", Align::Right),
        ("BYTES", Align::Right),
        ("RATE", Align::Right),
        ("CAUSE", Align::Left),
    ];

    fn cells(&self) -> Vec<String> {
        let c = &self.counters;
        let mut cells = vec![
            self.run.to_string(),
            self.kind.word().to_owned(),
            cell::outcome(self).to_owned(),
            cell::or_nothing(self.started.map(cell::time)),
            cell::seconds(self.duration_s),
        ];
        cells.extend([c.listed, c.same, c.copied, c.planned, c.skipped, c.deleted, c.failed, c.pending].map(units::grouped));
        cells.extend([units::bytes(c.bytes_copied), units::rate(self.bytes_per_s), self.cause.clone()]);
        cells
    }
}

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let mut list = caller.output.list();
    let mut before = None;
    loop {
        let page = session
            .call(|client| {
                let task = task.clone();
                async move { client.runs(wire::context(), task, before, wire::PAGE).await }
            })
            .await?;
        list.page(&page)?;
        // a page may be shorter than asked for; only an empty one is the end
        match page.last() {
            Some(last) if last.run > 1 => before = Some(last.run),
            _ => break,
        }
    }
    list.finish()?;
    Ok(exit::OK)
}
