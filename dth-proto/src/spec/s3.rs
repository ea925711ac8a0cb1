//! What a task of the S3 engine moves, and how.

use std::{slice, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{is_default, yes};
use crate::{
    time::{Span, Timestamp},
    units::ByteSize,
};

/// Objects from one bucket to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct S3Job {
    /// Where from.
    pub source: S3Source,
    /// Where to.
    pub destination: S3Destination,
    /// How.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: S3Options,
}

/// A bucket as either end sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Store {
    /// The store's dialect: `aws`, `seaweedfs`, `minio`, …, `other`.
    pub provider: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Region; `None`: the SDK's own default, else us-east-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where the provider's own endpoint does not fit: `http(s)://host[:port]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A name from dthd.toml, or `anonymous`; `None`: the SDK's default chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Bucket in the path instead of in the host name; `None`: as the provider has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
}

impl Store {
    /// Whether both are one bucket, by what the definition says of them.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.endpoint == other.endpoint && self.region == other.region
    }
}

/// Where objects come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct S3Source {
    /// The bucket.
    #[serde(flatten)]
    pub store: Store,
    /// Only keys that begin with this; empty: all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Instead of `prefix`: keys that begin with one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Instead of `prefix`: a list of prefixes, one per line: `s3://bucket/key`, read with the source's credential, or
    /// `file:///path` on the daemon's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_list: Option<String>,
    /// Pay for the reading.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requester_pays: bool,
    /// Keys of ours that the store needs to decrypt (`SSE-C`); all else it decrypts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// Where a list of prefixes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixList {
    /// An absolute path on the daemon's machine.
    File(String),
    /// An object, read with the source's provider, region, endpoint and credential.
    Object {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
}

impl FromStr for PrefixList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://").filter(|path| path.starts_with('/') && path.len() > 1) {
            return Ok(Self::File(path.to_owned()));
        }
        let object = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match object.filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()) {
            Some((bucket, key)) => Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() }),
            None => Err("is not a place of a list: write it like s3://bucket/key or file:///path".to_owned()),
        }
    }
}

/// Where objects go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct S3Destination {
    /// The bucket.
    #[serde(flatten)]
    pub store: Store,
    /// Put before the source key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Taken away from the source key first; keys without it keep theirs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strip_prefix: String,
    /// A storage class, or `keep`; `None`: the bucket's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// A canned ACL; `None`: no ACL is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Server-side encryption; `None`: the bucket's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The checksum that the destination is to store with each object: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`; `None`:
    /// what verifies the copy at the least cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// Server-side encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256`, `aws:kms`, `aws:kms:dsse` or `SSE-C`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The KMS key, `None`: the account's default key; of `SSE-C` the name of a credential of type `sse-c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// One data key per bucket instead of one per object (KMS only); `None`: as the bucket has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_key: Option<bool>,
}

/// When two objects count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compare {
    /// What was recorded at the last copy, else size and ETag where ETags can be compared, else size and a newer destination.
    #[default]
    Auto,
    /// Equal size.
    Size,
    /// Equal size and ETag; ETags that cannot be compared count as different.
    Etag,
    /// Equal size and equal stored checksum, asked for object by object; what cannot be compared is different.
    Checksum,
    /// Equal size, and the destination is not older.
    Newer,
    /// Never the same: copy everything.
    Always,
}

/// What becomes of objects that exist only at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Delete {
    /// They stay.
    #[default]
    Never,
    /// They are deleted, within the guards.
    Mirror,
}

/// What becomes of objects in an archive that must be restored before they can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Archived {
    /// They are skipped, by this name.
    #[default]
    Skip,
    /// Their restoration is asked for; they are copied when they are ready.
    Restore,
}

/// How fast an archived object is restored (AWS: `RestoreObject`, `GlacierJobParameters`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestoreTier {
    /// Minutes; not for DEEP_ARCHIVE.
    Expedited,
    /// Hours.
    #[default]
    Standard,
    /// Half a day and more, at the least cost.
    Bulk,
}

/// Which versions of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Versions {
    /// The latest.
    #[default]
    Latest,
    /// All of them and the delete markers between them, oldest first.
    All,
}

/// Which objects, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct S3Options {
    /// When an object counts as already there.
    #[serde(default)]
    pub compare: Compare,
    /// Copy system and user metadata.
    #[serde(default = "yes")]
    pub metadata: bool,
    /// Copy tags.
    #[serde(default = "yes")]
    pub tags: bool,
    /// Only keys that match one of these globs (`*` within a segment, `**` across); empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// No keys that match one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Only keys in which one of these regular expressions, or a glob of `include`, is found; anchor with `^` and `$`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include_regex: Vec<String>,
    /// No keys in which one of these regular expressions is found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_regex: Vec<String>,
    /// Only objects in one of these storage classes; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<String>,
    /// No objects in one of these storage classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_storage_classes: Vec<String>,
    /// Only objects larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<ByteSize>,
    /// Only objects smaller than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<ByteSize>,
    /// Only objects modified within this span before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<Span>,
    /// Only objects not modified within this span before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Span>,
    /// What becomes of objects that exist only at the destination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delete: Delete,
    /// Guard of `delete`: a run that would delete more than this deletes nothing; `None`: 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deletes: Option<u64>,
    /// Guard of `delete`: a run that would delete more than this share of what the destination has deletes nothing; `None`: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delete_percent: Option<u32>,
    /// What becomes of archived objects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub archived: Archived,
    /// How fast they are restored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restore_tier: RestoreTier,
    /// For how many days the restored copy stays; `None`: 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_days: Option<u32>,
    /// Which versions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub versions: Versions,
    /// Objects as they were then (versioned buckets only); `None`: as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Copy Object Lock retention and legal hold.
    #[serde(default, skip_serializing_if = "is_default")]
    pub object_lock: bool,
    /// Name of the user metadata that keeps the source's modification time, in seconds since 1970 (`mtime` is what others
    /// read); `None`: it is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime_metadata: Option<String>,
    /// Let the store copy by itself where both ends are in one store and the rights allow it.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub server_side_copy: bool,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            compare: Compare::Auto,
            metadata: true,
            tags: true,
            include: Vec::new(),
            exclude: Vec::new(),
            larger_than: None,
            smaller_than: None,
            newer_than: None,
            older_than: None,
            include_regex: Vec::new(),
            exclude_regex: Vec::new(),
            storage_classes: Vec::new(),
            exclude_storage_classes: Vec::new(),
            delete: Delete::Never,
            max_deletes: None,
            max_delete_percent: None,
            archived: Archived::Skip,
            restore_tier: RestoreTier::Standard,
            restore_days: None,
            versions: Versions::Latest,
            as_of: None,
            object_lock: false,
            mtime_metadata: None,
            server_side_copy: true,
        }
    }
}

impl Store {
    /// Where it is, short: region, else host of the endpoint, else provider.
    #[must_use]
    pub fn place(&self) -> String {
        let host = self.endpoint.as_deref().map(|e| e.split_once("://").map_or(e, |(_, rest)| rest).trim_end_matches('/').to_owned());
        host.or_else(|| self.region.clone()).unwrap_or_else(|| self.provider.clone())
    }
}

impl S3Source {
    /// The prefixes that the definition names itself: `prefixes`, else `prefix`; with a `prefix_list` none.
    #[must_use]
    pub fn named_prefixes(&self) -> &[String] {
        match (&self.prefix_list, self.prefixes.is_empty()) {
            (Some(_), _) => &[],
            (None, true) => slice::from_ref(&self.prefix),
            (None, false) => &self.prefixes,
        }
    }

    /// What is behind the bucket in a URL: the prefix, `{3 prefixes}` or `{prefix list}`.
    #[must_use]
    pub fn prefixes_in_short(&self) -> String {
        match (&self.prefix_list, self.prefixes.as_slice()) {
            (Some(_), _) => "{prefix list}".to_owned(),
            (None, []) => self.prefix.clone(),
            (None, [one]) => one.clone(),
            (None, many) => format!("{{{} prefixes}}", many.len()),
        }
    }
}

impl S3Job {
    /// Whether objects go to the bucket they come from.
    #[must_use]
    pub fn has_one_bucket(&self) -> bool {
        self.source.store.is_same_place(&self.destination.store)
    }

    /// Whether objects that only the destination has are deleted.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.options.delete == Delete::Mirror
    }
}

impl S3Options {
    /// The guard `max_deletes` of a definition that names none.
    pub const MAX_DELETES: u64 = 1_000;
    /// The guard `max_delete_percent` of a definition that names none.
    pub const MAX_DELETE_PERCENT: u32 = 10;
}

impl S3Destination {
    /// The destination key of a source key.
    #[must_use]
    pub fn key_for(&self, source_key: &str) -> String {
        let rest = source_key.strip_prefix(self.strip_prefix.as_str()).unwrap_or(source_key);
        format!("{}{rest}", self.prefix)
    }
}
