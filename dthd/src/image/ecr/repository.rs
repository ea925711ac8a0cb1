//! Settings of repositories: read from one, given to another that is created.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{MutexGuard, PoisonError},
};

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability, ImageTagMutabilityExclusionFilter,
    ImageTagMutabilityExclusionFilterType, Repository, Tag,
};
use dth_proto::{
    failure::FailureClass,
    spec::{Encryption, RepositorySettings},
};

use super::{
    Ecr,
    failure::{REPOSITORY_EXISTS, REPOSITORY_NOT_FOUND},
};
use crate::transfer::TransferError;

const DESCRIBE: &str = "DescribeRepositories";
const CREATE: &str = "CreateRepository";
/// Tags that AWS gives by itself; nobody else may.
const OF_AWS: &str = "aws:";

impl Ecr {
    /// The settings of a repository.
    ///
    /// # Errors
    /// When one of them cannot be read, also because there is no such repository.
    pub async fn settings(&self, repository: &str) -> Result<RepositorySettings, TransferError> {
        let service = self.service();
        let describe = || {
            let request = service.sdk().describe_repositories().repository_names(repository);
            request.set_registry_id(service.account().cloned()).send()
        };
        let answer = service.call(DESCRIBE, repository, 0, describe).await?;
        let Some(described) = answer.repositories().first() else {
            let message = format!("the repository {repository} does not exist at {}", self.place());
            return Err(service.error(FailureClass::Permanent, DESCRIBE, REPOSITORY_NOT_FOUND, message));
        };
        let arn = described.repository_arn().unwrap_or_default();
        let (lifecycle_policy, policy, tags) =
            tokio::try_join!(self.lifecycle_policy(repository), self.policy(repository), self.tags(repository, arn))?;
        Ok(RepositorySettings { lifecycle_policy, policy, tags, ..described_settings(described) })
    }

    async fn lifecycle_policy(&self, repository: &str) -> Result<Option<String>, TransferError> {
        let service = self.service();
        let request = || {
            let request = service.sdk().get_lifecycle_policy().repository_name(repository);
            request.set_registry_id(service.account().cloned()).send()
        };
        let answer = service.call("GetLifecyclePolicy", repository, 0, request).await;
        unless_missing(answer.map(|answer| answer.lifecycle_policy_text), "LifecyclePolicyNotFoundException")
    }

    async fn policy(&self, repository: &str) -> Result<Option<String>, TransferError> {
        let service = self.service();
        let request = || {
            let request = service.sdk().get_repository_policy().repository_name(repository);
            request.set_registry_id(service.account().cloned()).send()
        };
        let answer = service.call("GetRepositoryPolicy", repository, 0, request).await;
        unless_missing(answer.map(|answer| answer.policy_text), "RepositoryPolicyNotFoundException")
    }

    async fn tags(&self, repository: &str, arn: &str) -> Result<BTreeMap<String, String>, TransferError> {
        let service = self.service();
        let request = || service.sdk().list_tags_for_resource().resource_arn(arn).send();
        let answer = service.call("ListTagsForResource", repository, 0, request).await?;
        let tags = answer.tags.unwrap_or_default().into_iter().filter(|tag| !tag.key.starts_with(OF_AWS));
        Ok(tags.map(|tag| (tag.key, tag.value)).collect())
    }

    /// Creates a repository. One that exists already is well, and stays as it is.
    ///
    /// # Errors
    /// When ECR refuses it, or a policy for it. In the latter case the repository is there; calling this again tries the policies again.
    pub async fn create(&self, repository: &str, settings: &RepositorySettings) -> Result<(), TransferError> {
        let service = self.service();
        let request = || {
            let request = service.sdk().create_repository().repository_name(repository);
            let request = request.set_registry_id(service.account().cloned());
            let request = request.set_image_tag_mutability(mutability(settings));
            let request = request.set_image_tag_mutability_exclusion_filters(exclusions(settings));
            let scan = settings.scan_on_push.map(|scan| ImageScanningConfiguration::builder().scan_on_push(scan).build());
            let request = request.set_image_scanning_configuration(scan).set_encryption_configuration(encryption(settings));
            request.set_tags(tags(settings)).send()
        };
        match service.call(CREATE, repository, 0, request).await {
            Ok(_) => {
                self.unfinished().insert(repository.to_owned());
            }
            Err(error) if error.code == REPOSITORY_EXISTS && self.unfinished().contains(repository) => {}
            Err(error) if error.code == REPOSITORY_EXISTS => return Ok(()),
            Err(error) => return Err(error),
        }
        self.put_policies(repository, settings).await.map_err(|error| {
            let message = format!(
                "the repository {repository} is created, but not its policy: {}; set the policy by other means, or delete the repository \
                 and start again",
                error.message
            );
            TransferError { message, ..error }
        })?;
        self.unfinished().remove(repository);
        Ok(())
    }

    fn unfinished(&self) -> MutexGuard<'_, HashSet<String>> {
        self.inner.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `CreateRepository` does not take.
    async fn put_policies(&self, repository: &str, settings: &RepositorySettings) -> Result<(), TransferError> {
        let service = self.service();
        if let Some(policy) = &settings.lifecycle_policy {
            let request = || {
                let request = service.sdk().put_lifecycle_policy().repository_name(repository).lifecycle_policy_text(policy);
                request.set_registry_id(service.account().cloned()).send()
            };
            service.call("PutLifecyclePolicy", repository, 0, request).await?;
        }
        if let Some(policy) = &settings.policy {
            let request = || {
                let request = service.sdk().set_repository_policy().repository_name(repository).policy_text(policy);
                request.set_registry_id(service.account().cloned()).send()
            };
            service.call("SetRepositoryPolicy", repository, 0, request).await?;
        }
        Ok(())
    }

    /// The settings of a repository that is created here after one elsewhere: `own` go before the source's. A key of the source is left out
    /// where it cannot be used, because keys belong to a region and an account; then ECR's own key encrypts.
    #[must_use]
    pub fn adopt(&self, own: &RepositorySettings, source: RepositorySettings) -> RepositorySettings {
        adopted(own, source, self.region(), self.service().account().map(String::as_str))
    }
}

fn unless_missing(answer: Result<Option<String>, TransferError>, missing: &str) -> Result<Option<String>, TransferError> {
    match answer {
        Err(error) if error.code == missing => Ok(None),
        answer => answer,
    }
}

fn adopted(own: &RepositorySettings, source: RepositorySettings, region: &str, account: Option<&str>) -> RepositorySettings {
    let own = own.clone();
    let (immutable_tags, tag_exclusions) = match own.immutable_tags {
        None if own.tag_exclusions.is_empty() => (source.immutable_tags, source.tag_exclusions),
        own_tags => (own_tags, own.tag_exclusions),
    };
    let usable = |encryption: Encryption| {
        let key = encryption.key.filter(|key| is_key_of(key, region, account));
        Encryption { key, ..encryption }
    };
    let mut tags = source.tags;
    tags.extend(own.tags);
    RepositorySettings {
        immutable_tags,
        tag_exclusions,
        scan_on_push: own.scan_on_push.or(source.scan_on_push),
        encryption: own.encryption.or(source.encryption.map(usable)),
        lifecycle_policy: own.lifecycle_policy.or(source.lifecycle_policy),
        policy: own.policy.or(source.policy),
        tags,
    }
}

/// Whether a key (`arn:PARTITION:kms:REGION:ACCOUNT:key/…`) is one of a region and, where that is known, an account.
fn is_key_of(arn: &str, region: &str, account: Option<&str>) -> bool {
    let fields: Vec<&str> = arn.split(':').collect();
    matches!(fields[..], ["arn", _, "kms", r, a, _] if r == region && account.is_none_or(|account| a == account))
}

/// What `DescribeRepositories` tells.
fn described_settings(repository: &Repository) -> RepositorySettings {
    use ImageTagMutability::{Immutable, ImmutableWithExclusion, Mutable, MutableWithExclusion};
    let immutable_tags = match repository.image_tag_mutability() {
        Some(Immutable | ImmutableWithExclusion) => Some(true),
        Some(Mutable | MutableWithExclusion) => Some(false),
        _ => None,
    };
    let exclusions = repository.image_tag_mutability_exclusion_filters().iter();
    let encryption = repository.encryption_configuration();
    RepositorySettings {
        immutable_tags,
        tag_exclusions: exclusions.map(|filter| filter.filter().to_owned()).collect(),
        scan_on_push: repository.image_scanning_configuration().map(ImageScanningConfiguration::scan_on_push),
        encryption: encryption.map(|e| Encryption {
            kind: e.encryption_type().to_string(),
            key: e.kms_key().map(str::to_owned),
            bucket_key: None,
        }),
        ..RepositorySettings::default()
    }
}

fn mutability(settings: &RepositorySettings) -> Option<ImageTagMutability> {
    match (settings.immutable_tags, settings.tag_exclusions.is_empty()) {
        (Some(true), true) => Some(ImageTagMutability::Immutable),
        (Some(true), false) => Some(ImageTagMutability::ImmutableWithExclusion),
        (_, false) => Some(ImageTagMutability::MutableWithExclusion),
        (Some(false), true) => Some(ImageTagMutability::Mutable),
        (None, true) => None,
    }
}

fn exclusions(settings: &RepositorySettings) -> Option<Vec<ImageTagMutabilityExclusionFilter>> {
    let filter = |tag: &String| {
        let filter = ImageTagMutabilityExclusionFilter::builder().filter_type(ImageTagMutabilityExclusionFilterType::Wildcard).filter(tag);
        filter.build().expect("type and filter, all that it needs, are set")
    };
    (!settings.tag_exclusions.is_empty()).then(|| settings.tag_exclusions.iter().map(filter).collect())
}

fn encryption(settings: &RepositorySettings) -> Option<EncryptionConfiguration> {
    settings.encryption.as_ref().map(|encryption| {
        let kind = EncryptionType::from(encryption.kind.as_str());
        let configuration = EncryptionConfiguration::builder().encryption_type(kind).set_kms_key(encryption.key.clone());
        configuration.build().expect("its type, all that it needs, is set")
    })
}

fn tags(settings: &RepositorySettings) -> Option<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build().expect("key and value are set");
    (!settings.tags.is_empty()).then(|| settings.tags.iter().map(tag).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1";

    fn with_key(key: Option<&str>) -> RepositorySettings {
        let encryption = Some(Encryption { kind: "KMS".into(), key: key.map(str::to_owned), bucket_key: None });
        RepositorySettings { encryption, ..RepositorySettings::default() }
    }

    #[test]
    fn keys_stay_in_their_region_and_account() {
        let own = RepositorySettings::default();
        for (region, account, kept) in [
            ("us-east-1", None, true),
            ("us-east-1", Some("123456789012"), true),
            ("us-east-1", Some("999999999999"), false),
            ("cn-north-1", None, false),
        ] {
            let settings = adopted(&own, with_key(Some(KEY)), region, account);
            assert_eq!(settings, with_key(kept.then_some(KEY)), "{region} {account:?}");
        }
        let named = with_key(Some("alias/mine"));
        assert_eq!(adopted(&named, with_key(Some(KEY)), "us-east-1", None), named, "what the task names is not judged");
    }

    #[test]
    fn own_settings_go_before_the_sources() {
        let tags = |tags: &[(&str, &str)]| tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let source = RepositorySettings {
            immutable_tags: Some(true),
            tag_exclusions: vec!["dev-*".into()],
            scan_on_push: Some(true),
            lifecycle_policy: Some("{}".into()),
            tags: tags(&[("team", "a"), ("cost", "1")]),
            ..RepositorySettings::default()
        };
        assert_eq!(adopted(&RepositorySettings::default(), source.clone(), "r", None), source);
        let own = RepositorySettings { immutable_tags: Some(false), tags: tags(&[("team", "b")]), ..RepositorySettings::default() };
        let adopted = adopted(&own, source.clone(), "r", None);
        assert_eq!((adopted.immutable_tags, adopted.tag_exclusions.len(), adopted.scan_on_push), (Some(false), 0, Some(true)));
        assert_eq!(adopted.tags, tags(&[("team", "b"), ("cost", "1")]));
    }

    #[test]
    fn mutability_survives() {
        for (immutable_tags, exclusions, word) in [
            (Some(true), &[][..], "IMMUTABLE"),
            (Some(true), &["dev-*"], "IMMUTABLE_WITH_EXCLUSION"),
            (Some(false), &[], "MUTABLE"),
            (Some(false), &["v*"], "MUTABLE_WITH_EXCLUSION"),
        ] {
            let tag_exclusions = exclusions.iter().map(|e| (*e).to_owned()).collect();
            let settings = RepositorySettings { immutable_tags, tag_exclusions, ..RepositorySettings::default() };
            let repository = Repository::builder()
                .set_image_tag_mutability(mutability(&settings))
                .set_image_tag_mutability_exclusion_filters(super::exclusions(&settings))
                .build();
            assert_eq!(repository.image_tag_mutability().map(ImageTagMutability::as_str), Some(word));
            assert_eq!(described_settings(&repository), settings);
        }
        assert_eq!(mutability(&RepositorySettings::default()), None);
    }
}
