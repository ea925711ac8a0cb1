//! `dth explain`: why one object or image was or was not copied.

use dth_proto::{
    id::TaskName,
    units,
    view::{Explanation, Found},
    wire,
};

use super::{
    Caller, CommandError, cell,
    table::{Align, Column, Table},
};
use crate::exit;

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, key: &str) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let explanation = session
        .call(|client| {
            let (task, key) = (task.clone(), key.to_owned());
            async move { client.explain(wire::context(), task, key).await }
        })
        .await?;
    caller.output.document(&explanation)?;
    if caller.output.is_table() {
        caller.output.raw(&text(&explanation))?;
    }
    Ok(exit::OK)
}

fn text(it: &Explanation) -> String {
    const FIELDS: &[Column] = &[("", Align::Left), ("", Align::Left)];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |label: &str, value: String| rows.push(vec![label.to_owned(), value]);
    row("key", it.key.clone());
    row("goes to", cell::or_nothing(it.destination.clone()));
    row("source now", found(&it.source_now));
    row("destination now", found(&it.destination_now));
    if let Some((source, destination)) = &it.recorded {
        row("copied before", format!("{source} became {destination}"));
    }
    match &it.last {
        Some((run, item)) => {
            let reason = item.reason.clone().or_else(|| item.message.clone()).map_or_else(String::new, |why| format!(": {why}"));
            row("last record", format!("run {run}, {}: {}{reason}", cell::time(item.at), item.outcome));
        }
        None => row("last record", "none: no run acted upon it".to_owned()),
    }
    row(
        "next run",
        format!("would {}", it.next).replacen("would nothing", "would do nothing", 1).replacen("would not known", "not known", 1),
    );
    Table::bare(FIELDS).page(&rows)
}

fn found(found: &Found) -> String {
    match found {
        Found::There { size: 0, etag } => etag.clone(),
        Found::There { size, etag } => format!("{}, {etag}", units::bytes(*size)),
        Found::Missing => "not there".to_owned(),
        Found::Failed { message } => format!("does not tell: {message}"),
        Found::Unasked => "not asked".to_owned(),
    }
}
