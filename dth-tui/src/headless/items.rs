//! `dth items`: the record of every item acted upon.

use dth_proto::{
    id::TaskName,
    units,
    view::{ItemView, ItemsRequest},
    wire,
};

use super::{
    Caller, CommandError, cell,
    output::Row,
    table::{Align, Column},
};
use crate::exit;

/// Which records are asked for.
pub(super) struct Which {
    /// `None`: the last run.
    pub(super) run: Option<u32>,
    /// `None`: all.
    pub(super) outcome: Option<String>,
    /// `None`: all.
    pub(super) prefix: Option<String>,
}

impl Row for ItemView {
    const COLUMNS: &'static [Column] = &[
        ("OUTCOME", Align::Left),
        ("SIZE", Align::Right),
        ("TRIES", Align::Right),
        ("AT", Align::Left),
        ("REASON", Align::Left),
        ("VERIFIED", Align::Left),
        ("KEY", Align::Left),
        ("MESSAGE", Align::Left),
    ];

    fn cells(&self) -> Vec<String> {
        let reason = self.reason.clone().or_else(|| self.class.map(|class| class.to_string()));
        vec![
            self.outcome.clone(),
            units::bytes(self.size),
            self.tries.to_string(),
            cell::time(self.at),
            cell::or_nothing(reason),
            cell::or_nothing(self.verified.clone()),
            self.key.clone(),
            self.message.clone().unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, which: &Which) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let mut list = caller.output.list();
    let mut request =
        ItemsRequest { run: which.run, outcome: which.outcome.clone(), prefix: which.prefix.clone(), after: None, limit: wire::PAGE };
    loop {
        let reply = session
            .call(|client| {
                let (task, request) = (task.clone(), request.clone());
                async move { client.items(wire::context(), task, request).await }
            })
            .await?;
        list.page(&reply.items)?;
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
