//! `dth items`: the record of every item acted upon.

use dth_proto::{
    id::TaskName,
    spec::Job,
    units,
    view::{ItemView, ItemsRequest},
    wire,
};
use serde::Serialize;

use super::{
    Caller, CommandError, cell,
    output::{List, Row},
    show,
    table::{Align, Column},
};
use crate::{exit, session::Session};

/// Which records are asked for.
pub(super) struct Which {
    /// `None`: the last run.
    pub(super) run: Option<u32>,
    /// `None`: all.
    pub(super) outcome: Option<String>,
    /// `None`: all.
    pub(super) prefix: Option<String>,
}

/// The columns of a record; what proves the copy and what the item is called are words of the engine.
const fn columns(proof: &'static str, name: &'static str) -> [Column; 8] {
    [
        ("OUTCOME", Align::Left),
        ("SIZE", Align::Right),
        ("TRIES", Align::Right),
        ("AT", Align::Left),
        ("REASON", Align::Left),
        (proof, Align::Left),
        (name, Align::Left),
        ("MESSAGE", Align::Left),
    ]
}

fn cells(item: &ItemView, proof: Option<String>) -> Vec<String> {
    let reason = item.reason.clone().or_else(|| item.class.map(|class| class.to_string()));
    vec![
        item.outcome.clone(),
        units::bytes(item.size),
        item.tries.to_string(),
        cell::time(item.at),
        cell::or_nothing(reason),
        cell::or_nothing(proof),
        item.key.clone(),
        item.message.clone().unwrap_or_default(),
    ]
}

impl Row for ItemView {
    const COLUMNS: &'static [Column] = &columns("VERIFIED", "KEY");

    fn cells(&self) -> Vec<String> {
        cells(self, self.verified.clone())
    }
}

/// Digits of a digest in a table: as many as tools for images show. JSON has all of them.
const DIGITS: usize = 12;

/// The record of an image: what the other calls ETags are digests.
#[derive(Serialize)]
#[serde(transparent)]
struct ImageItem(ItemView);

impl From<ItemView> for ImageItem {
    fn from(item: ItemView) -> Self {
        Self(item)
    }
}

impl Row for ImageItem {
    const COLUMNS: &'static [Column] = &columns("DIGEST", "IMAGE");

    fn cells(&self) -> Vec<String> {
        let Self(item) = self;
        cells(item, digests(item.source_etag.as_deref(), item.destination_etag.as_deref()))
    }
}

/// The digest that both ends have, or both where the destination has an index with fewer platforms.
fn digests(source: Option<&str>, destination: Option<&str>) -> Option<String> {
    match (source, destination) {
        (Some(from), Some(to)) if from != to => Some(format!("{} -> {}", short(from), short(to))),
        (from, to) => from.or(to).map(short),
    }
}

/// `sha256:9f1c20aa45d1`.
fn short(digest: &str) -> String {
    let (algorithm, digits) = digest.split_once(':').unwrap_or(("", digest));
    let digits: String = digits.chars().take(DIGITS).collect();
    if algorithm.is_empty() { digits } else { format!("{algorithm}:{digits}") }
}

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, which: &Which) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    // only a table looks different
    let images = caller.output.is_table() && matches!(show::detail(&mut session, task).await?.spec.job, Job::Image(_));
    if images {
        pages::<ImageItem>(&mut session, caller.output.list(), task, which).await
    } else {
        pages::<ItemView>(&mut session, caller.output.list(), task, which).await
    }
}

async fn pages<R: Row + From<ItemView>>(
    session: &mut Session,
    mut list: List<'_, '_, R>,
    task: &TaskName,
    which: &Which,
) -> Result<u8, CommandError> {
    let mut request =
        ItemsRequest { run: which.run, outcome: which.outcome.clone(), prefix: which.prefix.clone(), after: None, limit: wire::PAGE };
    loop {
        let reply = session
            .call(|client| {
                let (task, request) = (task.clone(), request.clone());
                async move { client.items(wire::context(), task, request).await }
            })
            .await?;
        let rows: Vec<R> = reply.items.into_iter().map(R::from).collect();
        list.page(&rows)?;
        // a run that begins between two pages must not change what is listed
        request.run = Some(reply.run);
        match reply.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    list.finish()?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_once_unless_they_differ() {
        let (a, b) = (format!("sha256:{}", "9f".repeat(32)), format!("sha512:{}", "01".repeat(64)));
        for (source, destination, shown) in [
            (Some(&a), Some(&a), Some("sha256:9f9f9f9f9f9f")),
            (Some(&a), Some(&b), Some("sha256:9f9f9f9f9f9f -> sha512:010101010101")),
            (Some(&a), None, Some("sha256:9f9f9f9f9f9f")),
            (None, None, None),
        ] {
            assert_eq!(digests(source.map(String::as_str), destination.map(String::as_str)).as_deref(), shown);
        }
        assert_eq!((short("no digest"), short("sha256:é")), ("no digest".to_owned(), "sha256:é".to_owned()));
    }
}
