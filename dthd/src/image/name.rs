//! What repositories are called at the destination.

use std::collections::BTreeMap;

use dth_proto::spec::{
    ImageDestination,
    image::name::{is_repository, repository_problem},
};

use super::item;

/// Lengths of a repository's name (Amazon ECR API reference, `CreateRepository`: "Minimum length of 2. Maximum length of 256.").
const ECR_LENGTHS: std::ops::RangeInclusive<usize> = 2..=256;

/// From a repository's name at the source to that at the destination.
#[derive(Clone, Debug)]
pub struct NameMap {
    destination: ImageDestination,
    at: Place,
}

/// Whose rules about names hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ecr,
    DockerHub,
    Other,
}

impl NameMap {
    /// The names that a task gives.
    #[must_use]
    pub fn new(destination: &ImageDestination) -> Self {
        let at = if destination.registry.is_ecr() {
            Place::Ecr
        } else if destination.registry.is_docker_hub() {
            Place::DockerHub
        } else {
            Place::Other
        };
        Self { destination: destination.clone(), at }
    }

    /// What a repository is called at the destination.
    ///
    /// # Errors
    /// Why it cannot be called so, with the way out.
    pub fn map(&self, repository: &str) -> Result<String, String> {
        let name = self.destination.repository_for(repository);
        let problem = match self.at {
            Place::Ecr => ecr_problem(&name),
            Place::DockerHub => docker_hub_problem(&name),
            Place::Other => repository_problem(&name),
        };
        problem.map_or(Ok(name), |why| {
            Err(format!("{repository:?} cannot be stored: {why}; change destination.prefix or destination.strip_prefix"))
        })
    }

    /// One sentence for every name at the destination that several of these repositories would have.
    #[must_use]
    pub fn collisions(&self, repositories: &[String]) -> Vec<String> {
        let mut sources: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for repository in repositories {
            sources.entry(self.destination.repository_for(repository)).or_default().push(repository);
        }
        let mut found = Vec::new();
        for (name, mut from) in sources {
            from.sort_by(|one, other| item::order(one, other));
            from.dedup();
            if let [some @ .., last] = from.as_slice()
                && !some.is_empty()
            {
                let some: Vec<String> = some.iter().map(|repository| format!("{repository:?}")).collect();
                found.push(format!(
                    "{} and {last:?} would all be called {name:?} at the destination: change destination.strip_prefix, or leave out all but one",
                    some.join(", ")
                ));
            }
        }
        found
    }
}

/// ECR's own grammar: segments as everywhere, but only one of `.`, `_`, `-` between two words (API reference, `repositoryName`).
fn ecr_problem(name: &str) -> Option<String> {
    let separator = |b: &u8| b"._-".contains(b);
    let doubled = name.as_bytes().windows(2).any(|pair| pair.iter().all(separator));
    if !ECR_LENGTHS.contains(&name.len()) {
        let [least, most] = [ECR_LENGTHS.start(), ECR_LENGTHS.end()];
        Some(format!("{name:?} has {} characters, and names of repositories have {least} to {most} on ECR", name.len()))
    } else if !is_repository(name) {
        repository_problem(name).or_else(|| Some(format!("{name:?} is not a repository's name")))
    } else {
        doubled.then(|| format!("{name:?} has several of . _ - side by side, which ECR does not allow"))
    }
}

/// Docker Hub has exactly `namespace/name`.
fn docker_hub_problem(name: &str) -> Option<String> {
    repository_problem(name).or_else(|| {
        let segments = name.split('/').count();
        (segments != 2).then(|| format!("{name:?} is not namespace/name, and Docker Hub has no other repositories"))
    })
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::Registry;
    use proptest::prelude::*;

    use super::*;

    fn map(registry: &str, prefix: &str, strip_prefix: &str) -> NameMap {
        let registry = Registry { registry: registry.to_owned(), ..Registry::default() };
        NameMap::new(&ImageDestination {
            registry,
            prefix: prefix.to_owned(),
            strip_prefix: strip_prefix.to_owned(),
            ..ImageDestination::default()
        })
    }

    #[test]
    fn names_get_the_prefix_and_lose_the_other() {
        for (prefix, strip, source, expected) in [
            ("", "", "team/app", "team/app"),
            ("mirror/", "", "team/app", "mirror/team/app"),
            ("mirror/", "library/", "library/nginx", "mirror/nginx"),
            ("mirror/", "library/", "team/app", "mirror/team/app"),
            ("cn-", "", "app", "cn-app"),
            ("", "team/", "team/app", "app"),
        ] {
            assert_eq!(map("ghcr.io", prefix, strip).map(source).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn names_must_be_possible_at_the_destination() {
        let long = "a".repeat(256);
        for (registry, prefix, strip, source, why) in [
            ("ghcr.io", "", "team/app", "team/app", "is missing"),
            ("ghcr.io", "", "team", "team/app", "is not a repository's name"),
            ("ghcr.io", "Mirror/", "", "app", "is not a repository's name"),
            ("ghcr.io", "", "", long.as_str(), "at most 255"),
            ("ecr", "x", "", long.as_str(), "2 to 256 on ECR"),
            ("ecr", "", "", "a", "2 to 256 on ECR"),
            ("ecr", "", "", "a__b", "which ECR does not allow"),
            ("ecr", "", "", "a--b/c", "which ECR does not allow"),
            ("ecr", "", "", "a//b", "is not a repository's name"),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "", "", "a__b", "which ECR does not allow"),
            ("docker.io", "", "library/", "library/nginx", "is not namespace/name"),
            ("docker.io", "me/", "", "team/app", "is not namespace/name"),
        ] {
            let error = map(registry, prefix, strip).map(source).expect_err(source);
            assert!(error.contains(why) && error.contains("change destination.prefix"), "{source}: {error}");
        }
        assert_eq!(map("ecr", "", "").map(&long).as_deref(), Ok(long.as_str()));
        assert_eq!(map("docker.io", "me/", "library/").map("library/nginx").as_deref(), Ok("me/nginx"));
    }

    #[test]
    fn collisions_name_all_sources() {
        let names = ["library/nginx", "nginx", "library/redis", "team/app", "nginx"].map(str::to_owned);
        let found = map("ecr", "mirror/", "library/").collisions(&names);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("\"library/nginx\" and \"nginx\" would all be called \"mirror/nginx\""), "{found:?}");
        assert!(map("ecr", "mirror/", "").collisions(&names).is_empty());
    }

    proptest! {
        #[test]
        fn without_collisions_every_name_is_its_own(
            names in prop::collection::vec("(a/|b/)?[ab]{1,2}", 0..8), strip in "(a/)?", prefix in "(m/)?"
        ) {
            let map = map("ghcr.io", &prefix, &strip);
            let sources: std::collections::BTreeSet<&String> = names.iter().collect();
            let targets: std::collections::BTreeSet<String> = sources.iter().filter_map(|name| map.map(name).ok()).collect();
            prop_assert_eq!(map.collisions(&names).is_empty(), targets.len() == sources.len());
        }
    }
}
