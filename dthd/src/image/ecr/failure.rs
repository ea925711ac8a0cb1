//! What ECR's errors mean, and the way out.

use std::error::Error;

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dth_proto::failure::FailureClass;

use super::service::Service;
use crate::{
    aws::failure::{Unanswered, causes, unanswered},
    transfer::TransferError,
};

/// No such repository.
pub(super) const REPOSITORY_NOT_FOUND: &str = "RepositoryNotFoundException";
/// Somebody else has created it.
pub(super) const REPOSITORY_EXISTS: &str = "RepositoryAlreadyExistsException";
/// An upload that ECR no longer knows.
pub(super) const UPLOAD_NOT_FOUND: &str = "UploadNotFoundException";
/// Somebody else has finished the same layer.
pub(super) const LAYER_EXISTS: &str = "LayerAlreadyExistsException";
/// A layer whose digest is not the one that was announced.
pub(super) const INVALID_LAYER: &str = "InvalidLayerException";

/// An answer that names no error.
const NAMELESS: &str = "UnexpectedAnswer";

/// Whether an answer sounds like that of a server which speaks ECR's API, but not this operation.
pub(super) fn is_not_offered(error: &TransferError) -> bool {
    matches!(error.code.as_str(), NAMELESS | "UnknownOperationException" | "NotImplementedException" | "NotImplemented")
}

/// The code of an answer that names no error: gateways on the way have their own statuses.
fn code_of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDenied",
        429 => "TooManyRequests",
        502 => "BadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        _ => NAMELESS,
    }
}

/// The class of an answer of ECR. `status` is HTTP's, `code` the name of the exception, or empty.
fn classify(status: u16, code: &str) -> FailureClass {
    match (code, status) {
        (
            "AccessDeniedException"
            | "AccessDenied"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "RequestExpired"
            | "OptInRequired"
            | "NotAuthorized"
            | "BlockedByOrganizationPolicyException",
            _,
        ) => FailureClass::Auth,
        (
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "TOOMANYREQUESTS"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown",
            _,
        ) => FailureClass::Throttled,
        (
            "ServerException"
            | "InternalFailure"
            | "InternalError"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "RequestTimeout"
            | "RequestTimeoutException",
            _,
        ) => FailureClass::Transient,
        // sent anew, both may go well
        (INVALID_LAYER | UPLOAD_NOT_FOUND, _) => FailureClass::Transient,
        (_, 401 | 403) => FailureClass::Auth,
        (_, 429) => FailureClass::Throttled,
        (_, 408 | 425 | 499 | 500 | 502..=599) => FailureClass::Transient,
        // a proxy's page in the place of an answer
        ("", 200..=299) => FailureClass::Transient,
        _ => FailureClass::Permanent,
    }
}

/// The action of IAM that a refusal is about: the one that AWS names, else the operation's own.
fn action(operation: &str, message: &str) -> String {
    let named = message.split_once("perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
    named.filter(|action| action.contains(':')).map_or_else(|| format!("ecr:{operation}"), str::to_owned)
}

impl Service {
    /// An error of the SDK, classified. `about` is the repository it is about, or empty.
    pub(super) fn failed<E>(&self, operation: &'static str, about: &str, error: &SdkError<E>) -> TransferError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => self.refused(operation, about, answer.err(), answer.raw()),
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                let class = if status < 300 { FailureClass::Transient } else { classify(status, "") };
                let message = format!("{} gave an answer that cannot be read (status {status}): {}", self.place(), causes(error));
                self.error(class, operation, code_of_status(status), message)
            }
            _ => {
                let unanswered = unanswered(error, self.place(), self.credential().describe());
                let Unanswered { class, code, message } = unanswered.expect("what was answered is one of the arms above");
                self.error(class, operation, code, message)
            }
        }
    }

    fn refused<E>(&self, operation: &'static str, about: &str, error: &E, raw: &HttpResponse) -> TransferError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = raw.status().as_u16();
        let code = error.code().unwrap_or_default();
        let class = classify(status, code);
        let said = match error.message() {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ if code.is_empty() => format!("status {status}"),
            _ => causes(error),
        };
        let what = if about.is_empty() { "the registry".to_owned() } else { format!("the repository {about}") };
        let (place, credential) = (self.place(), self.credential().describe());
        let message = match code {
            "AccessDeniedException" | "AccessDenied" => {
                let action = action(operation, &said);
                format!(
                    "{said}; {credential} needs {action} on {what}: allow it in the policies of IAM, of the repository, or of the registry"
                )
            }
            "UnrecognizedClientException" | "InvalidClientTokenId" => {
                format!("{place} does not know the keys of {credential}: {said}; keys belong to one partition (aws, aws-cn, aws-us-gov)")
            }
            REPOSITORY_NOT_FOUND => format!("{what} does not exist at {place}: {said}"),
            "LimitExceededException" => {
                format!("{said}; delete what is not needed, or ask AWS to raise this quota (Service Quotas, Amazon ECR)")
            }
            "KmsException" => {
                format!("{said}; the policy of the repository's key must let {credential} use it (kms:CreateGrant, kms:DescribeKey)")
            }
            _ => said,
        };
        let request_id = ["x-amzn-requestid", "x-amz-request-id"].into_iter().find_map(|name| raw.headers().get(name));
        let code = if code.is_empty() { code_of_status(status) } else { code };
        let request_id = request_id.map(str::to_owned);
        TransferError { request_id, ..self.error(class, operation, code, message) }
    }
}

#[cfg(test)]
mod tests {
    use FailureClass::{Auth, Permanent, Throttled, Transient};

    use super::*;

    #[test]
    fn answers() {
        for (status, code, expected) in [
            (400, "AccessDeniedException", Auth),
            (400, "UnrecognizedClientException", Auth),
            (400, "ExpiredTokenException", Auth),
            (403, "", Auth),
            (400, "ThrottlingException", Throttled),
            (400, "TooManyRequestsException", Throttled),
            (429, "", Throttled),
            (500, "ServerException", Transient),
            (400, "ServerException", Transient),
            (503, "", Transient),
            (522, "", Transient),
            (200, "", Transient),
            (400, "InvalidLayerException", Transient),
            (400, "UploadNotFoundException", Transient),
            (400, "RepositoryNotFoundException", Permanent),
            (400, "LimitExceededException", Permanent),
            (400, "KmsException", Permanent),
            (400, "InvalidParameterException", Permanent),
            (400, "LayerPartTooSmallException", Permanent),
            (501, "", Permanent),
        ] {
            assert_eq!(classify(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_names_its_action() {
        let said = "User: arn:aws:iam::123456789012:user/x is not authorized to perform: ecr:TagResource on resource: y";
        assert_eq!(action("CreateRepository", said), "ecr:TagResource");
        assert_eq!(action("CreateRepository", "no"), "ecr:CreateRepository");
    }
}
