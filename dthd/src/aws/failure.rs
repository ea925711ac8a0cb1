//! Requests of an SDK that no service answered: what went wrong, in words, and whether asking again may help.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use dth_proto::failure::FailureClass;

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered {
    pub(crate) class: FailureClass,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// What an error says of the way to the service; `None`: the service did answer. `place` and `credential` are for the message. The text
/// never has a secret: signatures and keys are in headers, which are not shown.
pub(crate) fn unanswered<E>(error: &SdkError<E, HttpResponse>, place: &str, credential: &str) -> Option<Unanswered>
where
    E: Error + 'static,
{
    let unsigned = |why: String| Unanswered {
        class: FailureClass::Auth,
        code: "CredentialsNotLoaded",
        message: format!("cannot sign with {credential}: {why}"),
    };
    let bad = |message| Unanswered { class: FailureClass::Permanent, code: "BadRequest", message };
    Some(match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => return None,
        SdkError::TimeoutError(_) => {
            Unanswered { class: FailureClass::Transient, code: "RequestTimeout", message: format!("{place} does not answer in time") }
        }
        SdkError::DispatchFailure(failure) => {
            let text = causes(error);
            if failure.as_connector_error().is_some_and(ConnectorError::is_user) {
                return Some(bad(text));
            }
            if let Some(message) = credentials_in(error) {
                return Some(unsigned(message));
            }
            let code = if failure.is_timeout() { "ConnectTimeout" } else { "ConnectionFailed" };
            Unanswered { class: FailureClass::Transient, code, message: format!("cannot reach {place}: {text}") }
        }
        _ => credentials_in(error).map_or_else(|| bad(causes(error)), unsigned),
    })
}

/// The error's causes, innermost last, each once.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

/// What went wrong with loading credentials, if that is the cause.
fn credentials_in(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<CredentialsError>() {
            return Some(format!("{cause}: {}", causes(cause)));
        }
        if cause.to_string().contains("no identity") || cause.to_string().contains("failed to select an auth scheme") {
            return Some(causes(cause));
        }
        next = cause.source();
    }
    None
}
