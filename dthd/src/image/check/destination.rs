//! Tries the destination: look for repositories, begin an upload and give it up.

use dth_proto::{
    check::CheckStep,
    failure::FailureClass,
    spec::{CreateRepository, ImageDestination, ImageJob},
};

use super::{
    TRIED,
    step::{Steps, names},
};
use crate::{
    image::{end::End, name::NameMap},
    transfer::TransferError,
};

/// Tries to write to one of the repositories that those of the source are called; nothing is left there.
pub(super) async fn check(end: &End, job: &ImageJob, sources: &[String], steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) {
    let map = NameMap::new(&job.destination);
    let (good, bad): (Vec<_>, Vec<_>) = sources.iter().take(TRIED).map(|source| map.map(source)).partition(Result::is_ok);
    let targets: Vec<String> = good.into_iter().filter_map(Result::ok).collect();
    let mut problems: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    problems.extend(map.collisions(sources));
    if targets.is_empty() && problems.is_empty() {
        let message = "no repository is known that could be written to: writing was not tried".to_owned();
        return steps.warn("write", message, "see what the source lacks");
    }
    if let Some(repository) = list(end, job, &targets, steps).await {
        write(end, job, &repository, steps).await;
    }
    // last, as it is the worst that there is to say of writing
    if !problems.is_empty() {
        steps.failed("write", problems.join("; "), Some("change the names, or leave these repositories out".to_owned()));
    }
}

/// Finds a repository that can be written to. `None`: there is none yet.
async fn list(end: &End, job: &ImageJob, targets: &[String], steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) -> Option<String> {
    let registry = &job.destination.registry;
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for target in targets {
        match exists(end, target).await {
            Ok(exists) => {
                steps.reached(registry);
                if exists { there.push(target.clone()) } else { missing.push(target.clone()) }
            }
            Err(error) => {
                steps.refused("list", &error, registry, Some(target));
                // a person wants to know of writing as well, where only looking is forbidden
                return (error.class == FailureClass::Auth).then(|| target.clone());
            }
        }
    }
    if end.ecr.is_none() || missing.is_empty() {
        steps.ok("list", format!("{} can be looked for", names(targets)));
        return there.into_iter().chain(missing).next();
    }
    let text = format!("{} does not have {}", registry.place(), names(&missing));
    match job.destination.create {
        CreateRepository::Never => {
            let hint = "create the repositories, or set destination.create = \"yes\"".to_owned();
            steps.failed("list", format!("{text}, and the task does not create repositories"), Some(hint));
        }
        CreateRepository::OnPush => {
            let hint = "see that a repository creation template applies to them, and to create on push";
            steps.warn("list", format!("{text}: ECR must create what is pushed"), hint);
        }
        CreateRepository::Yes => {
            let hint =
                format!("allow {} for this credential: whether it may shows only when a run does it", creation_rights(&job.destination));
            steps.warn("list", format!("{text}: a run creates what is missing"), hint);
        }
    }
    if there.is_empty() {
        let message = "none of the repositories exists yet: writing was not tried".to_owned();
        steps.warn("write", message, "allow ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage");
    }
    there.into_iter().next()
}

/// Other registries than ECR make repositories when something is pushed, and need not say whether there is one: they are only asked.
async fn exists(end: &End, repository: &str) -> Result<bool, TransferError> {
    match &end.ecr {
        Some(ecr) => Ok(ecr.images(repository, false).await?.is_some()),
        None => end.registry.resolve(repository, "latest").await.map(|_| true),
    }
}

/// Begins an upload, and gives it up.
async fn write(end: &End, job: &ImageJob, repository: &str, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) {
    steps.running("write", format!("beginning an upload to {repository:?}"));
    match end.registry.start_upload(repository).await {
        Ok(upload) => {
            end.registry.cancel(upload).await;
            steps.ok("write", format!("blobs can be uploaded to {repository:?}"));
        }
        Err(error) => steps.refused("write", &error, &job.destination.registry, Some(repository)),
    }
}

/// What IAM must allow for the repositories of this task to be created.
fn creation_rights(destination: &ImageDestination) -> String {
    let settings = &destination.repository;
    // settings of the source may be any
    let copied = destination.copy_settings;
    let mut rights = vec!["ecr:CreateRepository"];
    let needed = [
        (!settings.tags.is_empty(), "ecr:TagResource"),
        (settings.lifecycle_policy.is_some(), "ecr:PutLifecyclePolicy"),
        (settings.policy.is_some(), "ecr:SetRepositoryPolicy"),
        (settings.encryption.as_ref().is_some_and(|encryption| encryption.kind == "KMS"), "kms:CreateGrant and kms:DescribeKey on the key"),
    ];
    rights.extend(needed.into_iter().filter(|(needed, _)| *needed || copied).map(|(_, right)| right));
    rights.join(", ")
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{Encryption, RepositorySettings};

    use super::*;

    #[test]
    fn rights_follow_from_the_settings() {
        let rights =
            |repository, copy_settings| creation_rights(&ImageDestination { repository, copy_settings, ..ImageDestination::default() });
        let none = RepositorySettings::default;
        let kms = |kind: &str| RepositorySettings {
            encryption: Some(Encryption { kind: kind.to_owned(), key: None, bucket_key: None }),
            ..none()
        };
        assert_eq!(rights(none(), false), "ecr:CreateRepository");
        assert_eq!(
            rights(RepositorySettings { policy: Some("{}".into()), ..none() }, false),
            "ecr:CreateRepository, ecr:SetRepositoryPolicy"
        );
        assert_eq!(rights(kms("AES256"), false), "ecr:CreateRepository");
        assert_eq!(rights(kms("KMS"), false), "ecr:CreateRepository, kms:CreateGrant and kms:DescribeKey on the key");
        let all = rights(none(), true);
        assert!(
            ["TagResource", "PutLifecyclePolicy", "SetRepositoryPolicy", "CreateGrant"].iter().all(|right| all.contains(right)),
            "{all}"
        );
    }
}
