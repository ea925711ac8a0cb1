//! What a registry has: repositories, images, layers.

use std::{collections::HashSet, sync::atomic::Ordering::Relaxed};

use aws_sdk_ecr::types::LayerAvailability;
use dth_proto::{failure::FailureClass, time::Timestamp};

use super::{
    Ecr,
    failure::{REPOSITORY_NOT_FOUND, is_not_offered},
};
use crate::{
    image::{digest::Digest, select::Listed},
    transfer::TransferError,
};

/// Entries of a page, at most (AWS: `maxResults` of all three).
const PAGE: i32 = 1_000;
/// Digests of one `BatchCheckLayerAvailability`, at most.
const BATCH: usize = 100;

/// One page of a listing.
struct Page<T> {
    entries: Vec<T>,
    next: Option<String>,
}

impl Ecr {
    /// All repositories by name, in ECR's order.
    ///
    /// # Errors
    /// When a page cannot be had: a listing is whole or fails.
    pub async fn repositories(&self) -> Result<Vec<String>, TransferError> {
        const LIST: &str = "DescribeRepositories";
        let service = self.service();
        self.pages(LIST, "", |token: Option<String>| async move {
            let request = || {
                let request = service.sdk().describe_repositories().max_results(PAGE).set_next_token(token.clone());
                request.set_registry_id(service.account().cloned()).send()
            };
            let answer = service.call(LIST, "", 0, request).await?;
            let names = answer.repositories.unwrap_or_default().into_iter().filter_map(|repository| repository.repository_name);
            Ok(Page { entries: names.collect(), next: answer.next_token })
        })
        .await
    }

    /// All images of a repository, each tag by itself and those without a tag by their digest; archived ones are left out, they cannot be
    /// pulled. `None`: there is no such repository. With `pushed` also when they were pushed, which is another request of ECR.
    ///
    /// # Errors
    /// When a page cannot be had: a listing is whole or fails.
    pub async fn images(&self, repository: &str, pushed: bool) -> Result<Option<Vec<Listed>>, TransferError> {
        let listed = if pushed { self.described(repository).await } else { self.listed(repository).await };
        match listed {
            Ok(images) => Ok(Some(images)),
            Err(error) if error.code == REPOSITORY_NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn listed(&self, repository: &str) -> Result<Vec<Listed>, TransferError> {
        const LIST: &str = "ListImages";
        let service = self.service();
        self.pages(LIST, repository, |token: Option<String>| async move {
            let request = || {
                let request = service.sdk().list_images().repository_name(repository).max_results(PAGE);
                request.set_next_token(token.clone()).set_registry_id(service.account().cloned()).send()
            };
            let answer = service.call(LIST, repository, 0, request).await?;
            let images = answer.image_ids.unwrap_or_default().into_iter().map(|image| Listed {
                tag: image.image_tag,
                digest: digest(image.image_digest.as_deref()),
                pushed: None,
            });
            Ok(Page { entries: images.collect(), next: answer.next_token })
        })
        .await
    }

    async fn described(&self, repository: &str) -> Result<Vec<Listed>, TransferError> {
        const LIST: &str = "DescribeImages";
        let service = self.service();
        self.pages(LIST, repository, |token: Option<String>| async move {
            let request = || {
                let request = service.sdk().describe_images().repository_name(repository).max_results(PAGE);
                request.set_next_token(token.clone()).set_registry_id(service.account().cloned()).send()
            };
            let answer = service.call(LIST, repository, 0, request).await?;
            let images = answer.image_details.unwrap_or_default().into_iter().flat_map(|image| {
                let digest = digest(image.image_digest.as_deref());
                let ms = image.image_pushed_at.and_then(|at| at.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok());
                let tags = image.image_tags.filter(|tags| !tags.is_empty());
                let tags = tags.map_or_else(|| vec![None], |tags| tags.into_iter().map(Some).collect());
                tags.into_iter().map(move |tag| Listed { tag, digest: digest.clone(), pushed: ms.map(Timestamp) })
            });
            Ok(Page { entries: images.collect(), next: answer.next_token })
        })
        .await
    }

    async fn pages<T, F: Future<Output = Result<Page<T>, TransferError>>>(
        &self,
        operation: &'static str,
        repository: &str,
        page: impl Fn(Option<String>) -> F,
    ) -> Result<Vec<T>, TransferError> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let Page { entries, next } = page(token.clone()).await?;
            all.extend(entries);
            match next.filter(|next| !next.is_empty()) {
                None => return Ok(all),
                next if next == token => {
                    let message = format!("{} lists {repository:?} in a circle: the same page follows itself", self.place());
                    return Err(self.service().error(FailureClass::Permanent, operation, "UnexpectedAnswer", message));
                }
                next => token = next,
            }
        }
    }

    /// Those of some blobs that a repository does not have, each once. A repository that does not exist has none; all count as missing, too,
    /// where a server speaks ECR's API without this operation: to send a blob again does no harm.
    ///
    /// # Errors
    /// When ECR does not say.
    pub async fn missing_blobs(&self, repository: &str, digests: &[Digest]) -> Result<Vec<Digest>, TransferError> {
        const CHECK: &str = "BatchCheckLayerAvailability";
        let service = self.service();
        let mut seen = HashSet::new();
        let mut missing: Vec<Digest> = digests.iter().filter(|digest| seen.insert(*digest)).cloned().collect();
        if self.inner.blind.load(Relaxed) {
            return Ok(missing);
        }
        let mut there = HashSet::new();
        for batch in missing.chunks(BATCH) {
            let batch: Vec<String> = batch.iter().map(ToString::to_string).collect();
            let request = || {
                let request = service.sdk().batch_check_layer_availability().repository_name(repository);
                request.set_layer_digests(Some(batch.clone())).set_registry_id(service.account().cloned()).send()
            };
            let answer = match service.call(CHECK, repository, 0, request).await {
                Err(error) if error.code == REPOSITORY_NOT_FOUND => return Ok(missing),
                Err(error) if is_not_offered(&error) => {
                    tracing::info!(side = error.side.word(), %error, "blobs are sent without asking for them first");
                    self.inner.blind.store(true, Relaxed);
                    return Ok(missing);
                }
                answer => answer?,
            };
            // what is archived is sent again: it cannot be pulled as it is
            let available = answer.layers.unwrap_or_default().into_iter();
            let available = available.filter(|layer| layer.layer_availability == Some(LayerAvailability::Available));
            there.extend(available.filter_map(|layer| layer.layer_digest));
        }
        missing.retain(|digest| !there.contains(digest.as_str()));
        Ok(missing)
    }
}

fn digest(text: Option<&str>) -> Option<Digest> {
    text.and_then(|text| text.parse().ok())
}
