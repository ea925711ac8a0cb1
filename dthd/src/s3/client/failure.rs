//! From the errors of the SDK and of the wire to ours.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    aws::failure::{Unanswered, causes, unanswered},
    http::SendError,
    s3::{
        error::{classify, code_of_status},
        wire::{Failure, Refusal, retry_after},
    },
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
            _ => {
                let unanswered = unanswered(error, place, self.inner.credential.describe());
                let Unanswered { class, code, message } = unanswered.expect("what was answered is one of the arms above");
                self.error(class, operation, code, message)
            }
        }
    }

    fn cannot_sign(&self, why: &str) -> String {
        format!("cannot sign with {}: {why}", self.inner.credential.describe())
    }

    /// An error of the wire, classified.
    pub(super) fn unsent(&self, operation: &'static str, failure: Failure) -> TransferError {
        let place = &self.inner.place;
        match failure {
            Failure::Refused(refusal) => self.refused(operation, refusal, None),
            Failure::Send(SendError::Connection(text)) => {
                self.error(FailureClass::Transient, operation, "ConnectionFailed", format!("cannot reach {place}: io error: {text}"))
            }
            Failure::Send(SendError::ConnectTimeout(text)) => {
                self.error(FailureClass::Transient, operation, "ConnectTimeout", format!("cannot reach {place}: {text}"))
            }
            Failure::Send(SendError::Request(text)) | Failure::Request(text) => {
                self.error(FailureClass::Permanent, operation, "BadRequest", text)
            }
            Failure::Credentials(error) => {
                let message = self.cannot_sign(&format!("{error}: {}", causes(&error)));
                self.error(FailureClass::Auth, operation, "CredentialsNotLoaded", message)
            }
            Failure::TooManyRedirects { location } => {
                let message =
                    format!("{place} sends from one place to the next, the last one is {location:?}: correct endpoint and region");
                self.error(FailureClass::Permanent, operation, "TooManyRedirects", message)
            }
            Failure::Unreadable { status, why } => self.unreadable(operation, status, &why),
            Failure::Header(text) => self.error(FailureClass::Permanent, operation, "InvalidMetadata", text),
        }
    }

    /// An answer of success whose body is no use. Asking again may help.
    pub(super) fn unreadable(&self, operation: &'static str, status: u16, why: &str) -> TransferError {
        let message = format!("{} gave an answer that cannot be read (status {status}): {why}", self.inner.place);
        self.error(FailureClass::Transient, operation, code_of_status(status), message)
    }

    fn answered<E: ProvideErrorMetadata + Error + 'static>(&self, operation: &'static str, error: &E, raw: &HttpResponse) -> TransferError {
        let header = |name: &str| raw.headers().get(name);
        // For answers without a body the SDK makes names of its own from the status.
        let code = error.code().filter(|code| !matches!(*code, "NotFound" | "Unknown")).unwrap_or_default();
        let refusal = Refusal {
            status: raw.status().as_u16(),
            code: code.to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
            request_id: header("x-amz-request-id").map(str::to_owned),
            retry_after: retry_after(header),
            region: header("x-amz-bucket-region").map(str::to_owned),
        };
        self.refused(operation, refusal, Some(error))
    }

    /// A refusal, classified. `unread`: what the SDK made of an answer without a code.
    fn refused(&self, operation: &'static str, refusal: Refusal, unread: Option<&(dyn Error + 'static)>) -> TransferError {
        let Refusal { status, code, mut message, request_id, retry_after, region } = refusal;
        let unread = unread.filter(|_| code.is_empty() && status < 300);
        let class =
            if code.is_empty() && status < 300 { FailureClass::Transient } else { classify(self.inner.side, operation, status, &code) };
        if message.is_empty() {
            message = match unread {
                Some(error) => format!("{} gave an answer that cannot be read: {}", self.inner.place, causes(error)),
                None => format!("status {status}"),
            };
        }
        if let Some(region) = region.filter(|_| matches!(status, 301 | 307 | 400)) {
            message = format!("{message}; the bucket is in region {region}: write region = \"{region}\"");
        }
        match code.as_str() {
            // stores do not say which
            "NoSuchBucket" => message = format!("the bucket {} does not exist at {}", self.inner.name, self.inner.place),
            "InvalidObjectState" => message = format!("{message}; the object is archived: restore it first"),
            _ => {}
        }
        let code = if code.is_empty() { code_of_status(status).to_owned() } else { code };
        TransferError { class, side: self.inner.side, operation, code, message, request_id, retry_after }
    }
}
