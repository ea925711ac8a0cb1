//! Commands to the owner: changes are passed on, questions about tasks and their runs are answered.

use dth_proto::{
    error::{ApiError, ErrorCode},
    id::TaskName,
    view::{History as Rates, HistoryRequest},
};
use tokio::time::Instant;

use super::Supervisor;
use crate::{
    clock,
    metrics::history::History,
    task::handle::{Command, not_found},
};

impl Supervisor {
    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::Change { id, by, change, answer } => {
                let result = self.change(&id, &by, *change).await;
                self.show_all();
                // who asked may have gone; the change stands
                let _ = answer.send(result);
            }
            Command::Detail { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.detail(&name).map(Box::new).ok_or_else(|| not_found(&name)));
            }
            Command::History { request, answer } => {
                let _ = answer.send(self.rates(&request));
            }
            Command::Uid { name, answer } => {
                let _ = answer.send(self.tasks.get(&name).map(|task| task.record.uid).ok_or_else(|| not_found(&name)));
            }
            Command::Planned { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.planned(&name));
            }
            Command::Newest { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.newest(&name));
            }
        }
    }

    fn touch(&mut self, name: &TaskName) {
        if let Some(task) = self.tasks.get_mut(name) {
            task.asked = Instant::now();
        }
    }

    fn planned(&self, name: &TaskName) -> Result<(u64, u32), ApiError> {
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let mut run = task.run.as_ref().map(|run| (run.run, run.kind.writes()));
        while let Some((number, true)) = run {
            let before =
                self.store.runs(task.record.uid, Some(number), 1).map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
            run = before.first().map(|run| (run.run, run.kind.writes()));
        }
        let Some((number, _)) = run else {
            return Err(ApiError::new(ErrorCode::NotFound, format!("{name} has no plan")).hint(format!("dth plan {name}")));
        };
        Ok((task.record.uid, number))
    }

    fn newest(&self, name: &TaskName) -> Result<(u64, u32), ApiError> {
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        match task.record.last_run {
            0 => Err(ApiError::new(ErrorCode::NotFound, format!("{name} has never run")).hint(format!("dth start {name}"))),
            run => Ok((task.record.uid, run)),
        }
    }

    fn rates(&self, request: &HistoryRequest) -> Result<Rates, ApiError> {
        let now = clock::now();
        let Some(name) = &request.task else { return Ok(self.history.query(request.range_s, request.points, now)) };
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let empty = History::default();
        let history = task.active.as_ref().map_or(&empty, |a| &a.history);
        Ok(history.query(request.range_s, request.points, now))
    }
}
