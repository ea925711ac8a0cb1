//! The rules of an image task.

use crate::spec::{
    CreateRepository, ImageDestination, ImageJob, ImageSource, Registry,
    image::name::{ImageName, repository_problem},
};

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
    if options.untagged && !source.registry.is_ecr() {
        add("options.untagged", "works only where the source is ECR: other registries do not list images without a tag".to_owned());
    }
    if options.newest == Some(0) {
        add("options.newest", "must be at least 1; leave it out for all tags".to_owned());
    }
    for platform in &options.platforms {
        let parts: Vec<&str> = platform.split('/').collect();
        if !(2..=3).contains(&parts.len()) || parts.iter().any(|part| part.is_empty()) {
            add("options.platforms", format!("has {platform:?}: write platforms like linux/amd64 or linux/arm/v7"));
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
    if !ecr && destination.repository != crate::spec::RepositorySettings::default() {
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
    if let Some(encryption) = &destination.repository.encryption {
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
    let (from, to) = (&source.registry, &destination.registry);
    let same = from.registry == to.registry
        && from.ecr_account() == to.ecr_account()
        && from.ecr_region() == to.ecr_region()
        && from.endpoint == to.endpoint
        && from.registry_endpoint == to.registry_endpoint;
    same && destination.prefix == destination.strip_prefix && !from.registry.is_empty()
}
