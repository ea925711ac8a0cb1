//! How everyone else talks to the owner of the tasks.

use dth_proto::{
    error::{ApiError, ErrorCode},
    failure::FailureClass,
    id::{RequestId, TaskName},
    spec::TaskSpec,
    view::{Action, History, HistoryRequest, TaskDetail, TaskView},
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::store::RunKind;

/// Commands that may wait for the owner.
const QUEUE: usize = 256;

pub(super) type Answer<T> = oneshot::Sender<Result<T, ApiError>>;

/// What the owner can be asked.
pub(super) enum Command {
    /// A mutation.
    Change { id: RequestId, by: String, change: Box<Change>, answer: Answer<TaskView> },
    /// One task in full.
    Detail { name: TaskName, answer: Answer<Box<TaskDetail>> },
    /// Rates over time.
    History { request: HistoryRequest, answer: Answer<History> },
    /// uid and number of the newest run, for reading records.
    Newest { name: TaskName, answer: Answer<(u64, u32)> },
    /// uid of a task.
    Uid { name: TaskName, answer: Answer<u64> },
    /// uid and number of the newest run that changes nothing.
    Planned { name: TaskName, answer: Answer<(u64, u32)> },
}

/// A mutation.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new task.
    Create {
        /// Its definition.
        spec: TaskSpec,
        /// Queue its first run.
        start: bool,
    },
    /// Another definition.
    Edit {
        /// The task.
        name: TaskName,
        /// Its new definition.
        spec: TaskSpec,
    },
    /// A new task with the definition of another.
    Clone {
        /// The other.
        name: TaskName,
        /// The new one.
        new: TaskName,
    },
    /// Start, pause, resume, stop, delete.
    Control {
        /// The task.
        name: TaskName,
        /// What to do.
        action: Action,
    },
    /// A run of a kind that changes nothing.
    Begin {
        /// The task.
        name: TaskName,
        /// Which kind.
        kind: RunKind,
    },
    /// A plan of a definition that is not a task.
    Plan {
        /// It.
        spec: TaskSpec,
    },
    /// Try failed items again.
    Retry {
        /// The task.
        name: TaskName,
        /// Only this class.
        class: Option<FailureClass>,
    },
}

/// Talks to the supervisor. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    ends: watch::Receiver<u64>,
}

impl Handle {
    /// `ends`: how many runs have ended.
    pub(super) fn new(ends: watch::Receiver<u64>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receive) = mpsc::channel(QUEUE);
        (Self { commands, ends }, receive)
    }

    /// Changes whenever a run has ended.
    #[must_use]
    pub fn ends(&self) -> watch::Receiver<u64> {
        self.ends.clone()
    }

    /// uid and number of the newest run that changes nothing, and whether it has ended.
    ///
    /// # Errors
    /// `NotFound` when the task does not exist or has no such run.
    pub async fn planned(&self, name: TaskName) -> Result<(u64, u32), ApiError> {
        self.ask(|answer| Command::Planned { name, answer }).await
    }

    /// Carries out a mutation in the name of `by`; answers when it is durable. Dropping the future loses the answer, not the
    /// mutation.
    ///
    /// # Errors
    /// What the rules say ([`super::state`]), or that the daemon is stopping or cannot write.
    pub async fn change(&self, id: RequestId, by: &str, change: Change) -> Result<TaskView, ApiError> {
        let by = by.to_owned();
        self.ask(|answer| Command::Change { id, by, change: Box::new(change), answer }).await
    }

    /// One task in full.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn detail(&self, name: TaskName) -> Result<Box<TaskDetail>, ApiError> {
        self.ask(|answer| Command::Detail { name, answer }).await
    }

    /// Rates over time.
    ///
    /// # Errors
    /// `NotFound` when the task does not exist.
    pub async fn history(&self, request: HistoryRequest) -> Result<History, ApiError> {
        self.ask(|answer| Command::History { request, answer }).await
    }

    /// uid of a task.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn uid(&self, name: TaskName) -> Result<u64, ApiError> {
        self.ask(|answer| Command::Uid { name, answer }).await
    }

    /// uid and number of the newest run.
    ///
    /// # Errors
    /// `NotFound` when the task does not exist or never ran.
    pub async fn newest(&self, name: TaskName) -> Result<(u64, u32), ApiError> {
        self.ask(|answer| Command::Newest { name, answer }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, ApiError> {
        let (answer, answered) = oneshot::channel();
        let stopping = || ApiError::new(ErrorCode::ShuttingDown, "the daemon is stopping").hint("connect again in a moment");
        self.commands.send(command(answer)).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

/// There is no task of that name.
#[must_use]
pub fn not_found(name: &TaskName) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no task {name}")).hint("dth list shows all tasks")
}
