//! Stores the manifests of an image: what it consists of, what refers to it, its tag.

use std::{sync::Mutex, time::Duration};

use dth_proto::failure::{FailureClass, Side};
use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::Value;
use tokio::time::sleep;

use super::{Copier, Pair, Unfinished};
use crate::{
    image::{
        blob::is_no_repository,
        digest::Digest,
        manifest::Manifest,
        registry::{Stored, fallback_tag},
        walk::{Graph, Node, Put, entry, merged},
    },
    transfer::TransferError,
};

/// Manifests of one image that are stored at a time.
const SIDE_BY_SIDE: usize = 8;
/// ECR counts requests by the second, of everybody who uses the account: to be refused is no failure.
const PATIENCE: u32 = 30;
/// How often a manifest is sent again whose digest, or that of what it names, is said to be wrong: docker-registry says so while another
/// request, of whomever, writes the same manifest or blob.
const DOUBTS: u32 = 3;

/// Manifests that refer to others, at a destination that does not list them by itself: the entry of each, by what it refers to.
type Unlisted = Mutex<Vec<(Digest, Value)>>;

impl Copier {
    /// Stores the manifests wave by wave.
    pub(super) async fn publish(&self, pair: &Pair, graph: &Graph) -> Result<(), Unfinished> {
        let unlisted = Unlisted::default();
        let waves = graph.waves();
        let count = waves.len();
        for (n, wave) in waves.into_iter().enumerate() {
            if n > 0 && n + 1 == count {
                self.list(pair, graph, &unlisted).await?;
            }
            let mut waiting = wave.into_iter();
            let mut flying = FuturesUnordered::new();
            loop {
                while flying.len() < SIDE_BY_SIDE
                    && let Some(put) = waiting.next()
                {
                    flying.push(self.put(pair, graph, put, &unlisted));
                }
                match flying.next().await {
                    Some(done) => done?,
                    None => break,
                }
            }
        }
        self.list(pair, graph, &unlisted).await
    }

    async fn put(&self, pair: &Pair, graph: &Graph, put: Put, unlisted: &Unlisted) -> Result<(), Unfinished> {
        let node = graph.node(put.node);
        let Node { manifest, content, .. } = node;
        let tag = node.tag.as_deref().filter(|_| put.tagged);
        if tag.is_none() && self.memory.has_manifest(&pair.to, &manifest.digest) {
            // another image has it, too
            return Ok(());
        }
        // one at a time: docker-registry takes a link that is just being written for a broken one
        let _turn = self.place.repository(&format!("{}@{}", pair.to, manifest.digest)).await;
        if tag.is_none() && self.memory.has_manifest(&pair.to, &manifest.digest) {
            return Ok(());
        }
        let stored = self.store(pair, tag, manifest).await?;
        self.memory.manifest_is_there(self.memory.asks(), &pair.to, &manifest.digest);
        if let Some(subject) = &content.subject
            && !stored.subject_known
            && self.options.referrers
        {
            let mut unlisted = unlisted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            unlisted.push((subject.digest.clone(), entry(manifest, content)));
        }
        Ok(())
    }

    /// Stores one manifest under a tag, or by its digest.
    async fn store(&self, pair: &Pair, tag: Option<&str>, manifest: &Manifest) -> Result<Stored, Unfinished> {
        let destination = &self.destination;
        let reference = tag.unwrap_or(manifest.digest.as_str());
        let (mut refused, mut created, mut doubted) = (0, false, 0);
        loop {
            let error = match destination.registry.put_manifest(&pair.to, reference, manifest).await {
                Ok(stored) => return Ok(stored),
                Err(error) => error,
            };
            match (Refusal::of(&error), &destination.ecr) {
                (Refusal::Load, Some(_)) if refused < PATIENCE => {
                    refused += 1;
                    sleep(error.retry_after.unwrap_or(Duration::from_millis(100))).await;
                }
                // two runs had the same idea
                (Refusal::Exists, _) => return Ok(Stored { subject_known: true }),
                (Refusal::Immutable, _) => return self.immutable(pair, reference, manifest, error).await,
                (Refusal::Missing, _) => return Err(Unfinished::Stale(error)),
                (Refusal::Digest, _) if doubted < DOUBTS => {
                    doubted += 1;
                    tracing::debug!(code = %error.code, repository = %pair.to, reference, "manifest is sent again");
                    sleep(Duration::from_millis(50 << doubted)).await;
                }
                (Refusal::Repository, Some(_)) if !created => {
                    self.create(pair).await?;
                    created = true;
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// A tag that cannot be moved: that is no failure where it stands for the same image already.
    async fn immutable(&self, pair: &Pair, tag: &str, manifest: &Manifest, error: TransferError) -> Result<Stored, Unfinished> {
        let there = self.destination.registry.resolve(&pair.to, tag).await?.map(|found| found.digest);
        if there.as_ref() == Some(&manifest.digest) {
            return Ok(Stored { subject_known: true });
        }
        let there = there.map_or_else(|| "another image".to_owned(), |digest| digest.to_string());
        let message = format!(
            "{}:{tag} is {there} and cannot become {}: the repository's tags are immutable; delete the tag there, or copy to another repository",
            pair.to, manifest.digest
        );
        let (class, code) = (FailureClass::Permanent, "TAG_IMMUTABLE".to_owned());
        Err(TransferError { class, code, message, retry_after: None, ..error }.into())
    }

    /// Writes the indexes by which clients find what refers to a manifest, where the destination does not keep them.
    async fn list(&self, pair: &Pair, graph: &Graph, unlisted: &Unlisted) -> Result<(), Unfinished> {
        let mut all = std::mem::take(&mut *unlisted.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        all.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one["digest"].as_str().cmp(&other["digest"].as_str())));
        for of in all.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((subject, _)) = of.first() else { continue };
            let entries: Vec<Value> = of.iter().map(|(_, entry)| entry.clone()).collect();
            let tag = fallback_tag(subject);
            // it is read, changed and written
            let _turn = self.place.repository(&format!("{}:{tag}", pair.to)).await;
            let there = match self.destination.registry.manifest(&pair.to, &tag).await {
                Ok(there) => Some(there),
                Err(error) if error.code == "MANIFEST_UNKNOWN" || is_no_repository(&error) => None,
                Err(error) => return Err(error.into()),
            };
            let Some(index) = self.index(graph, subject, there.as_ref(), &entries)? else { continue };
            self.store(pair, Some(&tag), &index).await?;
        }
        Ok(())
    }

    /// What the source has under the tag, byte for byte, where that says it all; else what the destination has, with the entries. `None`:
    /// the destination's says it all.
    fn index(
        &self,
        graph: &Graph,
        subject: &Digest,
        there: Option<&Manifest>,
        entries: &[Value],
    ) -> Result<Option<Manifest>, TransferError> {
        let bad = |why: crate::image::manifest::BadManifest| {
            let message = format!("{}: {why}", fallback_tag(subject));
            TransferError::new(FailureClass::Permanent, Side::Destination, "PutManifest", why.code(), message)
        };
        if let Some(source) = graph.fallbacks.get(subject) {
            let named = |index: &Manifest| Ok::<_, TransferError>(index.read().map_err(bad)?.children);
            let ours = named(source)?;
            let has = |digest: &str| ours.iter().any(|child| child.digest.as_str() == digest);
            let theirs = there.map_or_else(|| Ok(Vec::new()), named)?;
            let complete = theirs.iter().all(|child| has(child.digest.as_str()))
                && entries.iter().all(|entry| entry["digest"].as_str().is_some_and(has))
                && ours.iter().all(|child| graph.has(&child.digest) || theirs.iter().any(|known| known.digest == child.digest));
            if complete {
                return Ok((there != Some(source)).then(|| source.clone()));
            }
        }
        merged(there, entries).map_err(bad)
    }
}

/// What a destination means that does not take a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Later.
    Load,
    /// It has just this.
    Exists,
    /// The tag stands for another image, and must.
    Immutable,
    /// It lacks something that the manifest names.
    Missing,
    /// There is no such repository.
    Repository,
    /// A digest is not right: ours was when it was sent.
    Digest,
    /// Anything else.
    Other,
}

impl Refusal {
    /// By the codes of the OCI distribution specification and of ECR's API.
    fn of(error: &TransferError) -> Self {
        match error.code.as_str() {
            _ if error.class == FailureClass::Throttled => Self::Load,
            "ImageAlreadyExistsException" => Self::Exists,
            "ImageTagAlreadyExistsException" | "TAG_IMMUTABLE" => Self::Immutable,
            "MANIFEST_BLOB_UNKNOWN"
            | "BLOB_UNKNOWN"
            | "MANIFEST_UNKNOWN"
            | "LayersNotFoundException"
            | "ReferencedImagesNotFoundException" => Self::Missing,
            "NAME_UNKNOWN" | "RepositoryNotFoundException" => Self::Repository,
            "DIGEST_INVALID" => Self::Digest,
            _ if error.message.to_ascii_lowercase().contains("immutable") => Self::Immutable,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_understood() {
        for (class, code, message, expected) in [
            (FailureClass::Throttled, "TOOMANYREQUESTS", "Rate exceeded", Refusal::Load),
            (
                FailureClass::Permanent,
                "TAG_INVALID",
                "The image tag 'v1' already exists and cannot be overwritten because the tag is immutable.",
                Refusal::Immutable,
            ),
            (FailureClass::Permanent, "ImageTagAlreadyExistsException", "", Refusal::Immutable),
            (FailureClass::Permanent, "ImageAlreadyExistsException", "", Refusal::Exists),
            (FailureClass::Permanent, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", Refusal::Missing),
            (FailureClass::Permanent, "LayersNotFoundException", "", Refusal::Missing),
            (FailureClass::Permanent, "NAME_UNKNOWN", "", Refusal::Repository),
            (FailureClass::Auth, "DENIED", "", Refusal::Other),
            (FailureClass::Permanent, "TAG_INVALID", "not a tag", Refusal::Other),
        ] {
            let error = TransferError::new(class, Side::Destination, "PutManifest", code, message);
            assert_eq!(Refusal::of(&error), expected, "{code}");
        }
    }
}
