//! The form's fields of an S3 task.

use dth_proto::spec::{Compare, Encryption, S3Destination, S3Job, S3Options, S3Source, Store};

use super::{
    Mistake, Wizard,
    field::{Field, choice, text},
};

/// The choice for "no credential named": the SDK's own.
const DEFAULT_CHAIN: &str = "default chain";

/// Fields of the steps from, to and options.
pub(super) fn fields() -> [Vec<Field>; 3] {
    let from = vec![
        text("source.bucket", "Bucket", "only the name", ""),
        text("source.prefix", "Prefix", "empty: all keys", ""),
        text("source.provider", "Provider", "aws, minio, seaweedfs, ..., other", "aws"),
        text("source.region", "Region", "empty: the default", ""),
        text("source.endpoint", "Endpoint", "only for other stores: https://...", ""),
        choice("source.credential", "Credential", "Left/Right: those the daemon has", &[DEFAULT_CHAIN, "anonymous"]),
        choice("source.path_style", "Addressing", "bucket in host name or in path", &["as the provider", "path", "host"]),
        choice("source.requester_pays", "Requester pays", "you pay for the reading", &["no", "yes"]),
    ];
    let to = vec![
        text("destination.bucket", "Bucket", "only the name", ""),
        text("destination.prefix", "Prefix", "put before the source key", ""),
        text("destination.strip_prefix", "Strip prefix", "taken from the source key first", ""),
        text("destination.provider", "Provider", "aws, minio, seaweedfs, ..., other", "aws"),
        text("destination.region", "Region", "empty: the default", ""),
        text("destination.endpoint", "Endpoint", "only for other stores: https://...", ""),
        choice("destination.credential", "Credential", "Left/Right: those the daemon has", &[DEFAULT_CHAIN, "anonymous"]),
        choice("destination.path_style", "Addressing", "bucket in host name or in path", &["as the provider", "path", "host"]),
        text("destination.storage_class", "Storage class", "empty: the bucket's, or: keep", ""),
        text("destination.acl", "ACL", "empty: none is sent", ""),
        choice("destination.encryption.type", "Encryption", "by the store", &["as the bucket", "AES256", "aws:kms"]),
        text("destination.encryption.key", "KMS key", "empty: the account's default key", ""),
    ];
    let options = vec![
        choice("options.compare", "Same when", "auto: recorded state, size, ETag", &["auto", "size", "etag", "newer", "always"]),
        choice("options.metadata", "Metadata", "system and user metadata", &["copy", "leave"]),
        choice("options.tags", "Tags", "object tags", &["copy", "leave"]),
        text("options.include", "Only keys", "globs, with commas; empty: all", ""),
        text("options.exclude", "Skip keys", "globs, with commas", ""),
        text("options.larger_than", "Larger than", "5MB; empty: any size", ""),
        text("options.smaller_than", "Smaller than", "5GB; empty: any size", ""),
        text("options.newer_than", "Newer than", "changed in the last 7d, 12h, ...", ""),
        text("options.older_than", "Older than", "not changed in the last 1h, ...", ""),
    ];
    [from, to, options]
}

/// The job that the fields add up to, and what in them cannot be read.
pub(super) fn job(form: &Wizard, mistakes: &mut Vec<Mistake>) -> S3Job {
    let source = S3Source {
        store: store(form, "source"),
        // a space at the end of a prefix is part of it
        prefix: form.raw("source.prefix"),
        requester_pays: form.value("source.requester_pays") == "yes",
        ..S3Source::default()
    };
    let destination = S3Destination {
        store: store(form, "destination"),
        prefix: form.raw("destination.prefix"),
        strip_prefix: form.raw("destination.strip_prefix"),
        storage_class: form.some("destination.storage_class"),
        acl: form.some("destination.acl"),
        encryption: match form.value("destination.encryption.type") {
            "as the bucket" => None,
            kind => Some(Encryption { kind: kind.to_owned(), key: form.some("destination.encryption.key"), bucket_key: None }),
        },
        checksum: None,
    };
    let options = S3Options {
        compare: match form.value("options.compare") {
            "size" => Compare::Size,
            "etag" => Compare::Etag,
            "newer" => Compare::Newer,
            "always" => Compare::Always,
            _ => Compare::Auto,
        },
        metadata: form.value("options.metadata") == "copy",
        tags: form.value("options.tags") == "copy",
        include: form.list("options.include"),
        exclude: form.list("options.exclude"),
        larger_than: form.parsed("options.larger_than", mistakes),
        smaller_than: form.parsed("options.smaller_than", mistakes),
        newer_than: form.parsed("options.newer_than", mistakes),
        older_than: form.parsed("options.older_than", mistakes),
        ..S3Options::default()
    };
    S3Job { source, destination, options }
}

fn store(form: &Wizard, end: &str) -> Store {
    let get = |name: &str| form.some(&format!("{end}.{name}"));
    Store {
        provider: get("provider").unwrap_or_else(|| "aws".to_owned()),
        bucket: get("bucket").unwrap_or_default(),
        region: get("region"),
        endpoint: get("endpoint"),
        credential: get("credential").filter(|c| c != DEFAULT_CHAIN),
        path_style: match form.value(&format!("{end}.path_style")) {
            "path" => Some(true),
            "host" => Some(false),
            _ => None,
        },
    }
}
