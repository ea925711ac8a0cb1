//! `dth doctor`: the daemon tries what a store does, and we tell what it found.

use dth_proto::{
    doctor::{DoctorReply, Probe},
    service::DthClient,
    spec::Store,
    wire,
};

use super::{
    Caller, CommandError,
    follow::{self, Progress, Question},
    output::Row,
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

impl Progress for DoctorReply {
    type Row = Probe;

    fn ended(&self) -> &[Probe] {
        &self.probes
    }

    fn is_done(&self) -> bool {
        self.done
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
    let poll = async |client: DthClient, ask: Question| client.doctor_poll(ask.context, job, ask.seen, ask.max_wait_ms).await;
    let reply: DoctorReply = follow::job(caller, &mut session, poll).await?;
    if caller.output.is_table() {
        caller.output.raw(&conclusion(&reply))?;
    }
    Ok(if reply.failure.is_none() && reply.left.is_empty() { exit::OK } else { exit::FAILED })
}

/// What follows from the findings.
fn conclusion(reply: &DoctorReply) -> String {
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
