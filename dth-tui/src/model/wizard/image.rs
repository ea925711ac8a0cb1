//! The form's fields of an image task.

use dth_proto::spec::{
    CreateRepository, Encryption, ImageDestination, ImageJob, ImageOptions, ImageSource, Registry, RepositorySettings, Words,
};

use super::{
    Mistake, Wizard,
    field::{Field, choice, fold, text, word},
    fill::Fill,
};

/// The choice for "no credential named": for ECR the SDK's chain, else what docker's config.json has.
const USUAL: &str = "default";
/// The choice for a setting that is left to ECR, or to the source's repository where settings are copied.
const UNSET: &str = "not set";

/// Fields of the steps from, to and options.
pub(super) fn fields() -> [Vec<Field>; 3] {
    let mut from = vec![
        text("source.registry", "Registry", "docker.io, ghcr.io, ..., or ecr", ""),
        text("source.images", "Images", "a/b, a/c:1.2, ...; empty: all listed", ""),
    ];
    from.extend(account(["source.region", "source.account", "source.credential"]));
    let more_from = endpoints("source.endpoint", "source.registry_endpoint").to_vec();
    let mut to = vec![
        text("destination.registry", "Registry", "ecr, ghcr.io, host:port, ...", ""),
        text("destination.prefix", "Prefix", "put before the repository's name", ""),
        text("destination.strip_prefix", "Strip prefix", "library/: taken from the name first", ""),
    ];
    to.extend(account(["destination.region", "destination.account", "destination.credential"]));
    to.push(word::<CreateRepository>("destination.create", "Create repos", "ECR: those that are missing"));
    let mut more_to = vec![
        choice("destination.copy_settings", "Copy settings", "ECR to ECR: of repositories made", &["no", "yes"]),
        choice("destination.repository.immutable_tags", "Immutable tags", "ECR: of repositories made", &[UNSET, "yes", "no"]),
        text("destination.repository.tag_exclusions", "Except tags", "latest, dev-*: the other way round", ""),
        choice("destination.repository.scan_on_push", "Scan on push", "ECR: of repositories made", &[UNSET, "yes", "no"]),
        choice("destination.repository.encryption.type", "Encryption", "ECR: of repositories made", &[UNSET, "AES256", "KMS"]),
        text("destination.repository.encryption.key", "KMS key", "empty: ECR's own key", ""),
        text("destination.repository.lifecycle_policy", "Lifecycle", "policy as JSON; ECR", ""),
        text("destination.repository.policy", "Policy", "of the repository, as JSON; ECR", ""),
        text("destination.repository.tags", "Resource tags", "team=a, stage=prod; ECR", ""),
    ];
    more_to.extend(endpoints("destination.endpoint", "destination.registry_endpoint"));
    let options = vec![
        text("options.repositories", "Only repos", "globs, with commas; empty: all", ""),
        text("options.exclude_repositories", "Skip repos", "globs, with commas", ""),
        text("options.tags", "Only tags", "globs, with commas; empty: all", ""),
        text("options.exclude_tags", "Skip tags", "globs, with commas: *-rc*", ""),
        text("options.semver", "Versions", ">=1.20, <2; empty: all", ""),
        text("options.newest", "Newest", "20: so many tags of each repository", ""),
        text("options.platforms", "Platforms", "linux/amd64, ...; empty: all", ""),
        choice("options.referrers", "Referrers", "signatures, attestations, SBOMs", &["copy", "leave"]),
    ];
    let more_options = vec![
        text("options.tag_regex", "Tag regex", "of the whole tag: v[0-9.]+", ""),
        choice("options.untagged", "Untagged", "ECR: images without a tag as well", &["leave", "copy"]),
        choice("options.foreign_layers", "Foreign layers", "layers the image only links to", &["leave", "copy"]),
    ];
    [
        fold(from, "advanced.from", "endpoints", more_from),
        fold(to, "advanced.to", "ECR: settings of repositories, endpoints", more_to),
        fold(options, "advanced.options", "tag regex, untagged, foreign layers", more_options),
    ]
}

/// Whose registry it is and who asks it, the same at both ends; only the ids differ.
fn account([region, account, credential]: [&'static str; 3]) -> [Field; 3] {
    [
        text(region, "Region", "ECR; empty: the default", ""),
        text(account, "Account", "ECR; empty: the credential's", ""),
        choice(credential, "Credential", "ECR: SDK, else docker's config.json", &[USUAL, "anonymous"]),
    ]
}

/// Where ECR is, when it is not where Amazon has it.
fn endpoints(api: &'static str, registry: &'static str) -> [Field; 2] {
    let hint = "ECR, elsewhere: https://host[:port]";
    [text(api, "API endpoint", hint, ""), text(registry, "Registry at", hint, "")]
}

/// The job that the fields add up to, and what in them cannot be read.
pub(super) fn job(form: &Wizard, mistakes: &mut Vec<Mistake>) -> ImageJob {
    let source = ImageSource { registry: registry(form, "source"), images: form.list("source.images") };
    let destination = ImageDestination {
        registry: registry(form, "destination"),
        prefix: form.value("destination.prefix").to_owned(),
        strip_prefix: form.value("destination.strip_prefix").to_owned(),
        create: form.word("destination.create"),
        copy_settings: form.value("destination.copy_settings") == "yes",
        repository: settings(form, mistakes),
    };
    let newest = form.number("options.newest", "how many tags of each repository", mistakes);
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
        endpoint: get("endpoint"),
        registry_endpoint: get("registry_endpoint"),
        credential: get("credential").filter(|c| c != USUAL),
    }
}

fn settings(form: &Wizard, mistakes: &mut Vec<Mistake>) -> RepositorySettings {
    RepositorySettings {
        immutable_tags: form.flag("destination.repository.immutable_tags"),
        tag_exclusions: form.list("destination.repository.tag_exclusions"),
        scan_on_push: form.flag("destination.repository.scan_on_push"),
        encryption: form.chosen("destination.repository.encryption.type").map(|kind| Encryption {
            kind: kind.to_owned(),
            key: form.some("destination.repository.encryption.key"),
            bucket_key: None,
        }),
        lifecycle_policy: form.some("destination.repository.lifecycle_policy"),
        policy: form.some("destination.repository.policy"),
        tags: form.map("destination.repository.tags", mistakes),
    }
}

/// Puts a job into the fields.
pub(super) fn fill(form: &mut Fill<'_>, job: &ImageJob) {
    // taken apart, so that a field that is added cannot be forgotten here
    let ImageJob { source: ImageSource { registry, images }, destination, options } = job;
    fill_registry(form, "source", registry);
    form.list("source.images", images);
    let ImageDestination { registry, prefix, strip_prefix, create, copy_settings, repository } = destination;
    fill_registry(form, "destination", registry);
    form.whole("destination.prefix", prefix);
    form.whole("destination.strip_prefix", strip_prefix);
    form.put("destination.create", create.word());
    form.either("destination.copy_settings", *copy_settings, "yes");
    fill_settings(form, repository);
    let ImageOptions {
        repositories,
        exclude_repositories,
        tags,
        exclude_tags,
        tag_regex,
        semver,
        newest,
        untagged,
        platforms,
        referrers,
        foreign_layers,
    } = options;
    form.list("options.repositories", repositories);
    form.list("options.exclude_repositories", exclude_repositories);
    form.list("options.tags", tags);
    form.list("options.exclude_tags", exclude_tags);
    form.some("options.tag_regex", tag_regex.as_ref());
    form.some("options.semver", semver.as_ref());
    form.shown("options.newest", newest.as_ref());
    form.either("options.untagged", *untagged, "copy");
    form.list("options.platforms", platforms);
    form.either("options.referrers", !referrers, "leave");
    form.either("options.foreign_layers", *foreign_layers, "copy");
}

fn fill_registry(form: &mut Fill<'_>, end: &str, of: &Registry) {
    let Registry { registry, region, account, endpoint, registry_endpoint, credential } = of;
    form.whole(&format!("{end}.registry"), registry);
    form.some(&format!("{end}.region"), region.as_ref());
    form.some(&format!("{end}.account"), account.as_ref());
    form.some(&format!("{end}.endpoint"), endpoint.as_ref());
    form.some(&format!("{end}.registry_endpoint"), registry_endpoint.as_ref());
    form.chosen(&format!("{end}.credential"), credential.as_deref());
}

fn fill_settings(form: &mut Fill<'_>, of: &RepositorySettings) {
    let RepositorySettings { immutable_tags, tag_exclusions, scan_on_push, encryption, lifecycle_policy, policy, tags } = of;
    form.flag("destination.repository.immutable_tags", *immutable_tags);
    form.list("destination.repository.tag_exclusions", tag_exclusions);
    form.flag("destination.repository.scan_on_push", *scan_on_push);
    if let Some(Encryption { kind, key, bucket_key: _ }) = encryption {
        form.put("destination.repository.encryption.type", kind);
        form.some("destination.repository.encryption.key", key.as_ref());
    }
    form.some("destination.repository.lifecycle_policy", lifecycle_policy.as_ref());
    form.some("destination.repository.policy", policy.as_ref());
    form.map("destination.repository.tags", tags);
}
