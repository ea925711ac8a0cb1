//! Repositories and images that a task names.

use std::collections::BTreeMap;

use dth_proto::spec::{ImageSource, image::name::ImageName};

use crate::image::item::{self, Item};

/// What `source.images` means, by repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Named(BTreeMap<String, Wanted>);

#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The repository is named without a tag or digest: the rules about tags decide.
    whole: bool,
    /// Images by their keys.
    images: BTreeMap<String, Item>,
}

impl Named {
    /// `None`: the task names nothing. Adds one sentence to `problems` for every name that is none, or is two things at once.
    pub(super) fn read(source: &ImageSource, problems: &mut Vec<String>) -> Option<Self> {
        if source.images.is_empty() {
            return None;
        }
        let is_docker_hub = source.registry.is_docker_hub();
        let mut named = Self::default();
        for text in &source.images {
            let mut name: ImageName = match text.parse() {
                Ok(name) => name,
                Err(why) => {
                    problems.push(format!("source.images: has {text:?}: {why}"));
                    continue;
                }
            };
            if is_docker_hub && !name.repository.contains('/') {
                name.repository.insert_str(0, "library/");
            }
            let wanted = named.0.entry(name.repository.clone()).or_default();
            match Item::named(&name) {
                None => wanted.whole = true,
                Some(item) => problems.extend(wanted.add(item)),
            }
        }
        Some(named)
    }

    /// In [`item::order`].
    pub(super) fn repositories(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().cloned().collect();
        names.sort_by(|one, other| item::order(one, other));
        names
    }

    /// Whether all of the repository is meant.
    pub(super) fn whole(&self, repository: &str) -> bool {
        self.0.get(repository).is_some_and(|wanted| wanted.whole)
    }

    /// The images that are meant whatever the rules say.
    pub(super) fn items(&self, repository: &str) -> impl Iterator<Item = &Item> {
        self.0.get(repository).into_iter().flat_map(|wanted| wanted.images.values())
    }
}

impl Wanted {
    /// Gives back what is wrong with it. A tag may be named twice, with a digest and without: then it must have that digest.
    fn add(&mut self, item: Item) -> Option<String> {
        let key = item.key();
        match self.images.get_mut(&key) {
            None => {
                self.images.insert(key, item);
                None
            }
            Some(known) if known.digest.is_none() => {
                known.digest = item.digest;
                None
            }
            Some(known) => (item.digest.is_some() && known.digest != item.digest)
                .then(|| format!("source.images: has {key:?} with several digests: a tag can have one, leave out the others")),
        }
    }
}
