//! What a user asks for: the definition of a task, on the wire and as a TOML file.

mod file;
pub mod image;
mod rules;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use self::{
    image::{CreateRepository, ImageDestination, ImageJob, ImageOptions, ImageSource, Registry, RepositorySettings},
    rules::SpecProblem,
};
use crate::{
    bandwidth::BandwidthPlan,
    document::BadDocument,
    id::TaskName,
    time::{Span, Timestamp},
    units::ByteSize,
};

/// A task as the user defined it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Unique.
    pub name: TaskName,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For filters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What to move, by engine.
    #[serde(flatten)]
    pub job: Job,
    /// What it may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: TaskLimits,
    /// When it runs; `None`: when someone starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// What to move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "lowercase")]
pub enum Job {
    /// Objects between S3 stores.
    S3(S3Job),
    /// Images between container registries.
    Image(ImageJob),
}

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

/// Where objects come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct S3Source {
    /// The bucket.
    #[serde(flatten)]
    pub store: Store,
    /// Only keys that begin with this; empty: all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Pay for the reading.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requester_pays: bool,
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
}

/// Server-side encryption asked for at the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256` or `aws:kms`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The KMS key; `None`: the account's default key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// When two objects count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// What was recorded at the last copy, else size and ETag where ETags can be compared, else size and a newer destination.
    #[default]
    Auto,
    /// Equal size.
    Size,
    /// Equal size and ETag; ETags that cannot be compared count as different.
    Etag,
    /// Equal size, and the destination is not older.
    Newer,
    /// Never the same: copy everything.
    Always,
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
        }
    }
}

/// What a task may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLimits {
    /// Bytes per second over all its objects, by the clock of the daemon; `None`: only the daemon's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<BandwidthPlan>,
}

/// When a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Trigger {
    /// Once.
    At {
        /// When.
        at: Timestamp,
    },
    /// Again and again, this long after the last start.
    Every {
        /// At least a minute.
        every: Span,
    },
    /// By the clock.
    Cron {
        /// Five fields, or EventBridge's six (minutes hours day-of-month month day-of-week year).
        cron: String,
        /// IANA name; `None`: UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { at } => write!(f, "at {at}"),
            Self::Every { every } => write!(f, "every {every}"),
            Self::Cron { cron, timezone: None } => write!(f, "cron {cron}"),
            Self::Cron { cron, timezone: Some(zone) } => write!(f, "cron {cron} {zone}"),
        }
    }
}

impl TaskSpec {
    /// Reads a task file.
    ///
    /// # Errors
    /// [`BadDocument`] with every problem in it.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, BadDocument> {
        file::read(file, text)
    }

    /// The task file that gives this definition.
    #[must_use]
    pub fn to_toml(&self) -> String {
        file::write(self)
    }

    /// Every rule the definition breaks; empty when it is good.
    #[must_use]
    pub fn problems(&self) -> Vec<SpecProblem> {
        rules::problems(self)
    }

    /// `s3` or `image`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match &self.job {
            Job::S3(_) => "s3",
            Job::Image(_) => "image",
        }
    }

    /// What its items are called when there are several: `objects` or `images`.
    #[must_use]
    pub fn items(&self) -> &'static str {
        match &self.job {
            Job::S3(_) => "objects",
            Job::Image(_) => "images",
        }
    }

    /// Source and destination as URLs: `s3://bucket/prefix`, `docker://host/prefix`, `ecr://account.region/prefix`.
    #[must_use]
    pub fn ends(&self) -> (String, String) {
        match &self.job {
            Job::S3(job) => (
                format!("s3://{}/{}", job.source.store.bucket, job.source.prefix),
                format!("s3://{}/{}", job.destination.store.bucket, job.destination.prefix),
            ),
            Job::Image(job) => {
                let only = match job.source.images.as_slice() {
                    [one] => one.as_str(),
                    _ => "",
                };
                (format!("{}{only}", job.source.registry.url()), format!("{}{}", job.destination.registry.url(), job.destination.prefix))
            }
        }
    }

    /// Where source and destination are, short.
    #[must_use]
    pub fn places(&self) -> (String, String) {
        match &self.job {
            Job::S3(job) => (job.source.store.place(), job.destination.store.place()),
            Job::Image(job) => (job.source.registry.place(), job.destination.registry.place()),
        }
    }

    /// Credentials that source and destination name.
    #[must_use]
    pub fn credentials(&self) -> (Option<&str>, Option<&str>) {
        match &self.job {
            Job::S3(job) => (job.source.store.credential.as_deref(), job.destination.store.credential.as_deref()),
            Job::Image(job) => (job.source.registry.credential.as_deref(), job.destination.registry.credential.as_deref()),
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

impl S3Destination {
    /// The destination key of a source key.
    #[must_use]
    pub fn key_for(&self, source_key: &str) -> String {
        let rest = source_key.strip_prefix(self.strip_prefix.as_str()).unwrap_or(source_key);
        format!("{}{rest}", self.prefix)
    }
}

fn yes() -> bool {
    true
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
