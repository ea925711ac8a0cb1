//! Reads all manifests that belong to an image, side by side.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    future::Future,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use dth_proto::failure::FailureClass;
use futures::{StreamExt, stream::FuturesUnordered};

use super::Graph;
use crate::{
    image::{
        digest::Digest,
        manifest::{Content, Manifest},
        registry::{ReferrersBy, Registry, fallback_tag},
    },
    transfer::TransferError,
};

/// Manifests of one image that are asked for at a time.
const SIDE_BY_SIDE: usize = 16;
/// What cosign puts behind the digest of an image, for signatures, attestations and bills of material.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];

/// What the destination has.
pub(in crate::image) trait Sought: Sync {
    /// Whether it has a manifest.
    fn manifest(&self, digest: &Digest) -> impl Future<Output = Result<bool, TransferError>> + Send;
    /// What it has under a tag.
    fn tag(&self, tag: &str) -> impl Future<Output = Result<Option<Digest>, TransferError>> + Send;
}

/// See the module.
pub(in crate::image) struct Walk<'a, S> {
    /// Where from.
    pub(in crate::image) source: &'a Registry,
    /// Its repository.
    pub(in crate::image) repository: &'a str,
    /// What is at the destination is not read.
    pub(in crate::image) sought: &'a S,
    /// Also what refers to it.
    pub(in crate::image) referrers: bool,
    /// Tags of the repository that belong to other images, where it was listed.
    pub(in crate::image) attached: Option<&'a BTreeMap<Digest, Vec<String>>>,
    /// The source does not tell what refers to a manifest: only tags do. Found out here.
    pub(in crate::image) only_tags: &'a AtomicBool,
}

/// What is to be asked for.
enum Step {
    Child(Digest),
    Referrers(Digest),
    Referrer { digest: Digest, of: Digest },
    Attached { tag: String, of: Digest },
}

/// What was found.
enum Found {
    /// Nothing that would have to be stored; what refers to it may have to.
    Stored(Digest),
    Manifest {
        node: Box<(Manifest, Content)>,
        tag: Option<String>,
        of: Option<Digest>,
    },
    Referrers {
        of: Digest,
        digests: Vec<Digest>,
        index: Option<Manifest>,
    },
    Nothing,
}

impl<S: Sought> Walk<'_, S> {
    /// Everything that belongs to an image, except what the destination has. `named`: the digest under which the source has it, which is
    /// another where platforms are left out.
    ///
    /// # Errors
    /// When something cannot be read: an image is copied as a whole or not at all.
    pub(in crate::image) async fn all(&self, root: Manifest, named: &Digest, tag: Option<String>) -> Result<Graph, TransferError> {
        let content = self.content(&root)?;
        let stored = self.sought.manifest(&root.digest).await?;
        let mut steps = VecDeque::new();
        let mut asked = HashSet::new();
        if !stored {
            steps.extend(content.children.iter().map(|child| Step::Child(child.digest.clone())));
        }
        // what refers to an index does not refer to the one that is left of it
        if self.referrers && root.digest == *named {
            self.relations(&root.digest, &mut steps);
        }
        asked.insert(root.digest.clone());
        let mut graph = Graph::new(root, content, tag, stored);
        let mut asking = FuturesUnordered::new();
        loop {
            while asking.len() < SIDE_BY_SIDE
                && let Some(step) = steps.pop_front()
            {
                // a digest that several name is read once; its place behind others is noted when it is there
                let first = match &step {
                    Step::Child(digest) => asked.insert(digest.clone()),
                    _ => true,
                };
                if first {
                    asking.push(self.step(step));
                }
            }
            let Some(found) = asking.next().await else { return Ok(graph) };
            match found? {
                Found::Nothing => {}
                Found::Stored(digest) if self.referrers => self.relations(&digest, &mut steps),
                Found::Stored(_) => {}
                Found::Manifest { node, tag, of } => {
                    let (digest, children) = (node.0.digest.clone(), node.1.children.clone());
                    if graph.add(*node, tag, of)? {
                        asked.insert(digest.clone());
                        steps.extend(children.into_iter().map(|child| Step::Child(child.digest)));
                        if self.referrers {
                            self.relations(&digest, &mut steps);
                        }
                    }
                }
                Found::Referrers { of, digests, index } => {
                    steps.extend(digests.into_iter().map(|digest| Step::Referrer { digest, of: of.clone() }));
                    if let Some(index) = index {
                        graph.fallbacks.insert(of, index);
                    }
                }
            }
        }
    }

    /// Whether the destination lacks something that refers to a manifest which it has, or that refers to such. `known`: digests of the
    /// source's tags, as far as they were listed.
    ///
    /// # Errors
    /// When either end does not answer.
    pub(in crate::image) async fn lacks(&self, of: &Digest, known: &HashMap<String, Digest>) -> Result<bool, TransferError> {
        let mut steps = VecDeque::new();
        let mut asked = HashSet::from([of.clone()]);
        self.relations(of, &mut steps);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Referrers(of) => {
                    let (digests, _) = self.referrers_of(&of).await?;
                    for digest in digests {
                        if asked.insert(digest.clone()) {
                            if !self.sought.manifest(&digest).await? {
                                return Ok(true);
                            }
                            self.relations(&digest, &mut steps);
                        }
                    }
                }
                Step::Attached { tag, .. } => {
                    let here = async {
                        match known.get(&tag) {
                            Some(digest) => Ok(Some(digest.clone())),
                            None => Ok(self.source.resolve(self.repository, &tag).await?.map(|found| found.digest)),
                        }
                    };
                    let (here, there): (Result<_, TransferError>, _) = tokio::join!(here, self.sought.tag(&tag));
                    let here = here?;
                    if here.is_some() && here != there? {
                        return Ok(true);
                    }
                }
                // what a manifest consists of came with it
                Step::Child(_) | Step::Referrer { .. } => {}
            }
        }
        Ok(false)
    }

    /// What refers to a manifest, and the index that says so, where the registry does not.
    async fn referrers_of(&self, of: &Digest) -> Result<(Vec<Digest>, Option<Manifest>), TransferError> {
        let found = self.source.referrers(self.repository, of).await?;
        let digests = found.descriptors.into_iter().map(|descriptor| descriptor.digest).collect();
        let index = match found.by {
            ReferrersBy::Api => return Ok((digests, None)),
            ReferrersBy::Tag(index) => Some(index),
            ReferrersBy::None => None,
        };
        self.only_tags.store(true, Relaxed);
        Ok((digests, index))
    }

    /// What to ask for to know what refers to a manifest.
    fn relations(&self, of: &Digest, steps: &mut VecDeque<Step>) {
        let fallback = fallback_tag(of);
        let known = self.attached.map(|attached| attached.get(of).map_or(&[][..], Vec::as_slice));
        if !self.only_tags.load(Relaxed) || known.is_none_or(|tags| tags.contains(&fallback)) {
            steps.push_back(Step::Referrers(of.clone()));
        }
        let tags: Vec<String> = match known {
            Some(tags) => tags.iter().filter(|tag| **tag != fallback).cloned().collect(),
            None => COSIGN.iter().map(|suffix| format!("{fallback}{suffix}")).collect(),
        };
        steps.extend(tags.into_iter().map(|tag| Step::Attached { tag, of: of.clone() }));
    }

    async fn step(&self, step: Step) -> Result<Found, TransferError> {
        match step {
            Step::Child(digest) => {
                if self.sought.manifest(&digest).await? {
                    return Ok(Found::Stored(digest));
                }
                let manifest = self.source.manifest(self.repository, digest.as_str()).await?;
                Ok(Found::Manifest { node: self.with_content(manifest)?, tag: None, of: None })
            }
            Step::Referrers(of) => {
                let (digests, index) = self.referrers_of(&of).await?;
                Ok(Found::Referrers { of, digests, index })
            }
            Step::Referrer { digest, of } => {
                if self.sought.manifest(&digest).await? {
                    return Ok(Found::Stored(digest));
                }
                match self.source.manifest(self.repository, digest.as_str()).await {
                    Ok(manifest) => Ok(Found::Manifest { node: self.with_content(manifest)?, tag: None, of: Some(of) }),
                    // indexes of referrers are not cleaned up when what they name is deleted
                    Err(error) if is_gone(&error) => Ok(Found::Nothing),
                    Err(error) => Err(error),
                }
            }
            Step::Attached { tag, of } => {
                let (here, there) = tokio::join!(self.source.resolve(self.repository, &tag), self.sought.tag(&tag));
                let Some(here) = here? else { return Ok(Found::Nothing) };
                if there?.as_ref() == Some(&here.digest) {
                    return Ok(Found::Nothing);
                }
                let manifest = self.source.manifest(self.repository, here.digest.as_str()).await?;
                Ok(Found::Manifest { node: self.with_content(manifest)?, tag: Some(tag), of: Some(of) })
            }
        }
    }

    fn with_content(&self, manifest: Manifest) -> Result<Box<(Manifest, Content)>, TransferError> {
        let content = self.content(&manifest)?;
        Ok(Box::new((manifest, content)))
    }

    fn content(&self, manifest: &Manifest) -> Result<Content, TransferError> {
        manifest.read().map_err(|why| {
            let message = format!("{}: {why}", manifest.digest);
            TransferError::new(FailureClass::Permanent, self.source.side(), "GetManifest", why.code(), message)
        })
    }
}

/// The source says that something does not exist.
pub(in crate::image) fn is_gone(error: &TransferError) -> bool {
    error.operation == "GetManifest" && ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"].contains(&error.code.as_str())
}
