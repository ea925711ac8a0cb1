//! From the SDK's errors to ours.

use std::{error::Error, time::Duration};

use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::error::{classify, code_of_status},
    transfer::TransferError,
};

impl Bucket {
    /// An error of the SDK, classified. The text never has a secret: signatures and keys are in headers, which are not shown.
    pub(super) fn failed<E>(&self, operation: &'static str, error: &SdkError<E, HttpResponse>) -> TransferError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let place = &self.inner.place;
        match error {
            SdkError::ServiceError(answer) => self.answered(operation, answer.err(), answer.raw()),
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                let class = match classify(self.inner.side, operation, status, "") {
                    FailureClass::Permanent if status < 400 => FailureClass::Transient,
                    class => class,
                };
                let message = format!("{place} gave an answer that cannot be read (status {status}): {}", causes(error));
                self.error(class, operation, code_of_status(status), message)
            }
            SdkError::TimeoutError(_) => {
                self.error(FailureClass::Transient, operation, "RequestTimeout", format!("{place} does not answer in time"))
            }
            SdkError::DispatchFailure(failure) => {
                let text = causes(error);
                if failure.as_connector_error().is_some_and(ConnectorError::is_user) {
                    return self.error(FailureClass::Permanent, operation, "BadRequest", text);
                }
                if let Some(message) = credentials_in(error) {
                    return self.error(FailureClass::Auth, operation, "CredentialsNotLoaded", self.cannot_sign(&message));
                }
                let code = if failure.is_timeout() { "ConnectTimeout" } else { "ConnectionFailed" };
                self.error(FailureClass::Transient, operation, code, format!("cannot reach {place}: {text}"))
            }
            _ => match credentials_in(error) {
                Some(message) => self.error(FailureClass::Auth, operation, "CredentialsNotLoaded", self.cannot_sign(&message)),
                None => self.error(FailureClass::Permanent, operation, "BadRequest", causes(error)),
            },
        }
    }

    fn cannot_sign(&self, why: &str) -> String {
        format!("cannot sign with {}: {why}", self.inner.credential.describe())
    }

    fn answered<E: ProvideErrorMetadata + Error + 'static>(&self, operation: &'static str, error: &E, raw: &HttpResponse) -> TransferError {
        let status = raw.status().as_u16();
        let header = |name: &str| raw.headers().get(name).map(str::to_owned);
        let code = error.code().filter(|c| !c.is_empty()).unwrap_or_default();
        // For answers without a body the SDK makes names of its own from the status.
        let store_code = if code == "NotFound" || code == "Unknown" { "" } else { code };
        let unread = store_code.is_empty() && status < 300;
        let class = if unread { FailureClass::Transient } else { classify(self.inner.side, operation, status, store_code) };
        let mut message = match error.message().filter(|m| !m.is_empty()) {
            Some(message) => message.to_owned(),
            None if unread => format!("{} gave an answer that cannot be read: {}", self.inner.place, causes(error)),
            None => format!("status {status}"),
        };
        if let Some(region) = header("x-amz-bucket-region").filter(|_| matches!(status, 301 | 307 | 400)) {
            message = format!("{message}; the bucket is in region {region}: write region = \"{region}\"");
        }
        if code == "NoSuchBucket" {
            // stores do not say which
            message = format!("the bucket {} does not exist at {}", self.inner.name, self.inner.place);
        }
        if code == "InvalidObjectState" {
            message = format!("{message}; the object is archived: restore it first");
        }
        TransferError {
            class,
            side: self.inner.side,
            operation,
            code: if store_code.is_empty() { code_of_status(status).to_owned() } else { store_code.to_owned() },
            message,
            request_id: header("x-amz-request-id"),
            retry_after: header("retry-after").and_then(|v| v.trim().parse().ok()).map(Duration::from_secs),
        }
    }
}

/// The error's causes, innermost last, each once.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
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
        if cause.is::<aws_credential_types::provider::error::CredentialsError>() {
            return Some(format!("{cause}: {}", causes(cause)));
        }
        if cause.to_string().contains("no identity") || cause.to_string().contains("failed to select an auth scheme") {
            return Some(causes(cause));
        }
        next = cause.source();
    }
    None
}
