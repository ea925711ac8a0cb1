//! A definition in words, for the detail of a task and for the last step of the form.

use dth_proto::spec::{Archived, Compare, CreateRepository, ImageJob, RepositorySettings, RestoreTier, S3Job, Versions};

/// When an object counts as already there.
pub(super) fn compare(compare: Compare) -> &'static str {
    match compare {
        Compare::Auto => "new and changed only",
        Compare::Size => "other size only",
        Compare::Etag => "other size or ETag only",
        Compare::Checksum => "other size or checksum only",
        Compare::Newer => "other size or newer only",
        Compare::Always => "everything, always",
    }
}

/// How objects are copied.
pub(super) fn objects(job: &S3Job) -> Vec<String> {
    let mut parts = vec![compare(job.options.compare).to_owned()];
    match (job.options.metadata, job.options.tags) {
        (true, true) => parts.push("keep metadata and tags".to_owned()),
        (true, false) => parts.push("keep metadata".to_owned()),
        (false, true) => parts.push("keep tags".to_owned()),
        (false, false) => parts.push("no metadata, no tags".to_owned()),
    }
    let options = &job.options;
    if options.versions == Versions::All {
        parts.push("all versions and delete markers, oldest first".to_owned());
    }
    parts.extend(options.as_of.map(|at| format!("as of {at}")));
    if options.archived == Archived::Restore {
        let tier = match options.restore_tier {
            RestoreTier::Expedited => "expedited",
            RestoreTier::Standard => "standard",
            RestoreTier::Bulk => "bulk",
        };
        let days = options.restore_days.map(|days| format!(" for {}", crate::columns::counted(u64::from(days), "day"))).unwrap_or_default();
        parts.push(format!("restore archived objects ({tier}){days}"));
    }
    if let Some(class) = &job.destination.storage_class {
        parts.push(format!("class {class}"));
    }
    let target = &job.destination;
    parts.extend(target.acl.as_ref().map(|acl| format!("ACL {acl}")));
    parts.extend(target.encryption.as_ref().map(|e| format!("encrypted with {}", e.kind)));
    parts.extend(target.checksum.as_ref().map(|algorithm| format!("{algorithm} stored")));
    let options = &job.options;
    parts.extend(options.object_lock.then(|| "keep Object Lock".to_owned()));
    parts.extend(options.mtime_metadata.as_ref().map(|name| format!("time of the source as {name}")));
    parts.extend((!options.server_side_copy).then(|| "no copies by the store itself".to_owned()));
    parts
}

/// Which repositories, or images by name: `library/nginx, library/redis:7`, `all repositories, not **/cache`.
pub(super) fn repositories(job: &ImageJob) -> String {
    let options = &job.options;
    let mut parts = Vec::new();
    let globs = options.repositories.join(", ");
    match (job.source.images.is_empty(), globs.is_empty()) {
        (true, true) => parts.push("all repositories".to_owned()),
        (true, false) => parts.push(format!("repositories {globs}")),
        (false, true) => parts.push(job.source.images.join(", ")),
        (false, false) => parts.push(format!("{}, only {globs}", job.source.images.join(", "))),
    }
    if !options.exclude_repositories.is_empty() {
        parts.push(format!("not {}", options.exclude_repositories.join(", ")));
    }
    parts.join(", ")
}

/// Which tags of each repository: `all tags`, `tags v*, not *-rc*, versions >=1.20, newest 20 each`.
pub(super) fn tags(job: &ImageJob) -> String {
    let options = &job.options;
    let mut parts = Vec::new();
    if !options.tags.is_empty() {
        parts.push(format!("tags {}", options.tags.join(", ")));
    }
    parts.extend(options.tag_regex.as_ref().map(|regex| format!("tags like {regex}")));
    parts.extend(options.semver.as_ref().map(|range| format!("versions {range}")));
    if parts.is_empty() && options.newest.is_none() {
        parts.push("all tags".to_owned());
    }
    if !options.exclude_tags.is_empty() {
        parts.push(format!("not {}", options.exclude_tags.join(", ")));
    }
    parts.extend(options.newest.map(|n| format!("newest {n} each")));
    if options.untagged {
        parts.push("and images without a tag".to_owned());
    }
    parts.join(", ")
}

/// What of an image is copied: `all platforms, digests kept, with signatures`.
pub(super) fn content(job: &ImageJob) -> Vec<String> {
    let options = &job.options;
    let mut parts = vec![match options.platforms.as_slice() {
        [] => "all platforms, digests kept".to_owned(),
        some => format!("only {} (indexes written anew)", some.join(", ")),
    }];
    parts.push(if options.referrers { "with signatures" } else { "without signatures" }.to_owned());
    if options.foreign_layers {
        parts.push("with foreign layers".to_owned());
    }
    parts
}

/// What happens to repositories at the destination; empty where registries make them by themselves.
pub(super) fn creation(job: &ImageJob) -> Vec<String> {
    let to = &job.destination;
    let mut parts = Vec::new();
    if to.registry.is_ecr() {
        parts.push(match to.create {
            CreateRepository::Yes => "create repositories".to_owned(),
            CreateRepository::OnPush => "ECR creates repositories by its templates".to_owned(),
            CreateRepository::Never => "create no repositories".to_owned(),
        });
    }
    if to.copy_settings {
        parts.push("settings as at the source".to_owned());
    }
    parts.extend(settings(&to.repository));
    parts
}

fn settings(of: &RepositorySettings) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(of.immutable_tags.map(|on| if on { "immutable tags" } else { "mutable tags" }.to_owned()));
    parts.extend(of.scan_on_push.map(|on| if on { "scan on push" } else { "no scan on push" }.to_owned()));
    parts.extend(of.encryption.as_ref().map(|e| format!("encrypted with {}", e.kind)));
    parts.extend(of.lifecycle_policy.as_ref().map(|_| "a lifecycle policy".to_owned()));
    parts.extend(of.policy.as_ref().map(|_| "a repository policy".to_owned()));
    if !of.tags.is_empty() {
        parts.push(crate::columns::counted(of.tags.len() as u64, "resource tag"));
    }
    parts
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{ImageOptions, ImageSource};

    use super::*;

    fn job(images: &[&str], options: ImageOptions) -> ImageJob {
        let images = images.iter().map(|name| (*name).to_owned()).collect();
        ImageJob { source: ImageSource { images, ..ImageSource::default() }, options, ..ImageJob::default() }
    }

    #[test]
    fn images_are_told_by_repository_and_tag() {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let all = job(&[], ImageOptions::default());
        assert_eq!((repositories(&all).as_str(), tags(&all).as_str()), ("all repositories", "all tags"));
        let some = job(
            &["a/b", "a/c:1"],
            ImageOptions {
                exclude_repositories: list(&["**/cache"]),
                tags: list(&["v*", "w*"]),
                exclude_tags: list(&["*-rc*"]),
                semver: Some(">=1, <2".to_owned()),
                newest: Some(20),
                untagged: true,
                ..ImageOptions::default()
            },
        );
        assert_eq!(repositories(&some), "a/b, a/c:1, not **/cache");
        assert_eq!(tags(&some), "tags v*, w*, versions >=1, <2, not *-rc*, newest 20 each, and images without a tag");
        let only = job(&[], ImageOptions { repositories: list(&["team/*"]), newest: Some(1), ..ImageOptions::default() });
        assert_eq!((repositories(&only).as_str(), tags(&only).as_str()), ("repositories team/*", "newest 1 each"));
    }

    #[test]
    fn versions_and_archives_are_told() {
        let (source, destination) = Default::default();
        let mut job = S3Job { source, destination, options: Default::default() };
        let plain = objects(&job);
        job.options.versions = Versions::All;
        job.options.archived = Archived::Restore;
        job.options.restore_tier = RestoreTier::Bulk;
        job.options.restore_days = Some(3);
        let told = objects(&job);
        assert_eq!(told[plain.len()..], ["all versions and delete markers, oldest first", "restore archived objects (bulk) for 3 days"]);
        job.options.versions = Versions::Latest;
        job.options.as_of = Some("2026-11-01T00:00:00Z".parse().expect("a time"));
        assert!(objects(&job).contains(&"as of 2026-11-01T00:00:00Z".to_owned()), "{:?}", objects(&job));
    }

    #[test]
    fn a_registry_that_makes_repositories_by_itself_says_nothing() {
        let mut job = job(&[], ImageOptions { platforms: vec!["linux/amd64".to_owned()], referrers: false, ..ImageOptions::default() });
        job.destination.registry.registry = "ghcr.io".to_owned();
        assert!(creation(&job).is_empty());
        assert_eq!(content(&job), ["only linux/amd64 (indexes written anew)", "without signatures"]);
        job.destination.registry.registry = "ecr".to_owned();
        job.destination.repository.immutable_tags = Some(true);
        assert_eq!(creation(&job), ["create repositories", "immutable tags"]);
    }
}
