//! A definition in words, for the detail of a task and for the last step of the form.

use dth_proto::{
    spec::{Archived, Compare, CreateRepository, Delete, ImageJob, RepositorySettings, S3Job, S3Options, Trigger, Versions, Words},
    units,
};

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

/// What is as usual and not worth a word where room is short.
const USUAL: [&str; 2] = [NO_DELETES, BUCKETS_CLASS];
const NO_DELETES: &str = "nothing is deleted at the destination";
const BUCKETS_CLASS: &str = "the bucket's storage class";

/// All of an S3 task but its ends, as far as it is not the usual: what is copied, how it is written, which objects.
pub(super) fn objects(job: &S3Job) -> Vec<String> {
    let mut parts = [copying(job), writing(job), selection(job)].concat();
    parts.retain(|part| !USUAL.contains(&part.as_str()));
    parts
}

/// When objects are copied, and what becomes of those that only the destination has: `new and changed only, nothing is deleted at the
/// destination`.
pub(super) fn copying(job: &S3Job) -> Vec<String> {
    let options = &job.options;
    let mut parts = vec![compare(options.compare).to_owned()];
    match options.delete {
        Delete::Never => parts.push(NO_DELETES.to_owned()),
        Delete::Mirror => {
            let most = units::grouped(options.max_deletes.unwrap_or(S3Options::MAX_DELETES));
            let percent = options.max_delete_percent.unwrap_or(S3Options::MAX_DELETE_PERCENT);
            parts.push(format!("DELETES what only the destination has (at most {most}, {percent}%)"));
        }
    }
    if options.versions == Versions::All {
        parts.push("all versions and delete markers".to_owned());
    }
    parts.extend(options.as_of.map(|at| format!("as of {at}")));
    if options.archived == Archived::Restore {
        let days = options.restore_days.unwrap_or(7);
        let tier = options.restore_tier.word();
        parts.push(format!("restore what is archived ({tier}, for {})", crate::columns::counted(days.into(), "day")));
    }
    if job.source.requester_pays {
        parts.push("you pay for the reading".to_owned());
    }
    parts
}

/// How objects are written: `the bucket's storage class, keep metadata and tags`.
pub(super) fn writing(job: &S3Job) -> Vec<String> {
    let (to, options) = (&job.destination, &job.options);
    let mut parts = vec![to.storage_class.as_ref().map_or(BUCKETS_CLASS.to_owned(), |class| format!("class {class}"))];
    if let Some(encryption) = &to.encryption {
        let bucket_key = match encryption.bucket_key {
            Some(true) => " and a bucket key",
            Some(false) => " without a bucket key",
            None => "",
        };
        parts.push(format!("encrypted with {}{bucket_key}", encryption.kind));
    }
    parts.extend(job.source.encryption.as_ref().map(|encryption| format!("decrypted with {}", encryption.kind)));
    parts.extend(to.acl.as_ref().map(|acl| format!("ACL {acl}")));
    parts.extend(to.checksum.as_ref().map(|checksum| format!("checksum {checksum}")));
    parts.push(
        match (options.metadata, options.tags) {
            (true, true) => "keep metadata and tags",
            (true, false) => "keep metadata, leave tags",
            (false, true) => "keep tags, leave metadata",
            (false, false) => "leave metadata and tags",
        }
        .to_owned(),
    );
    if options.object_lock {
        parts.push("keep Object Lock".to_owned());
    }
    parts.extend(options.mtime_metadata.as_ref().map(|name| format!("times in {name}")));
    if !options.server_side_copy {
        parts.push("never copied by the store itself".to_owned());
    }
    parts
}

/// Which objects; empty: all below the prefix.
pub(super) fn selection(job: &S3Job) -> Vec<String> {
    let (source, options) = (&job.source, &job.options);
    let mut parts = Vec::new();
    parts.extend(source.prefix_list.as_ref().map(|list| format!("prefixes of {list}")));
    for (word, list) in [
        ("below", &source.prefixes),
        ("keys", &options.include),
        ("keys like", &options.include_regex),
        ("not", &options.exclude),
        ("not like", &options.exclude_regex),
        ("classes", &options.storage_classes),
        ("not in classes", &options.exclude_storage_classes),
    ] {
        if !list.is_empty() {
            parts.push(format!("{word} {}", list.join(", ")));
        }
    }
    for (word, size) in [("larger than", options.larger_than), ("smaller than", options.smaller_than)] {
        parts.extend(size.map(|size| format!("{word} {size}")));
    }
    for (word, span) in [("newer than", options.newer_than), ("older than", options.older_than)] {
        parts.extend(span.map(|span| format!("{word} {span}")));
    }
    parts
}

/// When a task runs: `cron 0 2 * * *`, `events of https://sqs…, all compared every 24h`.
pub(super) fn trigger(trigger: Option<&Trigger>) -> String {
    match trigger {
        None => "only when someone starts it".to_owned(),
        Some(Trigger::Events { events }) => format!("events of {}, all compared every {}", events.queue, events.reconcile),
        Some(other) => other.to_string(),
    }
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
    if !of.tag_exclusions.is_empty() {
        parts.push(format!("except tags {}", of.tag_exclusions.join(", ")));
    }
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
    use dth_proto::spec::{Encryption, ImageOptions, ImageSource, RestoreTier, S3Destination, S3Source};

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
    fn every_option_of_objects_has_words() {
        let encryption = |kind: &str| Some(Encryption { kind: kind.to_owned(), key: None, bucket_key: Some(true) });
        let mut job = S3Job { source: S3Source::default(), destination: S3Destination::default(), options: S3Options::default() };
        assert_eq!(objects(&job), ["new and changed only", "keep metadata and tags"]);
        job.source.encryption = encryption("SSE-C");
        job.source.requester_pays = true;
        job.source.prefix_list = Some("s3://a/list".to_owned());
        job.destination.encryption = encryption("aws:kms");
        job.destination.checksum = Some("SHA256".to_owned());
        job.options = S3Options {
            delete: Delete::Mirror,
            max_delete_percent: Some(5),
            versions: Versions::All,
            as_of: "2026-12-01T02:00:00Z".parse().ok(),
            archived: Archived::Restore,
            restore_tier: RestoreTier::Bulk,
            restore_days: Some(1),
            object_lock: true,
            mtime_metadata: Some("mtime".to_owned()),
            server_side_copy: false,
            include_regex: vec!["^a".to_owned()],
            exclude_storage_classes: vec!["GLACIER".to_owned()],
            ..job.options
        };
        let text = objects(&job).join(", ");
        for words in [
            "DELETES what only the destination has (at most 1,000, 5%)",
            "all versions and delete markers",
            "as of 2026-12-01",
            "restore what is archived (bulk, for 1 day)",
            "you pay for the reading",
            "encrypted with aws:kms and a bucket key",
            "decrypted with SSE-C",
            "checksum SHA256",
            "keep Object Lock",
            "times in mtime",
            "never copied by the store itself",
            "prefixes of s3://a/list",
            "keys like ^a",
            "not in classes GLACIER",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text:?}");
        }
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
