//! `dth watch`: a line for every task that changes.

use std::collections::BTreeMap;

use dth_proto::{
    id::TaskName,
    service::DthClient,
    units,
    view::TaskView,
    watch::{Mirror, WatchRequest},
    wire,
};

use super::{
    Caller, CommandError, cell,
    output::{Format, Row},
    table::Table,
};
use crate::{sanitise::sanitise, session::SessionError};

/// Shortest time between two lines of one task, in milliseconds: what people can read.
const INTERVAL_MS: u32 = 1_000;

/// Ends only with an error, which may be that the reader went away.
pub(super) async fn run(caller: &mut Caller<'_>, plain: bool) -> Result<u8, CommandError> {
    let style = match caller.output.format() {
        Format::Json => {
            return Err(CommandError::Usage("watch has no end and cannot be one JSON document: use -o ndjson".to_owned()));
        }
        Format::Ndjson => Style::Json,
        Format::Table if plain => Style::Sentences,
        Format::Table => Style::Columns(Table::new(TaskView::COLUMNS)),
    };
    let mut session = caller.connect().await?;
    let mut lines = Lines { style, shown: BTreeMap::new() };
    let mut mirror = Mirror::default();
    loop {
        let request = WatchRequest {
            epoch: mirror.epoch.clone(),
            seq: mirror.seq,
            min_interval_ms: INTERVAL_MS,
            max_wait_ms: wire::millis(wire::MAX_WAIT),
            focus: None,
        };
        let lost = |error: &SessionError| {
            // watching goes on whether or not somebody reads this
            let _ = writeln!(caller.err, "{}", super::lost(error));
        };
        let ask = |client: DthClient| {
            let request = request.clone();
            async move { client.watch(wire::deadline_after(wire::MAX_WAIT), request).await }
        };
        let reply = session.call_patiently(None, lost, ask).await?;
        if mirror.apply(&reply) {
            let text = lines.changed(&mirror.tasks);
            caller.output.raw(&text)?;
            caller.output.flush()?;
        }
    }
}

enum Style {
    Columns(Table),
    Sentences,
    Json,
}

/// What the reader has seen of each task.
struct Lines {
    style: Style,
    shown: BTreeMap<TaskName, String>,
}

impl Lines {
    /// The lines of the tasks that look different from what the reader has seen, and of those that are gone.
    fn changed(&mut self, tasks: &BTreeMap<TaskName, TaskView>) -> String {
        let mut text = String::new();
        let gone: Vec<_> = self.shown.keys().filter(|name| !tasks.contains_key(*name)).cloned().collect();
        for name in gone {
            self.shown.remove(&name);
            text.push_str(&match &mut self.style {
                Style::Columns(table) => table.page(&[vec![name.to_string(), "deleted".to_owned()]]),
                Style::Sentences => format!("{name}: deleted\n"),
                Style::Json => format!("{}\n", serde_json::json!({ "name": name, "removed": true })),
            });
        }
        for task in tasks.values() {
            let look = match self.style {
                Style::Columns(_) => task.cells().join("\t"),
                Style::Sentences => sentence(task),
                // plain data with text keys always serialises
                Style::Json => serde_json::to_string(task).unwrap_or_default(),
            };
            if self.shown.get(&task.name) == Some(&look) {
                continue;
            }
            match &mut self.style {
                Style::Columns(table) => text.push_str(&table.page(&[task.cells()])),
                Style::Sentences | Style::Json => text.extend([look.as_str(), "\n"]),
            }
            self.shown.insert(task.name.clone(), look);
        }
        text
    }
}

/// `photos-cn: running, 37% done, 1.25 GB/s, 9h 08m left, 2 items failed. from the note`.
fn sentence(task: &TaskView) -> String {
    let mut parts = vec![task.word.clone()];
    if let Some(run) = &task.run {
        if run.outcome.is_none() {
            parts.push(match cell::progress(run).as_str() {
                share if share.ends_with('%') => format!("{share} done"),
                _ => format!("{} listed", cell::plural(run.counters.listed, "item")),
            });
        }
        parts.extend(cell::rate(task));
        parts.extend(cell::eta(task).map(|left| format!("{left} left")));
        if run.outcome.is_some() {
            parts.push(format!("{} copied in run {}", units::bytes(run.counters.bytes_copied), run.run));
        }
        if run.counters.failed > 0 {
            parts.push(format!("{} failed", cell::plural(run.counters.failed, "item")));
        }
    }
    if !task.note.is_empty() {
        parts.push(task.note.clone());
    }
    sanitise(&format!("{}: {}", task.name, parts.join(", "))).into_owned()
}
