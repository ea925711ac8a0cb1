//! The rules of an image task.

use crate::spec::{
    CreateRepository, ImageDestination, ImageJob, ImageSource, Registry, RepositorySettings,
    image::{
        name::{ImageName, repository_problem},
        platform::platform_problem,
    },
};

/// Characters in a lifecycle policy (Amazon ECR service quotas).
const LONGEST_LIFECYCLE_POLICY: usize = 30_720;
/// Characters in key and value of a resource's tag, and tags of a resource (AWS: "Tag naming limits and requirements").
const LONGEST_RESOURCE_TAG: (usize, usize) = (128, 256);
const MOST_RESOURCE_TAGS: usize = 50;

pub(super) fn problems(job: &ImageJob, add: &mut impl FnMut(&'static str, String)) {
    let ImageJob { source, destination, options } = job;
    registry(&source.registry, ["source.registry", "source.region", "source.account", "source.endpoint", "source.registry_endpoint"], add);
    registry(
        &destination.registry,
        ["destination.registry", "destination.region", "destination.account", "destination.endpoint", "destination.registry_endpoint"],
        add,
    );
    for image in &source.images {
        if let Err(why) = image.parse::<ImageName>() {
            add("source.images", format!("has {image:?}: {why}"));
        }
    }
    if source.images.is_empty() && source.registry.is_docker_hub() {
        add("source.images", "is missing: Docker Hub does not list its repositories; name them, like library/nginx".to_owned());
    }
    if options.untagged && !source.registry.is_ecr() {
        add("options.untagged", "works only where the source is ECR: other registries do not list images without a tag".to_owned());
    }
    if options.newest == Some(0) {
        add("options.newest", "must be at least 1; leave it out for all tags".to_owned());
    }
    for platform in &options.platforms {
        if let Some(why) = platform_problem(platform) {
            add("options.platforms", format!("has {platform:?}: {why}"));
        }
    }
    names(destination, add);
    settings(destination, source, add);
    if is_same_place(source, destination) {
        let message = "source and destination are the same repositories: use another registry or a prefix".to_owned();
        add("destination.prefix", message);
    }
}

fn registry(registry: &Registry, [field, region, account, endpoint, data]: [&'static str; 5], add: &mut impl FnMut(&'static str, String)) {
    let address = registry.registry.as_str();
    if address.is_empty() {
        add(field, "is missing: name the registry's host, or \"ecr\"".to_owned());
        return;
    }
    let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or(address);
    if host.trim_end_matches('/').contains(['/', ' ', '@', '?', '#']) || host.is_empty() || host.contains("://") {
        let message =
            format!("{address:?} is not a registry: write only the host, like ghcr.io or http://127.0.0.1:5000; images go to images");
        add(field, message);
    }
    for (field, url) in [(endpoint, &registry.endpoint), (data, &registry.registry_endpoint)] {
        let Some(url) = url else { continue };
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|h| h.trim_end_matches('/').is_empty() || h.contains([' ', '@'])) {
            add(field, format!("{url:?} is not an endpoint: write it like https://host[:port]"));
        }
    }
    if !registry.is_ecr() {
        let given = [
            (region, registry.region.is_some()),
            (account, registry.account.is_some()),
            (endpoint, registry.endpoint.is_some()),
            (data, registry.registry_endpoint.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            add(field, format!("belongs to ECR: {address} is none; leave it out, or use registry = \"ecr\""));
        }
    }
    if let Some((host_account, host_region)) = registry.ecr_host() {
        for (field, given, of_host) in [(account, &registry.account, host_account), (region, &registry.region, host_region)] {
            if let Some(given) = given.as_deref().filter(|given| *given != of_host) {
                add(field, format!("is {given:?}, but {address} is in {of_host}: leave it out"));
            }
        }
    }
    if let Some(id) = registry.account.as_deref().filter(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit())) {
        add(account, format!("{id:?} is not an account: 12 digits"));
    }
}

fn names(destination: &ImageDestination, add: &mut impl FnMut(&'static str, String)) {
    for (field, prefix) in [("destination.prefix", &destination.prefix), ("destination.strip_prefix", &destination.strip_prefix)] {
        // whatever it is a beginning of, a name that goes on behind it must be possible
        if let Some(why) = Some(format!("{prefix}a")).filter(|_| !prefix.is_empty()).and_then(|name| repository_problem(&name)) {
            add(field, format!("{prefix:?} cannot begin a repository's name: {why}"));
        }
    }
}

fn settings(destination: &ImageDestination, source: &ImageSource, add: &mut impl FnMut(&'static str, String)) {
    let ecr = destination.registry.is_ecr();
    if !ecr && destination.create != CreateRepository::Yes {
        add("destination.create", "belongs to ECR: other registries make repositories by themselves".to_owned());
    }
    if !ecr && destination.repository != RepositorySettings::default() {
        add("destination.repository", "belongs to ECR: other registries have no such settings".to_owned());
    }
    if destination.copy_settings && !(ecr && source.registry.is_ecr()) {
        add("destination.copy_settings", "works only from ECR to ECR".to_owned());
    }
    if destination.create == CreateRepository::OnPush && (destination.copy_settings || destination.repository != Default::default()) {
        let message =
            "cannot be \"on-push\" with settings: the registry's creation templates decide; use \"yes\", or leave the settings out";
        add("destination.create", message.to_owned());
    }
    template(&destination.repository, add);
}

fn template(template: &RepositorySettings, add: &mut impl FnMut(&'static str, String)) {
    for (field, policy) in
        [("destination.repository.lifecycle_policy", &template.lifecycle_policy), ("destination.repository.policy", &template.policy)]
    {
        if let Some(error) = policy.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).err()) {
            add(field, format!("is not JSON: {error}"));
        }
    }
    if let Some(policy) = template.lifecycle_policy.as_ref().filter(|policy| policy.len() > LONGEST_LIFECYCLE_POLICY) {
        let message = format!("has {} characters: ECR takes at most {LONGEST_LIFECYCLE_POLICY}", policy.len());
        add("destination.repository.lifecycle_policy", message);
    }
    for (key, value) in &template.tags {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if !(1..=LONGEST_RESOURCE_TAG.0).contains(&key_length) || value_length > LONGEST_RESOURCE_TAG.1 || key.starts_with("aws:") {
            let (key_most, value_most) = LONGEST_RESOURCE_TAG;
            let message =
                format!("has {key:?}: keys have 1 to {key_most} characters and do not begin with aws:, values at most {value_most}");
            add("destination.repository.tags", message);
        }
    }
    if template.tags.len() > MOST_RESOURCE_TAGS {
        add("destination.repository.tags", format!("has {} tags: AWS takes at most {MOST_RESOURCE_TAGS}", template.tags.len()));
    }
    if let Some(encryption) = &template.encryption {
        if !["AES256", "KMS"].contains(&encryption.kind.as_str()) {
            add("destination.repository.encryption.type", format!("{:?} is not known: use AES256 or KMS", encryption.kind));
        }
        if encryption.kind == "AES256" && encryption.key.is_some() {
            add("destination.repository.encryption.key", "AES256 has no key of yours: use type = \"KMS\"".to_owned());
        }
    }
}

/// Would copies land in the repositories that are sources?
fn is_same_place(source: &ImageSource, destination: &ImageDestination) -> bool {
    source.registry.is_same(&destination.registry) && destination.prefix == destination.strip_prefix && !source.registry.registry.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Encryption;

    fn registry(address: &str) -> Registry {
        Registry { registry: address.to_owned(), ..Registry::default() }
    }

    fn job(from: &str, to: &str) -> ImageJob {
        ImageJob {
            source: ImageSource { registry: registry(from), images: Vec::new() },
            destination: ImageDestination { registry: registry(to), ..ImageDestination::default() },
            ..ImageJob::default()
        }
    }

    fn with(from: &str, to: &str, change: impl FnOnce(&mut ImageJob)) -> ImageJob {
        let mut job = job(from, to);
        change(&mut job);
        job
    }

    fn found(job: &ImageJob) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        problems(job, &mut |field, message| found.push((field, message)));
        found
    }

    const ECR_HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

    #[test]
    fn good_tasks_have_no_problems() {
        for job in [
            job("ghcr.io", "ecr"),
            job("http://127.0.0.1:5000", ECR_HOST),
            with("docker.io", "ecr", |job| job.source.images = vec!["nginx".into()]),
            with("ghcr.io", "ghcr.io", |job| job.destination.prefix = "mirror/".into()),
            with(ECR_HOST, "ecr", |job| {
                job.source.registry.region = Some("us-east-1".into());
                job.options.untagged = true;
                job.options.platforms = vec!["linux/amd64".into(), "linux/arm/v7".into()];
                job.destination.copy_settings = true;
                job.destination.repository.policy = Some("{}".into());
                job.destination.repository.tags = [("team".to_owned(), "a".to_owned())].into();
            }),
        ] {
            assert_eq!(found(&job), [], "{job:?}");
        }
    }

    #[test]
    fn every_broken_rule_names_its_field_and_the_way_out() {
        let to_ecr = |change: fn(&mut ImageJob)| with("ghcr.io", "ecr", change);
        for (job, field, why) in [
            (job("", "ecr"), "source.registry", "name the registry's host"),
            (job("ghcr.io/team", "ecr"), "source.registry", "write only the host"),
            (job("docker.io", "ecr"), "source.images", "name them"),
            (to_ecr(|job| job.source.images = vec!["App".into()]), "source.images", "is not a repository's name"),
            (to_ecr(|job| job.source.registry.region = Some("us-east-1".into())), "source.region", "use registry = \"ecr\""),
            (to_ecr(|job| job.options.untagged = true), "options.untagged", "only where the source is ECR"),
            (to_ecr(|job| job.options.newest = Some(0)), "options.newest", "at least 1"),
            (to_ecr(|job| job.options.platforms = vec!["linux".into()]), "options.platforms", "write it like linux/amd64"),
            (to_ecr(|job| job.destination.prefix = "Mirror/".into()), "destination.prefix", "cannot begin a repository's name"),
            (to_ecr(|job| job.destination.registry.account = Some("12".into())), "destination.account", "12 digits"),
            (to_ecr(|job| job.destination.registry.endpoint = Some("ecr".into())), "destination.endpoint", "write it like https://"),
            (to_ecr(|job| job.destination.copy_settings = true), "destination.copy_settings", "from ECR to ECR"),
            (to_ecr(|job| job.destination.repository.policy = Some("{".into())), "destination.repository.policy", "is not JSON"),
            (
                to_ecr(|job| job.destination.repository.lifecycle_policy = Some(format!("\"{}\"", "x".repeat(30_720)))),
                "destination.repository.lifecycle_policy",
                "at most 30720",
            ),
            (
                to_ecr(|job| job.destination.repository.tags = [("aws:x".to_owned(), String::new())].into()),
                "destination.repository.tags",
                "do not begin with aws:",
            ),
            (
                to_ecr(|job| job.destination.repository.tags = (0..51).map(|n| (n.to_string(), String::new())).collect()),
                "destination.repository.tags",
                "at most 50",
            ),
            (
                to_ecr(|job| {
                    job.destination.repository.encryption = Some(Encryption { kind: "aws:kms".into(), key: None, bucket_key: None });
                }),
                "destination.repository.encryption.type",
                "use AES256 or KMS",
            ),
            (
                with("ghcr.io", "quay.io", |job| job.destination.create = CreateRepository::Never),
                "destination.create",
                "other registries make repositories",
            ),
            (
                with(ECR_HOST, "ecr", |job| job.source.registry.region = Some("eu-west-1".into())),
                "source.region",
                "is in us-east-1: leave it out",
            ),
            (
                with("ghcr.io", ECR_HOST, |job| job.destination.registry.account = Some("210987654321".into())),
                "destination.account",
                "is in 123456789012: leave it out",
            ),
            (job("ghcr.io", "https://ghcr.io"), "destination.prefix", "use another registry or a prefix"),
        ] {
            let found = found(&job);
            assert!(matches!(found.as_slice(), [(f, m)] if *f == field && m.contains(why)), "{field}: {why}: {found:?}");
        }
    }
}
