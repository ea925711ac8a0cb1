//! What speaks against an image task before anything is tried.

use dth_proto::spec::{ImageJob, ImageSource, Registry, image::name::ImageName};

use crate::{
    config::Config,
    credential::{self, CredentialSpec},
    image::{name::NameMap, select::Selection},
};

/// What speaks against a job before anything is tried, beyond the rules that every definition must keep.
#[must_use]
pub fn problems(job: &ImageJob, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for (end, registry) in [("source", &job.source.registry), ("destination", &job.destination.registry)] {
        found.extend(credential_problem(registry, config).map(|problem| format!("{end}.credential: {problem}")));
    }
    // names that are none are told with the rules that every definition must keep
    let images = job.source.images.iter().filter(|image| image.parse::<ImageName>().is_ok()).cloned().collect();
    match Selection::new(&ImageSource { images, registry: job.source.registry.clone() }, &job.options) {
        Err(problems) => found.extend(problems),
        Ok(selection) => found.extend(name_problems(job, &selection)),
    }
    found
}

/// A credential that does not exist, or is for the other kind of registry.
fn credential_problem(registry: &Registry, config: &Config) -> Option<String> {
    let name = registry.credential.as_deref()?;
    if !registry.is_ecr() {
        return credential::for_registry(name, &config.credentials).err().map(|error| error.to_string());
    }
    if let Err(error) = credential::known_to_aws(Some(name), &config.credentials) {
        return Some(error.to_string());
    }
    let signs_nothing = matches!(config.credentials.get(name), None | Some(CredentialSpec::Anonymous));
    // another endpoint may take what AWS does not
    (signs_nothing && registry.endpoint.is_none())
        .then(|| format!("credential {name:?} signs nothing, and ECR answers only signed requests: name one for AWS, or leave it out"))
}

/// Names at the destination that are impossible, the same, or among the sources.
fn name_problems(job: &ImageJob, selection: &Selection) -> Vec<String> {
    let map = NameMap::new(&job.destination);
    if let Some(named) = selection.named() {
        let impossible = named.iter().filter_map(|repository| map.map(repository).err());
        return impossible.chain(map.collisions(&named)).map(|problem| format!("source.images: {problem}")).collect();
    }
    let prefix = &job.destination.prefix;
    let again = ["a", "a/b"].iter().any(|name| selection.keep_repository(&format!("{prefix}{name}")));
    if !prefix.is_empty() && again && job.source.registry.is_same(&job.destination.registry) {
        let text = "copies would be listed as sources by the next run, and copied again";
        return vec![format!("destination.prefix: {text}: add {:?} to options.exclude_repositories", format!("{prefix}**"))];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{ImageDestination, ImageOptions};

    use super::*;
    use crate::image::check::tests::configured;

    fn config() -> Config {
        configured([
            ("aws-reader", CredentialSpec::Profile { name: "reader".into() }),
            ("hub", CredentialSpec::Docker { path: None }),
            ("nobody", CredentialSpec::Anonymous),
        ])
    }

    fn registry(address: &str, credential: Option<&str>) -> Registry {
        Registry { registry: address.to_owned(), credential: credential.map(str::to_owned), ..Registry::default() }
    }

    fn job(from: Registry, to: Registry) -> ImageJob {
        ImageJob {
            source: ImageSource { registry: from, images: Vec::new() },
            destination: ImageDestination { registry: to, ..ImageDestination::default() },
            options: ImageOptions::default(),
        }
    }

    #[test]
    fn credentials_must_exist_and_fit_the_registry() {
        for (address, credential, expected) in [
            ("ecr", None, None),
            ("ecr", Some("aws-reader"), None),
            ("ecr", Some("aws-raeder"), Some("did you mean \"aws-reader\"?")),
            ("ecr", Some("hub"), Some("signs in to registries and not to AWS")),
            ("ecr", Some("anonymous"), Some("ECR answers only signed requests")),
            ("ecr", Some("nobody"), Some("ECR answers only signed requests")),
            ("ghcr.io", None, None),
            ("ghcr.io", Some("hub"), None),
            ("ghcr.io", Some("anonymous"), None),
            ("ghcr.io", Some("nobody"), None),
            ("ghcr.io", Some("aws-reader"), Some("signs requests to AWS and not to other registries")),
        ] {
            let found = problems(&job(registry(address, credential), registry("quay.io", None)), &config());
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{address} {credential:?}"),
                Some(text) => {
                    assert!(matches!(found.as_slice(), [one] if one.starts_with("source.credential: ") && one.contains(text)), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn everything_is_told_at_once_and_nothing_twice() {
        let mut job = job(registry("ghcr.io", Some("nope")), registry("ecr", Some("hub")));
        // "App" is told by the rules of every definition
        job.source.images = vec!["App".to_owned(), "a:1".to_owned()];
        job.options.semver = Some("new".to_owned());
        job.options.tags = vec!["[".to_owned()];
        let found = problems(&job, &config());
        let begins = ["source.credential: ", "destination.credential: ", "options.tags: ", "options.semver: "];
        assert_eq!(found.len(), begins.len(), "{found:#?}");
        assert!(found.iter().zip(begins).all(|(problem, begin)| problem.starts_with(begin)), "{found:#?}");
    }

    #[test]
    fn named_repositories_must_have_names_of_their_own_at_the_destination() {
        let mut job = job(registry("ghcr.io", None), registry("ecr", None));
        job.source.images = ["library/nginx", "nginx:1", "a__b:1"].map(str::to_owned).to_vec();
        assert_eq!(problems(&job, &config()).len(), 1);
        job.destination.strip_prefix = "library/".to_owned();
        let found = problems(&job, &config());
        assert!(found.len() == 2 && found[0].contains("a__b") && found[1].contains("would all be called \"nginx\""), "{found:#?}");
    }

    #[test]
    fn copies_must_not_become_sources() {
        let mut job = job(registry("ghcr.io", None), registry("https://ghcr.io", None));
        job.destination.prefix = "mirror/".to_owned();
        let found = problems(&job, &config());
        assert!(matches!(found.as_slice(), [one] if one.contains("add \"mirror/**\" to options.exclude_repositories")), "{found:?}");
        job.options.exclude_repositories = vec!["mirror/**".to_owned()];
        assert_eq!(problems(&job, &config()), Vec::<String>::new());
        job.options.exclude_repositories.clear();
        job.options.repositories = vec!["team/**".to_owned()];
        assert_eq!(problems(&job, &config()), Vec::<String>::new());
    }
}
