//! Tries the source: list repositories and tags, read a manifest and one byte of a blob.

use dth_proto::{
    check::CheckStep,
    spec::{ImageJob, Registry},
};

use super::{
    TRIED,
    step::{Steps, names},
};
use crate::{
    image::{
        digest::Digest,
        end::End,
        item::{self, Item},
        manifest::Content,
        platform::Platform,
        select::{Listed, Selection},
    },
    transfer::TransferError,
};

/// What listing has shown.
pub(super) struct Listing {
    /// Some of the repositories of which the task wants images.
    pub(super) repositories: Vec<String>,
    /// One of the images.
    pub(super) sample: Option<Item>,
}

/// Lists the first repositories that the task wants; images that it names are looked for. `None`: the registry did not let us.
pub(super) async fn list(
    end: &End,
    job: &ImageJob,
    selection: &Selection,
    steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>,
) -> Option<Listing> {
    let registry = &job.source.registry;
    let wanted = match selection.named() {
        Some(named) => named,
        None => match repositories(end).await {
            Ok(mut all) => {
                steps.reached(registry);
                steps.running("list", format!("{} repositories", all.len()));
                all.retain(|repository| selection.keep_repository(repository));
                all.sort_by(|one, other| item::order(one, other));
                all
            }
            Err(error) => {
                steps.refused("list", &error, registry, None);
                return None;
            }
        },
    };
    let mut seen = Seen::default();
    for repository in wanted.iter().take(TRIED) {
        if let Err(error) = seen.look(end, selection, repository).await {
            steps.refused("list", &error, registry, Some(repository));
            return None;
        }
        steps.reached(registry);
        // of repositories that the task names, a missing one is a mistake: all are looked at
        if selection.named().is_none() && seen.sample.is_some() {
            break;
        }
    }
    tell(&seen, registry, wanted.len(), steps);
    Some(Listing { repositories: seen.repositories, sample: seen.sample })
}

#[derive(Default)]
struct Seen {
    repositories: Vec<String>,
    sample: Option<Item>,
    missing: Vec<String>,
}

impl Seen {
    async fn look(&mut self, end: &End, selection: &Selection, repository: &str) -> Result<(), TransferError> {
        let wants_tags = selection.wants_tags(repository);
        let listed = if wants_tags { tags(end, repository).await? } else { Some(Vec::new()) };
        let Some(listed) = listed else {
            self.missing.push(repository.to_owned());
            return Ok(());
        };
        self.repositories.push(repository.to_owned());
        for item in selection.pick(repository, listed).images.into_iter().take(TRIED) {
            // what was listed is there
            let there = wants_tags || end.registry.resolve(repository, item.reference()).await?.is_some();
            if !there {
                self.missing.push(item.key());
            } else if self.sample.is_none() {
                self.sample = Some(item);
            }
        }
        Ok(())
    }
}

fn tell(seen: &Seen, registry: &Registry, wanted: usize, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) {
    let place = registry.place();
    match (&seen.sample, seen.missing.as_slice()) {
        (None, []) if wanted == 0 => {
            let message = format!("no repository of {place} is chosen");
            steps.warn("list", message, "check options.repositories and options.exclude_repositories");
        }
        (None, []) => {
            let message = format!("no image is chosen from {}", names(&seen.repositories));
            steps.warn("list", message, "check options.tags and the other rules about tags");
        }
        (None, missing) => {
            let hint = "check the names in source.images".to_owned();
            steps.failed("list", format!("{place} does not have {}", names(missing)), Some(hint));
        }
        (Some(_), []) => steps.ok("list", format!("{} can be listed", names(&seen.repositories))),
        (Some(_), missing) => {
            steps.warn("list", format!("{place} does not have {}", names(missing)), "check the names in source.images");
        }
    }
}

/// Reads the manifest of an image and one byte of a blob, as a run would.
pub(super) async fn read(end: &End, job: &ImageJob, sample: Option<&Item>, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) {
    let Some(sample) = sample else {
        let message = "there is no image to look at: reading was not tried".to_owned();
        return steps.warn("read", message, "choose images that the registry has");
    };
    steps.running("read", format!("reading {sample}"));
    match try_read(end, job, sample).await {
        Ok(true) => steps.ok("read", format!("manifest and blobs of {sample} can be read")),
        Ok(false) => steps.ok("read", format!("the manifest of {sample} can be read; it has no blobs of its own")),
        Err(Unread::Refused(error)) => steps.refused("read", &error, &job.source.registry, Some(&sample.repository)),
        Err(Unread::Bad(why)) => {
            let hint = "look at the image with another tool; leave it out if it is broken".to_owned();
            steps.failed("read", format!("{sample} has a manifest that cannot be read: {why}"), Some(hint));
        }
    }
}

enum Unread {
    Refused(TransferError),
    Bad(String),
}

/// Whether there was a blob to read.
async fn try_read(end: &End, job: &ImageJob, sample: &Item) -> Result<bool, Unread> {
    let platforms: Vec<Platform> = job.options.platforms.iter().filter_map(|platform| platform.parse().ok()).collect();
    let mut reference = sample.reference().to_owned();
    // indexes may be nested; a run reads all of them
    for _ in 0..4 {
        let manifest = end.registry.manifest(&sample.repository, &reference).await.map_err(Unread::Refused)?;
        let content = manifest.read().map_err(|error| Unread::Bad(error.to_string()))?;
        if let Some(blob) = smallest(&content) {
            let mut body = end.registry.blob(&sample.repository, &blob, Some(0..1)).await.map_err(Unread::Refused)?;
            return body.next().await.map(|_| true).map_err(Unread::Refused);
        }
        let fits = |platform: Option<&Platform>| platform.is_none_or(|platform| platform.matches(&platforms));
        match content.children.iter().find(|child| fits(child.platform.as_ref())) {
            Some(child) => reference = child.digest.to_string(),
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// A blob that is at the registry itself and not empty: the smallest.
fn smallest(content: &Content) -> Option<Digest> {
    let blobs = content.config.iter().chain(&content.layers);
    let here = blobs.filter(|blob| blob.urls.is_empty() && blob.size > 0);
    here.min_by_key(|blob| blob.size).map(|blob| blob.digest.clone())
}

async fn repositories(end: &End) -> Result<Vec<String>, TransferError> {
    match &end.ecr {
        Some(ecr) => ecr.repositories().await,
        None => end.registry.repositories().await,
    }
}

async fn tags(end: &End, repository: &str) -> Result<Option<Vec<Listed>>, TransferError> {
    match &end.ecr {
        Some(ecr) => ecr.images(repository, false).await,
        None => Ok(end.registry.tags(repository).await?.map(|tags| tags.into_iter().map(Listed::tagged).collect())),
    }
}
