//! Which images of a registry a task means.
//!
//! | file | holds |
//! |---|---|
//! | `named` | repositories and images that the task names |
//! | `tag` | the rules about tags |
//! | `version` | the version that a tag says |
//! | `attached` | tags that belong to another image: signatures, attestations, bills of material |
//!
//! # Tags that belong to another image
//!
//! cosign and the referrers tag schema keep what refers to the image `sha256:<hex>` under the tag `sha256-<hex>`, `sha256-<hex>.sig`, `.att` or
//! `.sbom` of the same repository. Such a tag is no image of its own: it goes wherever its image goes, if the task copies referrers, also if the
//! rules about tags are made for versions only; a signature whose image stays behind stays behind too, and does not take a place among the
//! newest. [`Picked::attached`] has these tags by their image, so that nobody must ask the registry for each. They are chosen by themselves only
//! where the task names them: in `source.images`, or by a glob or regular expression in `options.tags` or `options.tag_regex` that speaks of
//! them (`sha256-*`, `*.sig`). `options.exclude_tags` holds for them as for all.

mod attached;
mod named;
mod tag;
mod version;

use std::collections::BTreeMap;

use dth_proto::{
    spec::{ImageOptions, ImageSource},
    time::Timestamp,
};
use globset::Candidate;

use self::{named::Named, tag::TagRules};
use super::{digest::Digest, item::Item};
use crate::transfer::glob::Globs;

/// One entry of a repository's listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tag; `None`: an image without one.
    pub tag: Option<String>,
    /// Digest, where the listing says it.
    pub digest: Option<Digest>,
    /// When it was pushed, where the listing says it.
    pub pushed: Option<Timestamp>,
}

impl Listed {
    /// A tag of which the listing says nothing else.
    #[must_use]
    pub fn tagged(tag: impl Into<String>) -> Self {
        Self { tag: Some(tag.into()), ..Self::default() }
    }
}

/// Why an image is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Matches `exclude_tags`.
    Excluded,
    /// Matches nothing in `tags`, or not `tag_regex`, or is no version in `semver`.
    NotIncluded,
    /// Not one of the `newest`.
    TooOld,
    /// Has no tag, and the task does not want such images.
    Untagged,
    /// Belongs to another image: goes with it, where the task copies referrers.
    Attached,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Excluded, Self::NotIncluded, Self::TooOld, Self::Untagged, Self::Attached];

    /// The word in counters, records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::NotIncluded => "not-included",
            Self::TooOld => "too-old",
            Self::Untagged => "untagged",
            Self::Attached => "attached",
        }
    }
}

/// What a listing comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// Wanted, in the order of their keys.
    pub images: Vec<Item>,
    /// Listed but left out, in the order of their keys, with the word of the rule ([`SkipReason::word`]).
    pub skipped: Vec<(Item, &'static str)>,
    /// Tags that belong to other images, by those, sorted; empty where the task does not copy referrers. All are in `skipped` as well, as
    /// they are no images of their own.
    pub attached: BTreeMap<Digest, Vec<String>>,
}

/// The rules of a task.
#[derive(Clone, Debug)]
pub struct Selection {
    named: Option<Named>,
    repositories: Globs,
    exclude_repositories: Globs,
    tags: TagRules,
    untagged: bool,
    referrers: bool,
}

impl Selection {
    /// Reads the rules.
    ///
    /// # Errors
    /// One sentence for everything that cannot be read or contradicts something else, with field, value and the way out.
    pub fn new(source: &ImageSource, options: &ImageOptions) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let selection = Self {
            named: Named::read(source, &mut problems),
            repositories: Globs::new("options.repositories", &options.repositories, &mut problems),
            exclude_repositories: Globs::new("options.exclude_repositories", &options.exclude_repositories, &mut problems),
            tags: TagRules::read(options, &mut problems),
            untagged: options.untagged,
            referrers: options.referrers,
        };
        for repository in selection.named().unwrap_or_default() {
            if !selection.keep_repository(&repository) {
                problems.push(format!(
                    "source.images: names {repository:?}, which options.repositories or options.exclude_repositories leaves out: change one of them"
                ));
            }
        }
        if problems.is_empty() { Ok(selection) } else { Err(problems) }
    }

    /// The repositories that the task names, as the registry calls them (on Docker Hub with `library/`), in the order in which the keys of
    /// their images are sorted ([`super::item::order`]); `None`: all that the registry lists.
    #[must_use]
    pub fn named(&self) -> Option<Vec<String>> {
        self.named.as_ref().map(Named::repositories)
    }

    /// Whether the globs about repositories let this one in.
    #[must_use]
    pub fn keep_repository(&self, repository: &str) -> bool {
        let name = Candidate::new(repository);
        !self.exclude_repositories.matches(&name) && (self.repositories.is_empty() || self.repositories.matches(&name))
    }

    /// Whether the repository must be listed; `false`: the task means only images that it names by tag or digest.
    #[must_use]
    pub fn wants_tags(&self, repository: &str) -> bool {
        self.named.as_ref().is_none_or(|named| named.whole(repository))
    }

    /// Whether times of pushes can make a difference: not where every tag that is left is a version.
    #[must_use]
    pub fn wants_push_times(&self) -> bool {
        self.tags.wants_push_times()
    }

    /// Chooses from a repository's listing; images that the task names by tag or digest are wanted whether they are listed or not.
    #[must_use]
    pub fn pick(&self, repository: &str, listed: Vec<Listed>) -> Picked {
        let mut images: BTreeMap<String, Item> = BTreeMap::new();
        for item in self.named.iter().flat_map(|named| named.items(repository)) {
            images.insert(item.key(), item.clone());
        }
        let whole = self.wants_tags(repository);
        let mut skipped: BTreeMap<String, (Item, &'static str)> = BTreeMap::new();
        let mut attached: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        // a tag that moves while it is listed comes twice
        let mut candidates: BTreeMap<String, (Item, Option<Timestamp>)> = BTreeMap::new();
        for Listed { tag, digest, pushed } in listed {
            let item = Item { repository: repository.to_owned(), tag, digest };
            let key = item.key();
            let named = images.get_mut(&key);
            let is_named = named.is_some();
            if let Some(named) = named {
                named.digest = named.digest.take().or_else(|| item.digest.clone());
            }
            if !whole {
                continue;
            }
            match self.skip(&item) {
                None => {
                    candidates.insert(key, (item, pushed));
                }
                Some(_) if is_named => {}
                Some(reason) => {
                    let subject =
                        item.tag.as_deref().filter(|_| reason == SkipReason::Attached && self.referrers).and_then(attached::subject);
                    if let (Some(subject), Some(tag)) = (subject, &item.tag) {
                        attached.entry(subject).or_default().push(tag.clone());
                    }
                    skipped.insert(key, (item, reason.word()));
                }
            }
        }
        let (newest, too_old) = self.tags.newest(candidates.into_values().collect());
        for item in newest {
            images.entry(item.key()).or_insert(item);
        }
        skipped.extend(too_old.into_iter().map(|item| (item.key(), (item, SkipReason::TooOld.word()))));
        // too old, but named by the task
        skipped.retain(|key, _| !images.contains_key(key));
        for tags in attached.values_mut() {
            tags.sort();
            tags.dedup();
        }
        Picked { images: images.into_values().collect(), skipped: skipped.into_values().collect(), attached }
    }

    /// Why an image is left out, whatever else is listed.
    fn skip(&self, item: &Item) -> Option<SkipReason> {
        match &item.tag {
            Some(tag) => self.tags.skip(tag),
            None => (!self.untagged).then_some(SkipReason::Untagged),
        }
    }
}

#[cfg(test)]
mod tests;
