//! The images of the demo: made, given to a task, and compared digest by digest without asking the daemon.

use std::collections::BTreeMap;

use dth_proto::{
    id::TaskName,
    spec::{ImageDestination, ImageJob, ImageOptions, ImageSource, Job, Registry, TaskLimits, TaskSpec},
};
use dth_tests::registry::{Image, Store, made};
use serde::Serialize;

/// Name of the task.
pub const TASK: &str = "platform-images";
/// Repositories at the source.
const REPOSITORIES: [&str; 3] = ["platform/api", "platform/web", "platform/worker"];
/// Put before their names at the destination.
const PREFIX: &str = "mirror/";
/// Layers that all images for one platform share, bytes of each.
const BASE: [u64; 2] = [2 << 20, 400_000];
/// How many differences are told in words; all are counted.
const TOLD: usize = 10;

/// Puts `count` images into the registry; answers with the bytes that are different.
pub fn fill(store: &Store, count: u64) -> u64 {
    for (repository, tag, image) in make(count) {
        store.push(repository, tag.as_deref(), &image);
    }
    different(store)
}

/// Images with repository and tag: for one platform or several, with what buildx attests to them, an index in an index, an artifact; and
/// without a tag signatures that refer to them.
fn make(count: u64) -> Vec<(&'static str, Option<String>, Image)> {
    let image = |n: u64, platform: &str, base: u64| {
        let own = made(1_000 + 10 * n + base, &[150_000 + n * 977 % 60_000, 3_000]);
        Image::of(platform, n, &[made(base, &BASE), own].concat())
    };
    let mut all = Vec::new();
    for n in 0..count {
        let repository = REPOSITORIES[(n % 3) as usize];
        let (amd64, arm64) = (image(n, "linux/amd64", 1), image(n, "linux/arm64", 2));
        let tagged = match n % 6 {
            0 => Image::index(vec![amd64.clone(), arm64, Image::attestation(&amd64, 5_000 + n, 2_000)]),
            1 => {
                Image::docker_list(vec![Image::docker("linux/amd64", n, &made(1, &BASE)), Image::docker("linux/s390x", n, &made(3, &BASE))])
            }
            2 => Image::index(vec![Image::index(vec![amd64]), arm64]),
            3 => Image::artifact(6_000 + n, "application/vnd.cncf.helm.chart.v1", 20_000),
            _ => amd64,
        };
        let signature = Image::about(&tagged, 7_000 + n, "application/vnd.dev.sigstore.bundle.v0.3+json", 1_500);
        all.push((repository, Some(format!("v1.{n}")), tagged));
        if n % 4 == 0 {
            all.push((repository, None, signature));
        }
    }
    all
}

/// Bytes of the different blobs of all repositories.
fn different(store: &Store) -> u64 {
    let repositories = store.repositories();
    let blobs = repositories.iter().flat_map(|repository| store.blobs(repository).into_iter().map(move |digest| (repository, digest)));
    let sizes: BTreeMap<String, u64> =
        blobs.filter_map(|(repository, digest)| Some((digest.clone(), store.blob(repository, &digest)?.len()))).collect();
    sizes.values().sum()
}

/// The task: everything, under another name.
///
/// # Errors
/// When the name breaks the rule for names.
pub fn spec(source: &str, destination: &str) -> anyhow::Result<TaskSpec> {
    let registry =
        |address: &str| Registry { registry: address.to_owned(), credential: Some("anonymous".to_owned()), ..Registry::default() };
    Ok(TaskSpec {
        name: TaskName::new(TASK)?,
        description: "images for many platforms, signatures, artifacts".to_owned(),
        labels: BTreeMap::new(),
        job: Job::Image(ImageJob {
            source: ImageSource { registry: registry(source), images: Vec::new() },
            destination: ImageDestination { registry: registry(destination), prefix: PREFIX.to_owned(), ..ImageDestination::default() },
            options: ImageOptions::default(),
        }),
        limits: TaskLimits::default(),
        trigger: None,
        report: None,
    })
}

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Tags compared, one with another, with everything beneath them.
    pub compared: u64,
    /// Manifests whose digests were computed anew, those that refer to images included.
    pub manifests: u64,
    /// Blobs whose digests were computed anew, in each repository.
    pub blobs: u64,
    /// Tags, manifests and blobs that differ, are missing, or should not be there.
    pub differences: u64,
    /// The first of them, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    fn differs(&mut self, what: String) {
        self.differences += 1;
        if self.examples.len() < TOLD {
            self.examples.push(what);
        }
    }

    /// Compares everything that the task should have moved.
    pub fn of(source: &Store, destination: &Store) -> Self {
        let mut verdict = Self::default();
        let names: Vec<String> = source.repositories();
        for name in &names {
            verdict.repository(source, destination, name);
        }
        for extra in destination.repositories() {
            if !extra.strip_prefix(PREFIX).is_some_and(|name| names.iter().any(|known| known == name)) {
                verdict.differs(format!("{extra}: is at the destination only"));
            }
        }
        verdict
    }

    fn repository(&mut self, source: &Store, destination: &Store, name: &str) {
        let copy = format!("{PREFIX}{name}");
        let mut arrived = destination.tags(&copy);
        for (tag, digest) in source.tags(name) {
            self.compared += 1;
            match arrived.remove(&tag) {
                Some(found) if found == digest => {}
                Some(found) => self.differs(format!("{copy}:{tag}: is {found} instead of {digest}")),
                None => self.differs(format!("{copy}:{tag}: is missing")),
            }
        }
        for tag in arrived.into_keys() {
            self.differs(format!("{copy}:{tag}: is at the destination only"));
        }
        let (mut manifests, mut blobs) = (destination.manifests(&copy), destination.blobs(&copy));
        for digest in source.manifests(name) {
            self.manifests += 1;
            if !manifests.remove(&digest) {
                self.differs(format!("{copy}@{digest}: is missing"));
                continue;
            }
            match destination.verify(&copy, &digest) {
                Ok(verified) => {
                    for blob in verified.blobs {
                        self.blobs += u64::from(blobs.remove(&blob));
                    }
                }
                Err(problems) => problems.into_iter().for_each(|problem| self.differs(problem)),
            }
        }
        for digest in manifests.into_iter().chain(blobs) {
            self.differs(format!("{copy}@{digest}: is at the destination only"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source and a right copy of it.
    fn copied() -> (Store, Store) {
        let (source, destination) = (Store::default(), Store::default());
        fill(&source, 12);
        for (repository, tag, image) in make(12) {
            destination.push(&format!("{PREFIX}{repository}"), tag.as_deref(), &image);
        }
        (source, destination)
    }

    #[test]
    fn the_same_images_every_time_with_shared_layers() {
        let (one, two) = (Store::default(), Store::default());
        assert_eq!(fill(&one, 12), fill(&two, 12));
        assert_eq!(one.repositories(), REPOSITORIES);
        for name in REPOSITORIES {
            assert_eq!((one.tags(name).len(), one.tags(name)), (4, two.tags(name)));
            assert!(one.manifests(name).len() > 4 && one.manifests(name) == two.manifests(name));
        }
        let base: u64 = BASE.iter().sum();
        assert!(different(&one) < 12 * base, "every image has a base of its own");
    }

    #[test]
    fn the_task_follows_the_rules() {
        let spec = spec("http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
        assert!(spec.problems().is_empty(), "{:?}", spec.problems());
    }

    #[test]
    fn copies_are_identical() {
        let (source, destination) = copied();
        let verdict = Verdict::of(&source, &destination);
        assert_eq!((verdict.compared, verdict.differences), (12, 0), "{:?}", verdict.examples);
        assert!(verdict.manifests > 12 && verdict.blobs > 24);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let (source, destination) = copied();
        let (api, web) = (format!("{PREFIX}{}", REPOSITORIES[0]), format!("{PREFIX}{}", REPOSITORIES[1]));
        destination.untag(&api, "v1.0");
        destination.tag(&api, "v1.3", &destination.tags(&api)["v1.6"]);
        destination.tag(&api, "extra", &destination.tags(&api)["v1.6"]);
        destination.add_blob(&web, made(99, &[5])[0].clone());
        destination.push("elsewhere", Some("v1"), &Image::new(98, &[7]));
        assert_eq!(Verdict::of(&source, &destination).differences, 5);
        let blob = destination.verify(&web, "v1.4").unwrap().blobs.pop_first().unwrap();
        destination.remove_blob(&web, &blob);
        assert!(Verdict::of(&source, &destination).differences > 5);
        let none = Verdict::of(&source, &Store::default());
        let all: usize = REPOSITORIES.iter().map(|name| source.tags(name).len() + source.manifests(name).len()).sum();
        assert_eq!(none.differences, all as u64);
    }
}
