//! `dth failures`: what failed and why, by cause and item by item.

use dth_proto::{
    failure::{FailureClass, FailureGroup, FailureItem, FailuresReply, FailuresRequest},
    id::TaskName,
    spec::Job,
    units, wire,
};
use serde::Serialize;

use super::{
    Caller, CommandError, cell,
    output::{List, Row},
    show,
    table::{Align, Column},
};
use crate::{
    exit,
    session::{Session, SessionError},
};

/// Columns of failed items; `named` is what the engine calls the name of an item.
const fn columns(named: &'static str) -> [Column; 9] {
    [
        ("CLASS", Align::Left),
        ("CODE", Align::Left),
        ("SIDE", Align::Left),
        ("OPERATION", Align::Left),
        ("TRIES", Align::Right),
        ("SIZE", Align::Right),
        ("AT", Align::Left),
        (named, Align::Left),
        ("MESSAGE", Align::Left),
    ]
}

/// An image that failed.
#[derive(Serialize)]
#[serde(transparent)]
struct FailedImage(FailureItem);

impl From<FailureItem> for FailedImage {
    fn from(item: FailureItem) -> Self {
        Self(item)
    }
}

impl Row for FailedImage {
    const COLUMNS: &'static [Column] = &columns("IMAGE");

    fn cells(&self) -> Vec<String> {
        self.0.cells()
    }
}

impl Row for FailureItem {
    const COLUMNS: &'static [Column] = &columns("KEY");

    fn cells(&self) -> Vec<String> {
        vec![
            self.class.to_string(),
            self.code.clone(),
            self.side.word().to_owned(),
            self.operation.clone(),
            self.tries.to_string(),
            units::bytes(self.size),
            cell::time(self.at),
            self.key.clone(),
            self.message.clone(),
        ]
    }
}

pub(super) async fn run(
    caller: &mut Caller<'_>,
    task: &TaskName,
    run: Option<u32>,
    class: Option<FailureClass>,
) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let first = ask(&mut session, task, &FailuresRequest { run, class, after: None, limit: wire::PAGE }).await?;
    for line in causes(&first.groups, class) {
        caller.output.line(&line)?;
    }
    // only a table looks different
    let images = caller.output.is_table() && matches!(show::detail(&mut session, task).await?.spec.job, Job::Image(_));
    if images {
        pages::<FailedImage>(&mut session, caller.output.list(), task, class, first).await
    } else {
        pages::<FailureItem>(&mut session, caller.output.list(), task, class, first).await
    }
}

async fn ask(session: &mut Session, task: &TaskName, request: &FailuresRequest) -> Result<FailuresReply, SessionError> {
    session
        .call(|client| {
            let (task, request) = (task.clone(), request.clone());
            async move { client.failures(wire::context(), task, request).await }
        })
        .await
}

async fn pages<R: Row + From<FailureItem>>(
    session: &mut Session,
    mut list: List<'_, '_, R>,
    task: &TaskName,
    class: Option<FailureClass>,
    mut reply: FailuresReply,
) -> Result<u8, CommandError> {
    loop {
        let rows: Vec<R> = reply.items.into_iter().map(R::from).collect();
        list.page(&rows)?;
        // a run that begins between two pages must not change what is listed
        let (run, Some(after)) = (Some(reply.run), reply.next) else { break };
        reply = ask(session, task, &FailuresRequest { run, class, after: Some(after), limit: wire::PAGE }).await?;
    }
    list.finish()?;
    Ok(exit::OK)
}

/// One line per cause with its hint, then an empty line; nothing when nothing failed.
fn causes(groups: &[FailureGroup], class: Option<FailureClass>) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups.iter().filter(|g| class.is_none_or(|c| c == g.class)) {
        let FailureGroup { class, code, side, operation, count, prefix, .. } = group;
        let under = if prefix.is_empty() { String::new() } else { format!(" under {prefix}") };
        lines.push(format!("{}: {class}, {code} from the {} on {operation}{under}", cell::plural(*count, "item"), side.word()));
        lines.extend(group.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use dth_proto::{failure::Side, time::Timestamp};

    use super::*;

    fn group(class: FailureClass, count: u64, prefix: &str, hint: Option<&str>) -> FailureGroup {
        FailureGroup {
            class,
            code: "AccessDenied".to_owned(),
            side: Side::Source,
            operation: "GetObject".to_owned(),
            count,
            first: Timestamp(0),
            last: Timestamp(0),
            prefix: prefix.to_owned(),
            message: "no".to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn causes_come_with_their_hints() {
        let groups = [
            group(FailureClass::Auth, 1_204, "audit/", Some("the credential likely lacks s3:GetObject")),
            group(FailureClass::Changed, 1, "", None),
        ];
        assert_eq!(
            causes(&groups, None),
            [
                "1,204 items: auth, AccessDenied from the source on GetObject under audit/",
                "  hint: the credential likely lacks s3:GetObject",
                "1 item: changed, AccessDenied from the source on GetObject",
                "",
            ]
        );
        assert_eq!(causes(&groups, Some(FailureClass::Changed)).len(), 2);
        assert!(causes(&groups, Some(FailureClass::Throttled)).is_empty());
        assert!(causes(&[], None).is_empty());
    }
}
