//! One image from one registry to the other: everything that belongs to it, and its tag last.

mod estimate;
mod publish;
mod repository;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{ImageDestination, ImageOptions},
};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

pub(super) use self::estimate::{Claims, Estimate};
use super::{
    blob::{Blob, Blobs},
    digest::Digest,
    end::End,
    manifest::{Descriptor, Manifest},
    memory::Memory,
    platform::Platform,
    shared::Place,
    walk::{Graph, Sought, Walk, is_gone},
};
use crate::transfer::{TransferError, progress::ItemProgress};

/// Blobs of one image on their way at a time.
const BLOBS: usize = 16;

/// Copies images of one run. Its parts are shared with whoever else copies.
pub(super) struct Copier {
    /// Where from.
    pub(super) source: Arc<End>,
    /// Where to.
    pub(super) destination: Arc<End>,
    /// Settings of repositories that are created there.
    pub(super) target: ImageDestination,
    /// What goes along.
    pub(super) options: ImageOptions,
    /// Only these of images for several; empty: all.
    pub(super) platforms: Vec<Platform>,
    /// Carries blobs.
    pub(super) blobs: Blobs,
    /// What this run knows.
    pub(super) memory: Arc<Memory>,
    /// What all tasks know of the destination.
    pub(super) place: Arc<Place>,
    /// Cancelled: no further blob is begun.
    pub(super) stop: CancellationToken,
}

/// A repository at both ends.
#[derive(Debug)]
pub(super) struct Pair {
    /// The source's.
    pub(super) from: String,
    /// The destination's.
    pub(super) to: String,
    /// Tags that belong to other images of the source, by those, where it was listed.
    pub(super) attached: Option<BTreeMap<Digest, Vec<String>>>,
    /// What the destination's has.
    pub(super) there: There,
    /// An earlier run, or an earlier start of the daemon, may have sent blobs already, which no listing shows.
    pub(super) continued: bool,
}

/// What is known of a repository at the destination when it is looked at first.
#[derive(Debug)]
pub(super) enum There {
    /// It does not exist, or is empty.
    Nothing,
    /// These manifests.
    Listed(HashSet<Digest>),
    /// It must be asked for each.
    Unknown,
}

/// An image to copy.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// Its repository.
    pub(super) pair: Arc<Pair>,
    /// Its tag, if it has one.
    pub(super) tag: Option<String>,
    /// The source's digest; `None`: what its tag stands for when it is read.
    pub(super) digest: Option<Digest>,
    /// What the destination has under the tag.
    pub(super) there: Option<Digest>,
}

impl Image {
    /// Whether its blobs are sent without asking for each whether it is there: nothing is, and nothing of this task can have been sent
    /// before. `doubt`: what was known of the destination is wrong.
    pub(super) fn is_sent_unasked(&self, doubt: bool) -> bool {
        !doubt && !self.pair.continued && matches!(self.pair.there, There::Nothing)
    }
}

/// Why an image was not copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfinished {
    /// The source does not have it any more.
    #[error("the image is gone")]
    Gone,
    /// It has none of the platforms that are wanted.
    #[error("the image has none of the platforms")]
    NotSelected,
    /// It was told to stop.
    #[error("the copy was stopped")]
    Stopped,
    /// The destination lacks what it was thought to have: all must be asked for once more.
    #[error("the destination does not have what it had: {0}")]
    Stale(TransferError),
    /// A request failed for good.
    #[error(transparent)]
    Failed(#[from] TransferError),
}

/// What an image comes to.
pub(super) struct Plan {
    graph: Graph,
    /// Where the source's repository and this differ in platforms, their digests do.
    pub(super) source_digest: Digest,
    /// Bytes of its blobs.
    pub(super) size: u64,
}

impl Plan {
    /// Under which the destination will have it.
    pub(super) fn digest(&self) -> &Digest {
        &self.graph.root().manifest.digest
    }

    /// Whether there is nothing to do.
    pub(super) fn is_done(&self) -> bool {
        self.graph.waves().is_empty()
    }
}

/// What the destination has of a repository.
struct Seen<'a> {
    copier: &'a Copier,
    pair: &'a Pair,
    /// What was known is known to be wrong.
    doubt: bool,
}

impl Sought for Seen<'_> {
    async fn manifest(&self, digest: &Digest) -> Result<bool, TransferError> {
        let (memory, to) = (&self.copier.memory, self.pair.to.as_str());
        if self.doubt {
            // it may have the manifest, and not what that names
            return Ok(false);
        }
        let asked = memory.asks();
        if memory.has_manifest(to, digest) {
            return Ok(true);
        }
        let there = match &self.pair.there {
            There::Nothing if !self.pair.continued => return Ok(false),
            There::Listed(digests) => return Ok(digests.contains(digest)),
            _ => self.copier.destination.registry.resolve(to, digest.as_str()).await?.is_some(),
        };
        if there {
            memory.manifest_is_there(asked, to, digest);
        }
        Ok(there)
    }

    async fn tag(&self, tag: &str) -> Result<Option<Digest>, TransferError> {
        if matches!(self.pair.there, There::Nothing) && !self.pair.continued && !self.doubt {
            return Ok(None);
        }
        Ok(self.copier.destination.registry.resolve(&self.pair.to, tag).await?.map(|found| found.digest))
    }
}

/// A tag stands for what does not exist.
fn dangling(host: &str, repository: &str, tag: &str, digest: &Digest) -> String {
    format!(
        "{host} says that {repository}:{tag} is {digest}, and has no manifest of this digest: either it announces a wrong digest \
         (Docker-Content-Digest), or it has lost the manifest; push the tag again"
    )
}

impl Copier {
    /// Reads everything that belongs to an image and is not at the destination. `doubt`: what was known of the destination is wrong.
    pub(super) async fn plan(&self, image: &Image, doubt: bool) -> Result<Plan, Unfinished> {
        let named = self.root(image).await?;
        let source_digest = named.digest.clone();
        let root = self.selected(named)?;
        let is_there = image.there.as_ref() == Some(&root.digest);
        if is_there && !doubt {
            self.memory.manifest_is_there(self.memory.asks(), &image.pair.to, &root.digest);
        }
        let seen = Seen { copier: self, pair: &image.pair, doubt };
        let walk = Walk {
            source: &self.source.registry,
            repository: &image.pair.from,
            sought: &seen,
            referrers: self.options.referrers,
            attached: image.pair.attached.as_ref(),
            only_tags: &self.memory.only_tags,
        };
        let tag = image.tag.clone().filter(|_| !is_there);
        let graph = walk.all(root, &source_digest, tag).await?;
        let size = graph.size(self.options.foreign_layers);
        Ok(Plan { graph, source_digest, size })
    }

    /// The image's own manifest. Where its digest is gone, its tag may have moved.
    async fn root(&self, image: &Image) -> Result<Manifest, Unfinished> {
        let (source, from) = (&self.source.registry, &image.pair.from);
        let reference = image.digest.as_ref().map(Digest::as_str).or(image.tag.as_deref()).unwrap_or_default();
        match source.manifest(from, reference).await {
            Err(error) if is_gone(&error) => {
                let (Some(tag), Some(digest)) = (&image.tag, &image.digest) else { return Err(Unfinished::Gone) };
                let Some(moved) = source.resolve(from, tag).await? else { return Err(Unfinished::Gone) };
                if moved.digest == *digest {
                    return Err(TransferError { message: dangling(source.host(), from, tag, digest), ..error }.into());
                }
                Ok(source.manifest(from, moved.digest.as_str()).await?)
            }
            read => Ok(read?),
        }
    }

    /// The image with those platforms that are wanted.
    fn selected(&self, root: Manifest) -> Result<Manifest, Unfinished> {
        let bad = |why: super::manifest::BadManifest| {
            TransferError::new(FailureClass::Permanent, Side::Source, "GetManifest", why.code(), format!("{}: {why}", root.digest))
        };
        if self.platforms.is_empty() || !root.read().map_err(bad)?.is_index {
            return Ok(root);
        }
        let wanted = |child: &Descriptor| child.platform.as_ref().is_none_or(|platform| platform.matches(&self.platforms));
        let left = root.only(wanted).map_err(bad)?;
        if left.read().map_err(bad)?.children.is_empty() { Err(Unfinished::NotSelected) } else { Ok(left) }
    }

    /// Carries the blobs, then stores the manifests.
    pub(super) async fn execute(&self, image: &Image, plan: &Plan, progress: &ItemProgress, doubt: bool) -> Result<(), Unfinished> {
        let pair = &*image.pair;
        if matches!(pair.there, There::Nothing) {
            self.create(pair).await?;
        }
        let blobs = plan.graph.blobs(self.options.foreign_layers);
        progress.begin(plan.size, u32::try_from(blobs.len()).unwrap_or(u32::MAX));
        self.blobs.look(&pair.to, &blobs).await?;
        self.carry(pair, &blobs, !image.is_sent_unasked(doubt), progress).await?;
        self.publish(pair, &plan.graph).await?;
        if self.destination.ecr.is_some() {
            // ECR mounts blobs from where a manifest names them
            for blob in blobs {
                self.place.holds(&pair.to, &blob.digest);
            }
        }
        Ok(())
    }

    /// All blobs side by side. After a failure none is begun any more; those on their way arrive, because other images may want them.
    async fn carry(&self, pair: &Pair, blobs: &[&Descriptor], ask: bool, progress: &ItemProgress) -> Result<(), Unfinished> {
        // large ones first: the others fit in beside them
        let mut order: Vec<&Descriptor> = blobs.to_vec();
        order.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        let mut waiting = order.into_iter();
        let mut flying = FuturesUnordered::new();
        let mut failed: Option<TransferError> = None;
        loop {
            while flying.len() < BLOBS
                && failed.is_none()
                && !self.stop.is_cancelled()
                && let Some(blob) = waiting.next()
            {
                flying.push(self.blobs.carry(Blob { from: &pair.from, to: &pair.to, blob, ask, progress }));
            }
            match flying.next().await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    failed.get_or_insert(error);
                }
                None => break,
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None if waiting.next().is_some() => Err(Unfinished::Stopped),
            None => Ok(()),
        }
    }
}
