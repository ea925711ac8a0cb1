//! What stands before every request: the role it needs, and the answer of a daemon that stops.

use dth_proto::{
    error::{ApiError, ErrorCode},
    service::{DthRequest, DthResponse},
};
use tarpc::{RequestName, ServerError, context::Context, server::Serve};

use super::{Role, Session};
use crate::shutdown::Shutdown;

/// Lets a request through to `inner` when the session's role suffices and the daemon is not stopping.
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    session: Session,
    shutdown: Shutdown,
}

impl<S> Gate<S> {
    /// A gate for one connection.
    pub fn new(inner: S, session: Session, shutdown: Shutdown) -> Self {
        Self { inner, session, shutdown }
    }
}

impl<S> Serve for Gate<S>
where
    S: Serve<Req = DthRequest, Resp = DthResponse>,
{
    type Req = DthRequest;
    type Resp = DthResponse;

    async fn serve(self, context: Context, request: DthRequest) -> Result<DthResponse, ServerError> {
        if self.shutdown.is_draining() {
            return Ok(refuse(&request, stopping()));
        }
        let session = &self.session;
        let needed = needs(&request);
        if session.role < needed {
            let error = ApiError::new(
                ErrorCode::NotAllowed,
                format!("{} is a {} and may not do this: it needs an {needed}", session.user, session.role),
            );
            return Ok(refuse(&request, error.hint("[access] in dthd.toml names the operators")));
        }
        if changes_something(&request) {
            tracing::info!(user = session.user, uid = session.uid, request = request.name(), "operator request");
        }
        let refusal = may_wait(&request).then(|| refuse(&request, stopping()));
        // one future of all requests: held here, it would be in every frame of the stack above
        let answer = Box::pin(self.inner.serve(context, request));
        let Some(refusal) = refusal else { return answer.await };
        tokio::select! {
            answer = answer => answer,
            // a long poll must not hold up the stop; nothing is lost with a question
            () = self.shutdown.draining() => Ok(refusal),
        }
    }
}

fn stopping() -> ApiError {
    ApiError::new(ErrorCode::ShuttingDown, "the daemon is stopping").hint("try again when it is back")
}

/// The least role that may make a request.
#[must_use]
pub fn needs(request: &DthRequest) -> Role {
    match request {
        DthRequest::Info { .. }
        | DthRequest::Watch { .. }
        | DthRequest::Events { .. }
        | DthRequest::History { .. }
        | DthRequest::Task { .. }
        | DthRequest::Runs { .. }
        | DthRequest::WaitRun { .. }
        | DthRequest::Failures { .. }
        | DthRequest::Items { .. }
        | DthRequest::Plan { .. }
        | DthRequest::Explain { .. }
        | DthRequest::Providers { .. } => Role::Viewer,
        DthRequest::Create { .. }
        | DthRequest::Edit { .. }
        | DthRequest::CloneTask { .. }
        | DthRequest::Control { .. }
        | DthRequest::Begin { .. }
        | DthRequest::PlanSpec { .. }
        | DthRequest::Retry { .. }
        | DthRequest::CheckStart { .. }
        | DthRequest::SetupEvents { .. }
        | DthRequest::CheckPoll { .. }
        | DthRequest::DoctorStart { .. }
        | DthRequest::DoctorPoll { .. } => Role::Operator,
    }
}

/// Whether the request is worth a line in the log: who changed what must be found there.
fn changes_something(request: &DthRequest) -> bool {
    needs(request) == Role::Operator && !matches!(request, DthRequest::CheckPoll { .. } | DthRequest::DoctorPoll { .. })
}

/// Whether the request is a long poll, which is answered when something happens.
fn may_wait(request: &DthRequest) -> bool {
    matches!(
        request,
        DthRequest::Watch { .. }
            | DthRequest::Events { .. }
            | DthRequest::WaitRun { .. }
            | DthRequest::Plan { .. }
            | DthRequest::CheckPoll { .. }
            | DthRequest::DoctorPoll { .. }
    )
}

/// The answer `error` in the form that the caller of `request` expects.
fn refuse(request: &DthRequest, error: ApiError) -> DthResponse {
    match request {
        DthRequest::Info { .. } => DthResponse::Info(Err(error)),
        DthRequest::Watch { .. } => DthResponse::Watch(Err(error)),
        DthRequest::Events { .. } => DthResponse::Events(Err(error)),
        DthRequest::History { .. } => DthResponse::History(Err(error)),
        DthRequest::Task { .. } => DthResponse::Task(Err(error)),
        DthRequest::Runs { .. } => DthResponse::Runs(Err(error)),
        DthRequest::WaitRun { .. } => DthResponse::WaitRun(Err(error)),
        DthRequest::Failures { .. } => DthResponse::Failures(Err(error)),
        DthRequest::Items { .. } => DthResponse::Items(Err(error)),
        DthRequest::Plan { .. } => DthResponse::Plan(Err(error)),
        DthRequest::Explain { .. } => DthResponse::Explain(Err(error)),
        DthRequest::Begin { .. } => DthResponse::Begin(Err(error)),
        DthRequest::PlanSpec { .. } => DthResponse::PlanSpec(Err(error)),
        DthRequest::Create { .. } => DthResponse::Create(Err(error)),
        DthRequest::Edit { .. } => DthResponse::Edit(Err(error)),
        DthRequest::CloneTask { .. } => DthResponse::CloneTask(Err(error)),
        DthRequest::Control { .. } => DthResponse::Control(Err(error)),
        DthRequest::Retry { .. } => DthResponse::Retry(Err(error)),
        DthRequest::CheckStart { .. } => DthResponse::CheckStart(Err(error)),
        DthRequest::SetupEvents { .. } => DthResponse::SetupEvents(Err(error)),
        DthRequest::CheckPoll { .. } => DthResponse::CheckPoll(Err(error)),
        DthRequest::DoctorStart { .. } => DthResponse::DoctorStart(Err(error)),
        DthRequest::DoctorPoll { .. } => DthResponse::DoctorPoll(Err(error)),
        DthRequest::Providers { .. } => DthResponse::Providers(Err(error)),
    }
}
