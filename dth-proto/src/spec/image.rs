//! An image task: which images, from which registry to which.

pub mod name;
pub mod platform;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Encryption, is_default, yes};

/// Images from one registry to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageJob {
    /// Where from.
    pub source: ImageSource,
    /// Where to.
    pub destination: ImageDestination,
    /// Which, and how.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: ImageOptions,
}

/// The word in [`Registry::registry`] for Amazon ECR's private registries.
pub const ECR: &str = "ecr";

/// What Docker's own registry is called: by people, by Docker's configuration, by its web site, and where its API is.
pub const DOCKER_HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry.hub.docker.com", "registry-1.docker.io"];

/// A registry as either end sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registry {
    /// `ecr`, or the registry's address: `docker.io`, `ghcr.io`, `public.ecr.aws`, `registry.example.com:5000`; `http://…` without TLS. A
    /// host of the form `ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn]` is ECR as well.
    pub registry: String,
    /// ECR: region; `None`: the SDK's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ECR: the registry's account, 12 digits; `None`: that of the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// ECR: another address of its API: `http(s)://host[:port]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// ECR: another address of the registry itself, where manifests and blobs are: `http(s)://host[:port]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_endpoint: Option<String>,
    /// A name from dthd.toml, or `anonymous`; `None`: for ECR the SDK's default chain, else what docker's config.json of the daemon's user
    /// has for the registry, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Where images come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageSource {
    /// The registry.
    #[serde(flatten)]
    pub registry: Registry,
    /// Repositories by name, each with a tag or digest if only that is meant: `library/nginx`, `team/app:1.2`, `team/app@sha256:…`. Empty: all
    /// repositories that the registry lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// Where images go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageDestination {
    /// The registry.
    #[serde(flatten)]
    pub registry: Registry,
    /// Put before the repository's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Taken away from the repository's name first; names without it keep theirs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strip_prefix: String,
    /// ECR: what happens where a repository is missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub create: CreateRepository,
    /// ECR: give repositories that are created the settings that the source's have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copy_settings: bool,
    /// ECR: settings of repositories that are created; they go before those of the source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repository: RepositorySettings,
}

/// What happens where a repository is missing at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CreateRepository {
    /// It is created.
    #[default]
    Yes,
    /// ECR creates it when something is pushed, by the registry's creation templates.
    OnPush,
    /// Its images fail.
    Never,
}

/// Settings of an ECR repository; `None`: ECR's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositorySettings {
    /// Tags cannot be moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable_tags: Option<bool>,
    /// Tags (`*` stands for any text) for which `immutable_tags` is the other way round; without it, tags that cannot be moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_exclusions: Vec<String>,
    /// Scan what is pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_on_push: Option<bool>,
    /// `AES256`, or `KMS` with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Lifecycle policy, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle_policy: Option<String>,
    /// Repository policy, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Resource tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which images, and how. An image that `source.images` names with its tag or digest is copied whatever the rules about tags say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageOptions {
    /// Only repositories that match one of these globs (`*` within a segment, `**` across); empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// No repositories that match one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_repositories: Vec<String>,
    /// Only tags that match one of these globs; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// No tags that match one of these globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tags: Vec<String>,
    /// Only tags that this regular expression matches as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_regex: Option<String>,
    /// Only tags that are a version in this range, a leading `v` allowed: `>=1.20, <2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Of each repository only so many tags: the highest versions; without versions those pushed last (ECR), else the last by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u32>,
    /// ECR: also images without a tag.
    #[serde(default, skip_serializing_if = "is_default")]
    pub untagged: bool,
    /// Only these platforms of images for several (`linux/amd64`, `linux/arm/v7`): the index is written anew and has another digest. Empty:
    /// all, digest for digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Copy what refers to an image: signatures, attestations, bills of material.
    #[serde(default = "yes")]
    pub referrers: bool,
    /// Copy layers that the image only links to (`urls`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub foreign_layers: bool,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            repositories: Vec::new(),
            exclude_repositories: Vec::new(),
            tags: Vec::new(),
            exclude_tags: Vec::new(),
            tag_regex: None,
            semver: None,
            newest: None,
            untagged: false,
            platforms: Vec::new(),
            referrers: true,
            foreign_layers: false,
        }
    }
}

impl Registry {
    /// Whether it is one of Amazon ECR's private registries.
    #[must_use]
    pub fn is_ecr(&self) -> bool {
        self.registry == ECR || self.ecr_host().is_some()
    }

    /// Account and region of an ECR host name (`123456789012.dkr.ecr.us-east-1.amazonaws.com`, `.com.cn` in China).
    #[must_use]
    pub fn ecr_host(&self) -> Option<(&str, &str)> {
        let host = self.registry.strip_prefix("https://").unwrap_or(&self.registry);
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let (region, domain) = rest.split_once('.')?;
        let known = ["amazonaws.com", "amazonaws.com.cn"].contains(&domain);
        (known && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some((account, region))
    }

    /// Account of an ECR registry, where the task names it.
    #[must_use]
    pub fn ecr_account(&self) -> Option<&str> {
        self.account.as_deref().or_else(|| self.ecr_host().map(|(account, _)| account))
    }

    /// Region of an ECR registry, where the task names it.
    #[must_use]
    pub fn ecr_region(&self) -> Option<&str> {
        self.region.as_deref().or_else(|| self.ecr_host().map(|(_, region)| region))
    }

    /// Whether it is Docker Hub, by one of its names; there, repositories without a `/` are in `library/`.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        DOCKER_HUB.contains(&bare(&self.registry))
    }

    /// Whether both are the same registry, as far as the task says.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let endpoints = |registry: &Self| (registry.endpoint.clone(), registry.registry_endpoint.clone());
        match (self.is_ecr(), other.is_ecr()) {
            (true, true) => {
                (self.ecr_account(), self.ecr_region()) == (other.ecr_account(), other.ecr_region()) && endpoints(self) == endpoints(other)
            }
            (false, false) => bare(&self.registry) == bare(&other.registry) || (self.is_docker_hub() && other.is_docker_hub()),
            _ => false,
        }
    }

    /// Where it is, short: the region of an ECR, else the host.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.registry_endpoint {
            Some(endpoint) => bare(endpoint).to_owned(),
            None if self.is_ecr() => self.ecr_region().unwrap_or(ECR).to_owned(),
            None => bare(&self.registry).to_owned(),
        }
    }

    /// As the beginning of a URL: `docker://ghcr.io/`, `ecr://123456789012.us-east-1/`.
    #[must_use]
    pub fn url(&self) -> String {
        if !self.is_ecr() {
            return format!("docker://{}/", bare(&self.registry));
        }
        let parts: Vec<&str> = [self.ecr_account(), self.ecr_region()].into_iter().flatten().collect();
        format!("ecr://{}/", parts.join("."))
    }
}

impl ImageDestination {
    /// The destination's name of a repository.
    #[must_use]
    pub fn repository_for(&self, source: &str) -> String {
        let rest = source.strip_prefix(self.strip_prefix.as_str()).unwrap_or(source);
        format!("{}{rest}", self.prefix)
    }
}

/// An address without its scheme and a slash at its end.
fn bare(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(address: &str) -> Registry {
        Registry { registry: address.to_owned(), ..Registry::default() }
    }

    #[test]
    fn ecr_is_known_by_its_host() {
        for (address, expected) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some(("123456789012", "eu-west-1"))),
            ("https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some(("123456789012", "cn-north-1"))),
            ("123456789012.dkr.ecr.cn-north-1.example.com", None),
            ("12345.dkr.ecr.cn-north-1.amazonaws.com", None),
            ("public.ecr.aws", None),
            ("ecr", None),
        ] {
            assert_eq!(registry(address).ecr_host(), expected, "{address}");
        }
        assert!(registry("ecr").is_ecr() && !registry("public.ecr.aws").is_ecr());
    }

    #[test]
    fn the_same_registry_has_several_names() {
        let ecr = |account: &str| Registry { region: Some("us-east-1".into()), account: Some(account.into()), ..registry(ECR) };
        for (one, other, expected) in [
            (registry("ghcr.io"), registry("https://ghcr.io/"), true),
            (registry("ghcr.io"), registry("quay.io"), false),
            (registry("docker.io"), registry("registry-1.docker.io"), true),
            (ecr("123456789012"), registry("123456789012.dkr.ecr.us-east-1.amazonaws.com"), true),
            (ecr("123456789012"), ecr("210987654321"), false),
            (ecr("123456789012"), Registry { endpoint: Some("http://127.0.0.1:1".into()), ..ecr("123456789012") }, false),
            (ecr("123456789012"), registry("ghcr.io"), false),
        ] {
            assert_eq!((one.is_same(&other), other.is_same(&one)), (expected, expected), "{one:?} {other:?}");
        }
        assert!(registry("https://index.docker.io").is_docker_hub() && !registry("ghcr.io").is_docker_hub());
    }

    #[test]
    fn places_and_urls_are_short() {
        let ecr = Registry { region: Some("us-east-1".into()), account: Some("123456789012".into()), ..registry(ECR) };
        assert_eq!((ecr.place().as_str(), ecr.url().as_str()), ("us-east-1", "ecr://123456789012.us-east-1/"));
        let plain = registry("http://127.0.0.1:5000");
        assert_eq!((plain.place().as_str(), plain.url().as_str()), ("127.0.0.1:5000", "docker://127.0.0.1:5000/"));
    }

    #[test]
    fn names_are_mapped() {
        let to = ImageDestination { prefix: "mirror/".into(), strip_prefix: "library/".into(), ..ImageDestination::default() };
        assert_eq!(
            (to.repository_for("library/nginx").as_str(), to.repository_for("team/app").as_str()),
            ("mirror/nginx", "mirror/team/app")
        );
    }
}
