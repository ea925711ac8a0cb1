//! The form's fields of an S3 task.

mod read;

pub(super) use self::read::{fill, job};
use dth_proto::spec::{Archived, Compare, Delete, RestoreTier, Versions};

use super::field::{Field, choice, fold, text, word};

/// The choice for "no credential named": the SDK's own.
pub(super) const DEFAULT_CHAIN: &str = "default chain";
/// The choice for what the bucket's own settings decide.
const AS_THE_BUCKET: &str = "as the bucket";
/// The choice for what the provider's profile decides.
const AS_THE_PROVIDER: &str = "as the provider";

/// Fields of the steps from, to and options.
pub(super) fn fields() -> [Vec<Field>; 3] {
    let mut from = vec![text("source.bucket", "Bucket", "only the name", ""), text("source.prefix", "Prefix", "empty: all keys", "")];
    from.extend(store(["source.provider", "source.region", "source.endpoint", "source.credential", "source.path_style"]));
    from.push(choice("source.requester_pays", "Requester pays", "you pay for the reading", &["no", "yes"]));
    let more_from = vec![
        text("source.prefixes", "Prefixes", "instead of one, with commas", ""),
        text("source.prefix_list", "Prefix list", "s3://bucket/key or file:///path", ""),
        choice("source.encryption.type", "Decryption", "with keys of yours", &["by the store", "SSE-C"]),
        text("source.encryption.key", "SSE-C key", "name of a credential of type sse-c", ""),
    ];
    let mut to = vec![
        text("destination.bucket", "Bucket", "only the name", ""),
        text("destination.prefix", "Prefix", "put before the source key", ""),
        text("destination.strip_prefix", "Strip prefix", "taken from the source key first", ""),
    ];
    to.extend(store([
        "destination.provider",
        "destination.region",
        "destination.endpoint",
        "destination.credential",
        "destination.path_style",
    ]));
    to.push(text("destination.storage_class", "Storage class", "empty: the bucket's, or: keep", ""));
    let kinds = [AS_THE_BUCKET, "AES256", "aws:kms", "aws:kms:dsse", "SSE-C"];
    let more_to = vec![
        text("destination.acl", "ACL", "empty: none is sent", ""),
        choice("destination.encryption.type", "Encryption", "by the store", &kinds),
        text("destination.encryption.key", "Key", "of KMS; of SSE-C: its credential", ""),
        choice("destination.encryption.bucket_key", "Bucket key", "KMS: one for all objects", &[AS_THE_BUCKET, "yes", "no"]),
        text("destination.checksum", "Checksum", "CRC64NVME, SHA256, ...; empty: any", ""),
    ];
    let options = vec![
        word::<Compare>("options.compare", "Same when", "auto: record, size, ETag"),
        choice("options.metadata", "Metadata", "system and user metadata", &["copy", "leave"]),
        choice("options.tags", "Tags", "object tags", &["copy", "leave"]),
        text("options.include", "Only keys", "globs, with commas; empty: all", ""),
        text("options.exclude", "Skip keys", "globs, with commas", ""),
        word::<Delete>("options.delete", "Deletes", "mirror: also what only they have"),
    ];
    let more_options = vec![
        text("options.larger_than", "Larger than", "5MB; empty: any size", ""),
        text("options.smaller_than", "Smaller than", "5GB; empty: any size", ""),
        text("options.newer_than", "Newer than", "changed in the last 7d, 12h, ...", ""),
        text("options.older_than", "Older than", "not changed in the last 1h, ...", ""),
        text("options.include_regex", "Only like", "regexes; a comma in one: \\,", ""),
        text("options.exclude_regex", "Skip like", "regexes; a comma in one: \\,", ""),
        text("options.storage_classes", "Only classes", "STANDARD, GLACIER, ...; empty: all", ""),
        text("options.exclude_storage_classes", "Skip classes", "with commas", ""),
        text("options.max_deletes", "Most deletes", "more: none at all; empty: 1000", ""),
        text("options.max_delete_percent", "Most deletes %", "of the destination; empty: 10", ""),
        word::<Archived>("options.archived", "Archived", "GLACIER and the like"),
        word::<RestoreTier>("options.restore_tier", "Restore tier", "how fast, at what cost"),
        text("options.restore_days", "Restored for", "days; empty: 7", ""),
        word::<Versions>("options.versions", "Versions", "all: with delete markers"),
        text("options.as_of", "As of", "2026-12-01T02:00Z; empty: now", ""),
        choice("options.object_lock", "Object Lock", "retention and legal hold", &["leave", "copy"]),
        text("options.mtime_metadata", "Keep mtime as", "name of user metadata: mtime", ""),
        choice("options.server_side_copy", "Store copies", "by itself, where it can", &["yes", "no"]),
    ];
    [
        fold(from, "advanced.from", "prefix lists, SSE-C", more_from),
        fold(to, "advanced.to", "ACL, encryption, checksum", more_to),
        fold(options, "advanced.options", "sizes, ages, archives, versions", more_options),
    ]
}

/// Where a store is and who asks it, the same at both ends; only the ids differ.
fn store([provider, region, endpoint, credential, path_style]: [&'static str; 5]) -> [Field; 5] {
    [
        text(provider, "Provider", "aws, minio, ..., other", "aws"),
        text(region, "Region", "empty: default", ""),
        text(endpoint, "Endpoint", "only for other stores: https://...", ""),
        choice(credential, "Credential", "Left/Right: those the daemon has", &[DEFAULT_CHAIN, "anonymous"]),
        choice(path_style, "Addressing", "bucket in host name or in path", &[AS_THE_PROVIDER, "path", "host"]),
    ]
}
