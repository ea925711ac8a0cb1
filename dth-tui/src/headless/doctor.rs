//! `dth doctor`: the daemon tries what a store does, and we tell what it found.

use dth_proto::{
    doctor::{DoctorReply, Probe},
    spec::Store,
    wire,
};

use super::{
    Caller, CommandError,
    output::{Format, Row},
    table::{Align, Column},
};
use crate::{exit, sanitise::sanitise_lines};

impl Row for Probe {
    // shown as they come: titles as wide as the longest words keep the columns straight from the first line on
    const COLUMNS: &'static [Column] =
        &[("WHAT                            ", Align::Left), ("WORKS", Align::Left), ("ANSWER", Align::Left)];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.works.word().to_owned(), self.answer.clone()]
    }
}

/// 1 when the store could not be examined, or something is left in it.
pub(super) async fn run(caller: &mut Caller<'_>, store: &Store) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let job = session
        .call(|client| {
            let store = store.clone();
            async move { client.doctor_start(wire::context(), store).await }
        })
        .await?;
    let whole = caller.output.format() == Format::Json;
    let mut list = caller.output.list();
    let mut shown = 0;
    let reply = loop {
        let seen = u32::try_from(shown).unwrap_or(u32::MAX);
        let wait = wire::MAX_WAIT;
        let reply = session
            .call(|client| async move {
                let max_wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                client.doctor_poll(wire::deadline_after(wait), job, seen, max_wait_ms).await
            })
            .await?;
        let news = reply.probes.get(shown..).unwrap_or_default();
        if !whole {
            list.page(news)?;
        }
        shown = reply.probes.len().max(shown);
        if reply.done {
            break reply;
        }
    };
    if whole {
        caller.output.document(&reply)?;
    } else {
        list.finish()?;
        caller.output.raw(&conclusion(&reply, caller.output.is_table()))?;
    }
    Ok(if reply.failure.is_none() && reply.left.is_empty() { exit::OK } else { exit::FAILED })
}

/// What follows from the findings; nothing for programs that read lines.
fn conclusion(reply: &DoctorReply, table: bool) -> String {
    if !table {
        return String::new();
    }
    let mut text = String::new();
    if let Some(why) = &reply.failure {
        text.push_str(&format!("\nthe examination ended early: {why}\n"));
    }
    for left in &reply.left {
        text.push_str(&format!("\nleft in the bucket: {left}\n"));
    }
    if let Some(profile) = &reply.profile {
        text.push_str(&format!(
            "\n{} requests; as a profile, for the file that [providers] of dthd.toml names:\n\n{profile}",
            reply.requests
        ));
    }
    if !reply.differs.is_empty() {
        text.push_str("\nother than the profile it was examined with:\n");
        for (key, before, found) in &reply.differs {
            text.push_str(&format!("  {key}: {before} there, {found} found\n"));
        }
    }
    sanitise_lines(&text).into_owned()
}
