//! What carrying an image would take, found out without a request that writes.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Copier, Image, Plan, Unfinished};
use crate::{
    image::digest::Digest,
    transfer::estimate::{Operation, Requests},
};

/// What images that are planned share: each is counted with the first image that needs it.
#[derive(Debug, Default)]
pub(in crate::image) struct Claims(Mutex<Claimed>);

#[derive(Debug, Default)]
struct Claimed {
    /// Repositories that will have a blob.
    blobs: HashMap<Digest, HashSet<String>>,
    manifests: HashSet<(String, Digest)>,
}

/// How a blob would come into a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Nobody has claimed it.
    First,
    /// It will be in another repository.
    Elsewhere,
    /// It will be there.
    Here,
}

impl Claims {
    fn blob(&self, repository: &str, digest: &Digest) -> Claim {
        let mut claimed = self.lock();
        let holders = claimed.blobs.entry(digest.clone()).or_default();
        let first = holders.is_empty();
        match holders.insert(repository.to_owned()) {
            false => Claim::Here,
            true if first => Claim::First,
            true => Claim::Elsewhere,
        }
    }

    fn manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.lock().manifests.insert((repository.to_owned(), digest.clone()))
    }

    /// Entries come whole: they are right also when a holder panicked.
    fn lock(&self) -> MutexGuard<'_, Claimed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an image comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct Estimate {
    /// Bytes that would be sent.
    pub(in crate::image) bytes: u64,
    /// Requests it would take.
    pub(in crate::image) requests: Requests,
}

impl Copier {
    /// Asks the destination for the blobs of an image, and counts those that neither it nor an image before this one has.
    pub(in crate::image) async fn estimate(&self, image: &Image, plan: &Plan, claims: &Claims) -> Result<Estimate, Unfinished> {
        let pair = &*image.pair;
        let blobs = plan.graph.blobs(self.options.foreign_layers);
        let ask = !image.is_sent_unasked(false);
        if ask {
            self.blobs.look(&pair.to, &blobs).await?;
        }
        let mounts = match &self.destination.ecr {
            Some(ecr) => ecr.mounts_blobs().await?,
            None => true,
        };
        let mut estimate = Estimate::default();
        for blob in blobs {
            let digest = &blob.digest;
            if self.memory.has_blob(&pair.to, digest) {
                continue;
            }
            let claim = claims.blob(&pair.to, digest);
            if claim == Claim::Here {
                continue;
            }
            let asked = self.memory.asks();
            if ask && self.destination.ecr.is_none() && self.destination.registry.has_blob(&pair.to, digest).await? {
                self.memory.blob_is_there(asked, &pair.to, digest);
                continue;
            }
            if mounts && (claim == Claim::Elsewhere || self.place.other_holder(digest, &pair.to).is_some()) {
                estimate.requests.count(Operation::MountBlob, 1);
                continue;
            }
            estimate.bytes += blob.size;
            estimate.requests.count(Operation::GetBlob, 1);
            estimate.requests.count(Operation::UploadBlob, 2);
        }
        for put in plan.graph.waves().into_iter().flatten() {
            let digest = &plan.graph.node(put.node).manifest.digest;
            if put.tagged || claims.manifest(&pair.to, digest) {
                estimate.requests.count(Operation::GetManifest, 1);
                estimate.requests.count(Operation::PutManifest, 1);
            }
        }
        Ok(estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_sent_once_and_mounted_elsewhere() {
        let (claims, a, b) = (Claims::default(), Digest::sha256(b"a"), Digest::sha256(b"b"));
        assert_eq!(claims.blob("x", &a), Claim::First);
        assert_eq!(claims.blob("x", &a), Claim::Here);
        assert_eq!(claims.blob("y", &a), Claim::Elsewhere);
        assert_eq!(claims.blob("y", &a), Claim::Here);
        assert_eq!(claims.blob("y", &b), Claim::First);
        assert!(claims.manifest("x", &a) && !claims.manifest("x", &a) && claims.manifest("y", &a));
    }
}
