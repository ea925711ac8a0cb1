//! Looks at a repository at both ends, and decides about each of its images by digest.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use dth_proto::failure::{FailureClass, Side};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::OnceCell;

use crate::{
    image::{
        copy::{Image, Pair, There},
        digest::Digest,
        end::End,
        item::Item,
        memory::Memory,
        name::NameMap,
        select::{Listed, Picked, Selection},
        walk::{Sought, Walk},
    },
    store::{
        Store,
        item::{ItemOutcome, ItemRecord},
    },
    transfer::{TransferError, account::failed},
};

/// Images of a repository that are asked for at a time; the registries' windows decide how many requests that are.
const SIDE_BY_SIDE: usize = 128;
/// So few images are asked for one by one; of more it is looked up first which are there.
const FEW: usize = 2;

/// Both ends, and the rules between them.
pub(super) struct Look {
    pub(super) store: Store,
    /// Uid and number.
    pub(super) run: (u64, u32),
    pub(super) source: Arc<End>,
    pub(super) destination: Arc<End>,
    pub(super) selection: Selection,
    pub(super) names: NameMap,
    /// What this run knows.
    pub(super) memory: Arc<Memory>,
    /// An image was asked for what refers to it.
    pub(super) first_asked: OnceCell<()>,
    /// As the task has them.
    pub(super) platforms: Vec<String>,
    pub(super) referrers: bool,
    /// An earlier run, or an earlier start of the daemon, may have sent something.
    pub(super) continued: bool,
    /// It left records.
    pub(super) recorded: bool,
}

/// A repository, and what of it is meant; `None`: what the task selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) repository: String,
    pub(super) items: Option<Vec<Item>>,
}

/// What became of an image that was looked at.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is the same at both ends.
    Same,
    /// This run has copied it before.
    Copied(ItemRecord),
    /// A rule leaves it out. `record`: that depends on the image's state.
    Skipped { rule: &'static str, record: bool },
    /// It cannot be copied.
    Failed(ItemOutcome),
    /// It must be copied.
    Copy { image: Image, reason: &'static str },
}

/// Images by their keys, in their order.
pub(super) type Looked = BTreeMap<String, Decision>;

/// One listing of the destination.
#[derive(Default)]
struct Present {
    /// Digests of tags; `None`: it is there, and must be asked for.
    tags: HashMap<String, Option<Digest>>,
    /// All manifests, where the destination lists them.
    digests: Option<HashSet<Digest>>,
    /// The repository does not exist.
    missing: bool,
    /// It is not known which tags there are.
    unknown: bool,
}

impl Present {
    /// Whether the destination is known not to have a tag.
    fn lacks(&self, tag: Option<&str>) -> bool {
        self.missing || tag.is_some_and(|tag| !self.unknown && !self.tags.contains_key(tag))
    }
}

/// The key of a repository that cannot be listed: no tag begins with `*`.
pub(super) fn whole(repository: &str) -> String {
    format!("{repository}:*")
}

impl Look {
    /// See the module. A repository that cannot be listed is one failed item: it never counts as empty.
    pub(super) async fn at(&self, wanted: Wanted) -> Looked {
        let repository = wanted.repository.clone();
        match self.decided(wanted).await {
            Ok(looked) => looked,
            Err(error) => BTreeMap::from([(whole(&repository), Decision::Failed(failed(&error)))]),
        }
    }

    async fn decided(&self, Wanted { repository, items }: Wanted) -> Result<Looked, TransferError> {
        let to = self
            .names
            .map(&repository)
            .map_err(|why| TransferError::new(FailureClass::Permanent, Side::Destination, "PutManifest", "NAME_INVALID", why))?;
        let lists = items.is_none() && self.selection.wants_tags(&repository);
        let many = lists || items.as_ref().is_some_and(|items| items.len() > FEW);
        let (listed, present) = tokio::join!(self.list(&repository, lists), self.present(&to, many));
        let Some(listed) = listed? else {
            return self.absent(&repository);
        };
        // tags that were listed and are gone when they are asked for have vanished; others never were
        let known: HashSet<String> = listed.iter().filter_map(|one| one.tag.clone()).collect();
        let of_tags: HashMap<String, Digest> = listed.iter().filter_map(|one| Some((one.tag.clone()?, one.digest.clone()?))).collect();
        let picked = match items {
            Some(images) => Picked { images, ..Picked::default() },
            None => self.selection.pick(&repository, listed),
        };
        let present = present?;
        let mut looked: Looked = BTreeMap::new();
        for (item, rule) in picked.skipped {
            looked.insert(item.key(), Decision::Skipped { rule, record: false });
        }
        let there = match &present {
            Present { missing: true, .. } => There::Nothing,
            Present { digests: Some(digests), .. } => There::Listed(digests.clone()),
            _ => There::Unknown,
        };
        let attached = lists.then_some(picked.attached);
        let pair = Arc::new(Pair { from: repository, to, attached, there, continued: self.continued });
        let mut waiting = picked.images.into_iter();
        let mut asking = FuturesUnordered::new();
        loop {
            while asking.len() < SIDE_BY_SIDE
                && let Some(item) = waiting.next()
            {
                let listed = item.tag.as_ref().is_some_and(|tag| known.contains(tag));
                asking.push(self.decide(item, &pair, &present, &of_tags, listed));
            }
            let Some((key, decision)) = asking.next().await else { break };
            looked.insert(key, decision);
        }
        Ok(looked)
    }

    /// `None`: there is no such repository.
    async fn list(&self, repository: &str, lists: bool) -> Result<Option<Vec<Listed>>, TransferError> {
        if !lists {
            return Ok(Some(Vec::new()));
        }
        match &self.source.ecr {
            Some(ecr) => ecr.images(repository, self.selection.wants_push_times()).await,
            None => Ok(self.source.registry.tags(repository).await?.map(|tags| tags.into_iter().map(Listed::tagged).collect())),
        }
    }

    /// The source does not have a repository: one that the task names is missing, one that was listed has vanished.
    fn absent(&self, repository: &str) -> Result<Looked, TransferError> {
        if self.selection.named().is_some() {
            let message = format!("{} has no repository {repository:?}", self.source.registry.host());
            return Err(TransferError::new(FailureClass::Permanent, Side::Source, "ListTags", "NAME_UNKNOWN", message));
        }
        Ok(BTreeMap::from([(whole(repository), Decision::Skipped { rule: "gone", record: true })]))
    }

    async fn present(&self, to: &str, many: bool) -> Result<Present, TransferError> {
        if let Some(ecr) = &self.destination.ecr {
            let Some(listed) = ecr.images(to, false).await? else { return Ok(Present { missing: true, ..Present::default() }) };
            let tags = listed.iter().filter_map(|one| Some((one.tag.clone()?, one.digest.clone()))).collect();
            let digests = listed.into_iter().filter_map(|one| one.digest).collect();
            return Ok(Present { tags, digests: Some(digests), ..Present::default() });
        }
        if !many {
            return Ok(Present { unknown: true, ..Present::default() });
        }
        match self.destination.registry.tags(to).await {
            Ok(Some(tags)) => Ok(Present { tags: tags.into_iter().map(|tag| (tag, None)).collect(), ..Present::default() }),
            Ok(None) => Ok(Present { missing: true, ..Present::default() }),
            // some may write, and not list
            Err(error) if !error.is_retryable() => Ok(Present { unknown: true, ..Present::default() }),
            Err(error) => Err(error),
        }
    }

    async fn decide(
        &self,
        item: Item,
        pair: &Arc<Pair>,
        present: &Present,
        of_tags: &HashMap<String, Digest>,
        listed: bool,
    ) -> (String, Decision) {
        let key = item.key();
        let decision = self.compare(item, pair, present, of_tags, listed).await;
        (key, decision.unwrap_or_else(|error| Decision::Failed(failed(&error))))
    }

    async fn compare(
        &self,
        item: Item,
        pair: &Arc<Pair>,
        present: &Present,
        of_tags: &HashMap<String, Digest>,
        listed: bool,
    ) -> Result<Decision, TransferError> {
        if listed && item.digest.is_none() && present.lacks(item.tag.as_deref()) {
            // it is read anyway, and says its digest by itself
            let image = Image { pair: Arc::clone(pair), tag: item.tag, digest: None, there: None };
            return Ok(Decision::Copy { image, reason: "missing" });
        }
        let (digest, there) = tokio::join!(self.here(&item, &pair.from), self.there(&item, pair, present));
        let Some(digest) = digest? else {
            if listed {
                return Ok(Decision::Skipped { rule: "gone", record: true });
            }
            let message = format!("{} has no {}", self.source.registry.host(), item.key());
            return Err(TransferError::new(FailureClass::Permanent, Side::Source, "HeadManifest", "MANIFEST_UNKNOWN", message));
        };
        let there = there?;
        let is_same = there.as_ref().is_some_and(|there| *there == digest || self.is_recorded(&pair.to, &item, &digest, there));
        // what refers to an index does not refer to what platforms were left of it
        let lacks = there.as_ref() == Some(&digest) && self.lacks_attached(&digest, pair, present, of_tags).await?;
        if is_same && !lacks {
            return Ok(self.earlier(&item, &digest, there.as_ref()).map_or(Decision::Same, Decision::Copied));
        }
        let reason = match &there {
            _ if is_same => "referrers",
            Some(_) => "digest",
            None => "missing",
        };
        Ok(Decision::Copy { image: Image { pair: Arc::clone(pair), tag: item.tag, digest: Some(digest), there }, reason })
    }

    /// What the source has under the image's name.
    async fn here(&self, item: &Item, from: &str) -> Result<Option<Digest>, TransferError> {
        match &item.digest {
            Some(digest) => Ok(Some(digest.clone())),
            None => Ok(self.source.registry.resolve(from, item.reference()).await?.map(|found| found.digest)),
        }
    }

    /// What the destination has under the image's name.
    async fn there(&self, item: &Item, pair: &Pair, present: &Present) -> Result<Option<Digest>, TransferError> {
        match (&item.tag, &item.digest) {
            _ if present.missing => Ok(None),
            (Some(tag), _) => match present.tags.get(tag) {
                Some(Some(digest)) => Ok(Some(digest.clone())),
                None if !present.unknown => Ok(None),
                _ => self.digest_there(&pair.to, tag).await,
            },
            (None, Some(digest)) => match &present.digests {
                Some(digests) => Ok(digests.get(digest).cloned()),
                None => self.digest_there(&pair.to, digest.as_str()).await,
            },
            (None, None) => Ok(None),
        }
    }

    async fn digest_there(&self, to: &str, reference: &str) -> Result<Option<Digest>, TransferError> {
        Ok(self.destination.registry.resolve(to, reference).await?.map(|found| found.digest))
    }

    /// Where platforms are left out, the digests differ; what became of which was recorded.
    fn is_recorded(&self, to: &str, item: &Item, source: &Digest, there: &Digest) -> bool {
        if self.platforms.is_empty() {
            return false;
        }
        // a record that cannot be read is as good as none: the index is read, and found to be the same
        let recorded = self.store.pair(self.run.0, &filtered(to, item.tag.as_deref(), &self.platforms)).ok().flatten();
        recorded.is_some_and(|pair| pair.source_etag.as_str() == source.as_str() && pair.destination_etag.as_str() == there.as_str())
    }

    /// Whether something that refers to an image which is the same at both ends, such as a signature, is missing at the destination.
    async fn lacks_attached(
        &self,
        digest: &Digest,
        pair: &Pair,
        present: &Present,
        of_tags: &HashMap<String, Digest>,
    ) -> Result<bool, TransferError> {
        if !self.referrers {
            return Ok(false);
        }
        let sought = Asked { look: self, pair, present };
        let walk = Walk {
            source: &self.source.registry,
            repository: &pair.from,
            sought: &sought,
            referrers: true,
            attached: pair.attached.as_ref(),
            only_tags: &self.memory.only_tags,
        };
        // one image finds out whether the source tells by itself what refers to a manifest, the others wait: where only tags do, a listing
        // has said it already
        self.first_asked.get_or_try_init(async || walk.lacks(digest, of_tags).await.map(drop)).await?;
        walk.lacks(digest, of_tags).await
    }

    /// What an earlier start of this run recorded of an image that it has copied.
    fn earlier(&self, item: &Item, source: &Digest, there: Option<&Digest>) -> Option<ItemRecord> {
        if !self.recorded {
            return None;
        }
        let (uid, run) = self.run;
        let record = self.store.item(uid, run, &item.key()).ok().flatten()?;
        let ItemOutcome::Copied { source_etag, destination_etag, .. } = &record.outcome else { return None };
        (source_etag == source.as_str() && Some(destination_etag.as_str()) == there.map(Digest::as_str)).then_some(record)
    }
}

/// What the destination has, as a listing of it tells, else as it answers.
struct Asked<'a> {
    look: &'a Look,
    pair: &'a Pair,
    present: &'a Present,
}

impl Sought for Asked<'_> {
    async fn manifest(&self, digest: &Digest) -> Result<bool, TransferError> {
        match &self.present.digests {
            Some(digests) => Ok(digests.contains(digest)),
            None => Ok(self.look.digest_there(&self.pair.to, digest.as_str()).await?.is_some()),
        }
    }

    async fn tag(&self, tag: &str) -> Result<Option<Digest>, TransferError> {
        self.look.there(&Item::tagged(&self.pair.from, tag, None), self.pair, self.present).await
    }
}

/// Under which name it is recorded what became of an image of which only some platforms were copied.
pub(super) fn filtered(to: &str, tag: Option<&str>, platforms: &[String]) -> String {
    format!("{to}:{} {}", tag.unwrap_or_default(), platforms.join(","))
}
