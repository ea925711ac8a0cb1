//! The way out of what a registry refuses, where it is known.

use dth_proto::{
    failure::{FailureClass, Side},
    spec::Registry,
};

use crate::{credential::ANONYMOUS, transfer::TransferError};

/// What to do about a request that failed; `repository` is the one it was about.
pub(super) fn hint(error: &TransferError, registry: &Registry, repository: Option<&str>) -> Option<String> {
    let repository = repository.map_or_else(|| "the registry".to_owned(), |name| format!("repository {name}"));
    let text = match (error.code.as_str(), error.class) {
        ("UnrecognizedClientException" | "InvalidClientTokenId", _) => {
            "correct the credential: its keys are not known there; keys belong to one partition (aws, aws-cn, aws-us-gov)".to_owned()
        }
        ("InvalidSignatureException" | "SignatureDoesNotMatch", _) => {
            "correct the secret key of the credential, or the region of the task".to_owned()
        }
        ("ExpiredToken" | "ExpiredTokenException" | "RequestExpired", _) => "sign in again: the session has expired".to_owned(),
        ("NAME_UNKNOWN" | "NAME_INVALID" | "RepositoryNotFoundException", _) => {
            "check the name of the repository, and the registry".to_owned()
        }
        ("MANIFEST_UNKNOWN", _) => "check tag and digest of the image".to_owned(),
        (_, FailureClass::Throttled) if registry.credential.is_none() && !registry.is_ecr() => {
            "wait until the registry's limit is over, or name a credential: users who sign in have a higher one".to_owned()
        }
        (_, FailureClass::Throttled) => "wait until the registry's limit is over, or ask for a higher one".to_owned(),
        (_, FailureClass::Transient) => "check address, proxy and network between the daemon and the registry".to_owned(),
        (_, FailureClass::Permanent | FailureClass::Auth) if error.operation == "ListRepositories" => {
            "name the repositories in source.images: many registries do not list them".to_owned()
        }
        (_, FailureClass::Auth) if registry.is_ecr() => {
            format!("allow {} on {repository} for this credential", ecr_actions(error.operation))
        }
        (_, FailureClass::Auth) => {
            let right = if error.side == Side::Source { "pull from" } else { "push to" };
            match registry.credential.as_deref() {
                None | Some(ANONYMOUS) => format!("name a credential in the task that may {right} {repository}"),
                Some(_) => format!("correct the credential, or give its user the right to {right} {repository}"),
            }
        }
        _ => return None,
    };
    Some(text)
}

/// The actions of IAM that a request to ECR needs: requests to the registry itself need those of the API that do the same (AWS: "Repository
/// policy examples").
fn ecr_actions(operation: &str) -> String {
    match operation {
        "GetToken" => "ecr:GetAuthorizationToken".to_owned(),
        "ListTags" => "ecr:ListImages".to_owned(),
        "HeadManifest" | "GetManifest" | "ListReferrers" => "ecr:BatchGetImage".to_owned(),
        "HeadBlob" => "ecr:BatchCheckLayerAvailability".to_owned(),
        "GetBlob" => "ecr:GetDownloadUrlForLayer".to_owned(),
        "StartUpload" | "MountBlob" | "UploadStatus" | "CancelUpload" => "ecr:InitiateLayerUpload".to_owned(),
        "PutBlob" | "PatchBlob" => "ecr:UploadLayerPart and ecr:CompleteLayerUpload".to_owned(),
        "PutManifest" => "ecr:PutImage".to_owned(),
        api => format!("ecr:{api}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(
        registry: &str,
        credential: Option<&str>,
        side: Side,
        operation: &'static str,
        class: FailureClass,
        code: &str,
    ) -> Option<String> {
        let registry = Registry { registry: registry.to_owned(), credential: credential.map(str::to_owned), ..Registry::default() };
        hint(&TransferError::new(class, side, operation, code, "words"), &registry, Some("team/app"))
    }

    #[test]
    fn hints_name_the_right_that_is_missing() {
        use FailureClass::{Auth, Permanent, Throttled, Transient};
        use Side::{Destination, Source};
        for (registry, credential, side, operation, class, code, expected) in [
            ("ecr", None, Source, "GetManifest", Auth, "DENIED", "allow ecr:BatchGetImage on repository team/app"),
            ("ecr", None, Source, "GetBlob", Auth, "DENIED", "allow ecr:GetDownloadUrlForLayer on repository team/app"),
            ("ecr", None, Source, "ListImages", Auth, "AccessDeniedException", "allow ecr:ListImages on repository team/app"),
            ("ecr", Some("cn"), Destination, "StartUpload", Auth, "DENIED", "allow ecr:InitiateLayerUpload on repository team/app"),
            ("ecr", None, Destination, "CreateRepository", Auth, "AccessDeniedException", "allow ecr:CreateRepository"),
            ("ecr", None, Source, "ListImages", Auth, "UnrecognizedClientException", "keys belong to one partition"),
            ("ecr", None, Source, "ListImages", Throttled, "ThrottlingException", "ask for a higher one"),
            ("ghcr.io", None, Source, "ListTags", Auth, "DENIED", "name a credential in the task that may pull from repository team/app"),
            ("ghcr.io", Some("anonymous"), Destination, "StartUpload", Auth, "DENIED", "that may push to repository team/app"),
            ("ghcr.io", Some("me"), Destination, "StartUpload", Auth, "DENIED", "give its user the right to push to repository team/app"),
            ("ghcr.io", None, Source, "ListRepositories", Auth, "UNAUTHORIZED", "name the repositories in source.images"),
            ("ghcr.io", None, Source, "ListTags", Permanent, "NAME_UNKNOWN", "check the name of the repository"),
            ("docker.io", None, Source, "GetManifest", Throttled, "TOOMANYREQUESTS", "name a credential"),
            ("ghcr.io", None, Source, "ListTags", Transient, "ConnectionFailed", "check address, proxy and network"),
        ] {
            let said = said(registry, credential, side, operation, class, code);
            assert!(said.as_deref().is_some_and(|said| said.contains(expected)), "{operation} {code}: {said:?}");
        }
        assert_eq!(said("ghcr.io", None, Source, "GetManifest", Permanent, "MANIFEST_INVALID"), None);
    }
}
