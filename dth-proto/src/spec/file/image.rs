//! The tables of an image task.

use crate::{
    document::Table,
    spec::{CreateRepository, ImageDestination, ImageOptions, ImageSource, Registry, RepositorySettings, Words},
};

use super::encryption;

fn registry(t: &mut Table<'_, '_>) -> Registry {
    Registry {
        registry: t.required("registry", "name the registry's host, or \"ecr\"").unwrap_or_default(),
        region: t.text("region"),
        account: t.text("account"),
        endpoint: t.text("endpoint"),
        registry_endpoint: t.text("registry_endpoint"),
        credential: t.text("credential"),
    }
}

pub(super) fn source(t: &mut Table<'_, '_>) -> ImageSource {
    ImageSource { registry: registry(t), images: t.texts("images").unwrap_or_default() }
}

pub(super) fn destination(t: &mut Table<'_, '_>) -> ImageDestination {
    ImageDestination {
        registry: registry(t),
        prefix: t.text("prefix").unwrap_or_default(),
        strip_prefix: t.text("strip_prefix").unwrap_or_default(),
        create: t.choice("create", CreateRepository::WORDS).unwrap_or_default(),
        copy_settings: t.flag("copy_settings").unwrap_or_default(),
        repository: t.table("repository", settings).unwrap_or_default(),
    }
}

fn settings(t: &mut Table<'_, '_>) -> RepositorySettings {
    RepositorySettings {
        immutable_tags: t.flag("immutable_tags"),
        tag_exclusions: t.texts("tag_exclusions").unwrap_or_default(),
        scan_on_push: t.flag("scan_on_push"),
        encryption: encryption(t, "AES256 or KMS"),
        lifecycle_policy: t.text("lifecycle_policy"),
        policy: t.text("policy"),
        tags: t.text_map("tags").unwrap_or_default(),
    }
}

pub(super) fn options(t: &mut Table<'_, '_>) -> ImageOptions {
    ImageOptions {
        repositories: t.texts("repositories").unwrap_or_default(),
        exclude_repositories: t.texts("exclude_repositories").unwrap_or_default(),
        tags: t.texts("tags").unwrap_or_default(),
        exclude_tags: t.texts("exclude_tags").unwrap_or_default(),
        tag_regex: t.text("tag_regex"),
        semver: t.text("semver"),
        newest: t.number("newest", 1..=1_000_000).and_then(|n| u32::try_from(n).ok()),
        untagged: t.flag("untagged").unwrap_or_default(),
        platforms: t.texts("platforms").unwrap_or_default(),
        referrers: t.flag("referrers").unwrap_or(true),
        foreign_layers: t.flag("foreign_layers").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{Job, TaskSpec};

    const FULL: &str = r#"
name = "base-images"
engine = "image"

[source]
registry = "docker.io"
images = ["library/nginx", "library/redis:7"]
credential = "hub"

[destination]
registry = "ecr"
region = "cn-north-1"
account = "123456789012"
prefix = "mirror/"
strip_prefix = "library/"
create = "yes"

[destination.repository]
immutable_tags = true
tag_exclusions = ["dev-*"]
scan_on_push = true
encryption = { type = "KMS", key = "alias/images" }
lifecycle_policy = '{"rules":[]}'
tags = { team = "platform" }

[options]
tags = ["1.*"]
exclude_tags = ["*-rc*"]
tag_regex = "1[.0-9]+"
semver = ">=1.20, <2"
newest = 5
platforms = ["linux/amd64", "linux/arm64"]
referrers = false

[limits]
bandwidth = "100MB/s"
"#;

    #[test]
    fn a_file_survives_export_and_import() {
        let spec = TaskSpec::from_toml("t.toml", FULL).expect("a good file");
        let Job::Image(job) = &spec.job else { panic!("an image task") };
        assert_eq!(job.destination.repository.encryption.as_ref().map(|e| e.kind.as_str()), Some("KMS"));
        assert_eq!((job.options.newest, job.options.referrers, job.options.untagged), (Some(5), false, false));
        assert_eq!(TaskSpec::from_toml("again.toml", &spec.to_toml()), Ok(spec.clone()));
        let json = serde_json::to_string(&spec).expect("json");
        assert_eq!(serde_json::from_str::<TaskSpec>(&json).expect("json back"), spec);
        let ends = ("docker://docker.io/".to_owned(), "ecr://123456789012.cn-north-1/mirror/".to_owned());
        assert_eq!((spec.engine(), spec.ends()), ("image", ends));
    }

    #[test]
    fn every_mistake_is_named() {
        let text = FULL
            .replace("registry = \"docker.io\"", "registry = \"https://docker.io/library\"\nregion = \"x\"")
            .replace("\"library/redis:7\"", "\"Redis\"")
            .replace("account = \"123456789012\"", "account = \"12\"")
            .replace("create = \"yes\"", "create = \"on-push\"")
            .replace("\"linux/arm64\"", "\"arm64\"")
            .replace("referrers = false", "untagged = true");
        let lines = TaskSpec::from_toml("t.toml", &text).expect_err("mistakes").lines();
        let expected = [
            "t.toml:6: source.registry \"https://docker.io/library\" is not a registry: ",
            "t.toml:7: source.region belongs to ECR: ",
            "t.toml:14: destination.account \"12\" is not an account: 12 digits",
            "t.toml:8: source.images has \"Redis\": ",
            "t.toml:34: options.untagged works only where the source is ECR",
            "t.toml:33: options.platforms has \"arm64\": ",
            "t.toml:17: destination.create cannot be \"on-push\" with settings: ",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
    }

    #[test]
    fn the_other_engines_keys_are_told_apart() {
        let lines =
            TaskSpec::from_toml("t.toml", &FULL.replace("registry = \"docker.io\"", "bucket = \"b\"")).expect_err("no bucket").lines();
        assert!(lines.iter().any(|l| l.contains("source.registry is missing")), "{lines:#?}");
        assert!(lines.iter().any(|l| l.contains("source.bucket is not a known key")), "{lines:#?}");
    }
}
