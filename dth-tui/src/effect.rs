//! What an update wants done outside the model, and the hands that do it: calls to the daemon and files.

use std::path::{Path, PathBuf};

use dth_proto::{
    check::CheckReply,
    error::ApiError,
    event::{EventsReply, EventsRequest, Level},
    failure::{FailureClass, FailuresReply, FailuresRequest},
    id::{Epoch, RequestId, TaskName},
    service::DthClient,
    spec::TaskSpec,
    view::{Action, History, HistoryRequest, ProviderInfo, RunKind, TaskDetail, TaskView},
    wire,
};
use tokio::sync::{mpsc, watch};

use crate::update::Event;

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Draw, when the frame rate allows it.
    Draw,
    /// Draw at once: the user waits for it.
    DrawNow,
    /// Forget what the terminal shows and draw everything.
    DrawAll,
    /// Watch the detail of this task as well.
    Focus(Option<TaskName>),
    /// Try the connection now.
    Reconnect,
    /// Send text to the terminal's clipboard.
    Copy(String),
    /// Back to the shell until it lets us go on.
    Suspend,
    /// Leave.
    Quit,
    /// Something that answers with an [`Answer`].
    Ask(Ask),
}

/// Something that takes time and answers.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields are named as in the service's requests")]
pub enum Ask {
    /// One task in full.
    Task(TaskName),
    /// Rates over time.
    History { task: Option<TaskName>, range_s: u32, points: u32 },
    /// A page of failed items behind `after`.
    Failures { task: TaskName, after: Option<String> },
    /// Events behind a number.
    Events { epoch: Option<Epoch>, after: u64 },
    /// An action on tasks; `confirmed`: a person has typed what was asked for.
    Control { tasks: Vec<TaskName>, action: Action, confirmed: bool },
    /// A run that changes nothing.
    Begin { tasks: Vec<TaskName>, kind: RunKind },
    /// Failed items again.
    Retry { tasks: Vec<TaskName>, class: Option<FailureClass> },
    /// A new task; `confirmed`: a person has typed its name.
    Create { spec: Box<TaskSpec>, start: bool, confirmed: bool },
    /// The definition of a task, to change it.
    Definition(TaskName),
    /// Another definition for a task.
    Edit { name: TaskName, spec: Box<TaskSpec> },
    /// A preflight of a definition.
    CheckStart(Box<TaskSpec>),
    /// Where a preflight stands.
    CheckPoll { job: u64, seen: u32 },
    /// The stores that tasks can name.
    Providers,
    /// A task file in the current directory; an existing one is left alone.
    WriteFile { name: String, text: String },
}

/// What came of an [`Ask`]; errors are sentences for the user.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields repeat those of the question")]
pub enum Answer {
    /// To [`Ask::Task`].
    Task(TaskName, Result<Box<TaskDetail>, String>),
    /// To [`Ask::History`].
    History { task: Option<TaskName>, range_s: u32, result: Result<History, String> },
    /// To [`Ask::Failures`].
    Failures { task: TaskName, first: bool, result: Result<FailuresReply, String> },
    /// To [`Ask::Events`].
    Events(Result<EventsReply, String>),
    /// To [`Ask::Control`], [`Ask::Begin`] and [`Ask::Retry`]: what was done, and one outcome per task.
    Done { verb: &'static str, outcomes: Vec<(TaskName, Result<TaskView, String>)> },
    /// To [`Ask::Create`].
    Created(Result<Box<TaskView>, String>),
    /// To [`Ask::Definition`].
    Definition(Result<Box<TaskSpec>, String>),
    /// To [`Ask::Edit`].
    Edited(TaskName, Result<Box<TaskView>, String>),
    /// To [`Ask::CheckStart`].
    CheckStarted(Result<u64, String>),
    /// To [`Ask::CheckPoll`].
    CheckPolled { job: u64, result: Result<CheckReply, String> },
    /// To [`Ask::Providers`].
    Providers(Result<Vec<ProviderInfo>, String>),
    /// To [`Ask::WriteFile`].
    Written(Result<PathBuf, String>),
}

/// How long the daemon may hold a question about a preflight.
const CHECK_WAIT_MS: u32 = 10_000;
/// Items in one page of failures.
const FAILURES_PAGE: u32 = 200;
/// Events in one answer.
const EVENTS_PAGE: u32 = 500;

/// Does what takes time, each thing in a task of its own, with the client of the moment.
#[derive(Clone, Debug)]
pub struct Hands {
    client: watch::Receiver<Option<DthClient>>,
    events: mpsc::Sender<Event>,
}

impl Hands {
    /// Hands that use the connection `client` holds and answer to `events`.
    #[must_use]
    pub fn new(client: watch::Receiver<Option<DthClient>>, events: mpsc::Sender<Event>) -> Self {
        Self { client, events }
    }

    /// Begins it; the answer comes as an event.
    pub fn ask(&self, ask: Ask) {
        let client = self.client.borrow().clone();
        let events = self.events.clone();
        tokio::spawn(async move {
            let answer = perform(client, ask).await;
            // the dashboard is gone: nobody waits for the answer
            drop(events.send(Event::Answer(answer)).await);
        });
    }
}

fn plain<T>(result: Result<Result<T, ApiError>, tarpc::client::RpcError>) -> Result<T, String> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(sentence(&error)),
        Err(error) => Err(format!("the daemon did not answer: {error}")),
    }
}

fn sentence(error: &ApiError) -> String {
    let mut text = error.message.clone();
    if !error.details.is_empty() {
        text = format!("{text}: {}", error.details.join("; "));
    }
    if let Some(hint) = &error.hint {
        text = format!("{text} ({hint})");
    }
    text
}

macro_rules! call {
    ($client:expr, $method:ident($($argument:expr),*)) => {
        match &$client {
            Some(client) => plain(client.$method(wire::context(), $($argument),*).await),
            None => Err("no link to the daemon: nothing was sent".to_owned()),
        }
    };
}

async fn perform(client: Option<DthClient>, ask: Ask) -> Answer {
    match ask {
        Ask::Task(name) => Answer::Task(name.clone(), call!(client, task(name)).map(Box::new)),
        Ask::History { task, range_s, points } => {
            let request = HistoryRequest { task: task.clone(), range_s, points };
            Answer::History { task, range_s, result: call!(client, history(request)) }
        }
        Ask::Failures { task, after } => {
            let first = after.is_none();
            let request = FailuresRequest { run: None, class: None, after, limit: FAILURES_PAGE };
            Answer::Failures { task: task.clone(), first, result: call!(client, failures(task, request)) }
        }
        Ask::Events { epoch, after } => {
            let request = EventsRequest { epoch, after, task: None, level: Level::Debug, limit: EVENTS_PAGE, wait_ms: 0 };
            Answer::Events(call!(client, events(request)))
        }
        Ask::Control { tasks, action, confirmed } => {
            let mut outcomes = Vec::with_capacity(tasks.len());
            for task in tasks {
                outcomes.push((task.clone(), call!(client, control(RequestId::random(), task.clone(), action, confirmed.then_some(task)))));
            }
            Answer::Done { verb: action.word(), outcomes }
        }
        Ask::Begin { tasks, kind } => {
            let mut outcomes = Vec::with_capacity(tasks.len());
            for task in tasks {
                outcomes.push((task.clone(), call!(client, begin(RequestId::random(), task, kind))));
            }
            Answer::Done { verb: kind.word(), outcomes }
        }
        Ask::Retry { tasks, class } => {
            let mut outcomes = Vec::with_capacity(tasks.len());
            for task in tasks {
                outcomes.push((task.clone(), call!(client, retry(RequestId::random(), task, class))));
            }
            Answer::Done { verb: "retry", outcomes }
        }
        Ask::Create { spec, start, confirmed } => {
            let confirm = confirmed.then(|| spec.name.clone());
            Answer::Created(call!(client, create(RequestId::random(), *spec, start, confirm)).map(Box::new))
        }
        Ask::Definition(name) => Answer::Definition(call!(client, task(name)).map(|detail| Box::new(detail.spec))),
        Ask::Edit { name, spec } => {
            // the form has asked for the destination to be typed when the task begins to delete
            let confirm = Some(name.clone());
            Answer::Edited(name.clone(), call!(client, edit(RequestId::random(), name, *spec, confirm)).map(Box::new))
        }
        Ask::CheckStart(spec) => Answer::CheckStarted(call!(client, check_start(*spec))),
        Ask::CheckPoll { job, seen } => {
            let context = wire::deadline_after(std::time::Duration::from_millis(CHECK_WAIT_MS.into()));
            let result = match &client {
                Some(client) => plain(client.check_poll(context, job, seen, CHECK_WAIT_MS).await),
                None => Err("no link to the daemon: the test goes on there".to_owned()),
            };
            Answer::CheckPolled { job, result }
        }
        Ask::Providers => Answer::Providers(call!(client, providers())),
        Ask::WriteFile { name, text } => Answer::Written(write_new(Path::new(&name), &text).await),
    }
}

async fn write_new(path: &Path, text: &str) -> Result<PathBuf, String> {
    use tokio::io::AsyncWriteExt;
    let fail =
        |error: std::io::Error| format!("cannot write {}: {error}; leave with ^C and start dth in another directory", path.display());
    let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(path).await.map_err(fail)?;
    file.write_all(text.as_bytes()).await.map_err(fail)?;
    file.sync_all().await.map_err(fail)?;
    Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_existing_file_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.toml");
        assert_eq!(write_new(&path, "one").await.as_deref(), Ok(path.as_path()));
        let error = write_new(&path, "two").await.expect_err("it exists");
        assert!(error.contains("x.toml") && error.contains("exists"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "one");
    }

    #[tokio::test]
    async fn without_a_link_every_question_is_answered() {
        let name = TaskName::new("a").expect("name");
        let Answer::Done { outcomes, .. } =
            perform(None, Ask::Control { tasks: vec![name.clone(), name], action: Action::Pause, confirmed: false }).await
        else {
            panic!("control answers with outcomes");
        };
        assert!(outcomes.len() == 2 && outcomes.iter().all(|(_, o)| o.is_err()));
    }

    #[test]
    fn errors_keep_details_and_the_way_out() {
        let error = ApiError::new(dth_proto::error::ErrorCode::Invalid, "the task is wrong")
            .details(vec!["a".to_owned(), "b".to_owned()])
            .hint("fix it");
        assert_eq!(sentence(&error), "the task is wrong: a; b (fix it)");
    }
}
