//! The form's fields of an image task.

use dth_proto::spec::{CreateRepository, Encryption, ImageDestination, ImageJob, ImageOptions, ImageSource, Registry, RepositorySettings};

use super::{
    Mistake, Wizard,
    field::{Field, choice, text},
};

/// The choice for "no credential named": for ECR the SDK's chain, else what docker's config.json has.
const USUAL: &str = "default";
/// The choice for a setting that is left to ECR, or to the source's repository where settings are copied.
const UNSET: &str = "not set";

/// Fields of the steps from, to and options.
pub(super) fn fields() -> [Vec<Field>; 3] {
    let from = vec![
        text("source.registry", "Registry", "docker.io, ghcr.io, ..., or ecr", ""),
        text("source.images", "Images", "a/b, a/c:1.2, ...; empty: all listed", ""),
        text("source.region", "Region", "ECR; empty: the default", ""),
        text("source.account", "Account", "ECR; empty: the credential's", ""),
        choice("source.credential", "Credential", "ECR: SDK, else docker's config.json", &[USUAL, "anonymous"]),
    ];
    let to = vec![
        text("destination.registry", "Registry", "ecr, ghcr.io, host:port, ...", ""),
        text("destination.prefix", "Prefix", "put before the repository's name", ""),
        text("destination.strip_prefix", "Strip prefix", "library/: taken from the name first", ""),
        text("destination.region", "Region", "ECR; empty: the default", ""),
        text("destination.account", "Account", "ECR; empty: the credential's", ""),
        choice("destination.credential", "Credential", "ECR: SDK, else docker's config.json", &[USUAL, "anonymous"]),
        choice("destination.create", "Create repos", "ECR: those that are missing", &["yes", "on-push", "never"]),
        choice("destination.copy_settings", "Copy settings", "ECR to ECR: of repositories made", &["no", "yes"]),
        choice("destination.repository.immutable_tags", "Immutable tags", "ECR: of repositories made", &[UNSET, "yes", "no"]),
        choice("destination.repository.scan_on_push", "Scan on push", "ECR: of repositories made", &[UNSET, "yes", "no"]),
        choice("destination.repository.encryption.type", "Encryption", "ECR: of repositories made", &[UNSET, "AES256", "KMS"]),
        text("destination.repository.encryption.key", "KMS key", "empty: ECR's own key", ""),
    ];
    let options = vec![
        text("options.repositories", "Only repos", "globs, with commas; empty: all", ""),
        text("options.exclude_repositories", "Skip repos", "globs, with commas", ""),
        text("options.tags", "Only tags", "globs, with commas; empty: all", ""),
        text("options.exclude_tags", "Skip tags", "globs, with commas: *-rc*", ""),
        text("options.tag_regex", "Tag regex", "of the whole tag: v[0-9.]+", ""),
        text("options.semver", "Versions", ">=1.20, <2; empty: all", ""),
        text("options.newest", "Newest", "20: so many tags of each repository", ""),
        choice("options.untagged", "Untagged", "ECR: images without a tag as well", &["leave", "copy"]),
        text("options.platforms", "Platforms", "linux/amd64, ...; empty: all", ""),
        choice("options.referrers", "Referrers", "signatures, attestations, SBOMs", &["copy", "leave"]),
        choice("options.foreign_layers", "Foreign layers", "layers the image only links to", &["leave", "copy"]),
    ];
    [from, to, options]
}

/// The job that the fields add up to, and what in them cannot be read.
pub(super) fn job(form: &Wizard, mistakes: &mut Vec<Mistake>) -> ImageJob {
    let source = ImageSource { registry: registry(form, "source"), images: form.list("source.images") };
    let destination = ImageDestination {
        registry: registry(form, "destination"),
        prefix: form.value("destination.prefix").to_owned(),
        strip_prefix: form.value("destination.strip_prefix").to_owned(),
        create: match form.value("destination.create") {
            "on-push" => CreateRepository::OnPush,
            "never" => CreateRepository::Never,
            _ => CreateRepository::Yes,
        },
        copy_settings: form.value("destination.copy_settings") == "yes",
        repository: settings(form),
    };
    let newest = form.some("options.newest").and_then(|text| {
        let message = format!("{text:?} is not a number: write how many tags of each repository, or leave it empty for all");
        text.parse().map_err(|_| mistakes.push(Mistake { field: "options.newest".to_owned(), message })).ok()
    });
    let options = ImageOptions {
        repositories: form.list("options.repositories"),
        exclude_repositories: form.list("options.exclude_repositories"),
        tags: form.list("options.tags"),
        exclude_tags: form.list("options.exclude_tags"),
        tag_regex: form.some("options.tag_regex"),
        semver: form.some("options.semver"),
        newest,
        untagged: form.value("options.untagged") == "copy",
        platforms: form.list("options.platforms"),
        referrers: form.value("options.referrers") == "copy",
        foreign_layers: form.value("options.foreign_layers") == "copy",
    };
    ImageJob { source, destination, options }
}

pub(super) fn registry(form: &Wizard, end: &str) -> Registry {
    let get = |name: &str| form.some(&format!("{end}.{name}"));
    Registry {
        registry: get("registry").unwrap_or_default(),
        region: get("region"),
        account: get("account"),
        credential: get("credential").filter(|c| c != USUAL),
        ..Registry::default()
    }
}

fn settings(form: &Wizard) -> RepositorySettings {
    let chosen = |name: &str| Some(form.value(&format!("destination.repository.{name}"))).filter(|word| *word != UNSET);
    RepositorySettings {
        immutable_tags: chosen("immutable_tags").map(|word| word == "yes"),
        scan_on_push: chosen("scan_on_push").map(|word| word == "yes"),
        encryption: chosen("encryption.type").map(|kind| Encryption {
            kind: kind.to_owned(),
            key: form.some("destination.repository.encryption.key"),
            bucket_key: None,
        }),
        ..RepositorySettings::default()
    }
}
