//! What a user asks for: the definition of a task, on the wire and as a TOML file.

mod file;
pub mod image;
pub mod report;
mod rules;
pub mod s3;
mod word;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    image::{CreateRepository, ImageDestination, ImageJob, ImageOptions, ImageSource, Registry, RepositorySettings},
    report::ReportPlace,
    rules::SpecProblem,
    s3::{Archived, Compare, Delete, Encryption, PrefixList, RestoreTier, S3Destination, S3Job, S3Options, S3Source, Store, Versions},
    word::Words,
};
use crate::{
    bandwidth::BandwidthPlan,
    document::BadDocument,
    id::TaskName,
    time::{Span, Timestamp},
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
    /// Where the report of each run goes; `None`: nowhere by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportPlace>,
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
    /// By what happens at the source, near real time.
    Events {
        /// Where its events arrive.
        events: EventQueue,
    },
}

/// An SQS queue that receives what happens at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventQueue {
    /// URL of the queue; where its host is not one of Amazon's, requests go to that host.
    pub queue: String,
    /// Region of the queue; `None`: the one in its URL, else the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A name from dthd.toml; `None`: the SDK's default chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// How often everything is compared in full, because queues may lose or delay events.
    #[serde(default = "EventQueue::a_day", skip_serializing_if = "EventQueue::is_a_day")]
    pub reconcile: Span,
}

impl EventQueue {
    /// The `reconcile` of a task that names none: 24 hours.
    #[must_use]
    pub fn a_day() -> Span {
        Span(Duration::from_hours(24))
    }

    fn is_a_day(span: &Span) -> bool {
        *span == Self::a_day()
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { at } => write!(f, "at {at}"),
            Self::Every { every } => write!(f, "every {every}"),
            Self::Cron { cron, timezone: None } => write!(f, "cron {cron}"),
            Self::Cron { cron, timezone: Some(zone) } => write!(f, "cron {cron} {zone}"),
            Self::Events { .. } => f.write_str("events"),
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
                format!("s3://{}/{}", job.source.store.bucket, job.source.prefixes_in_short()),
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

    /// Whether a run of it deletes objects at the destination. Whoever starts such a task names it once more.
    #[must_use]
    pub fn deletes(&self) -> bool {
        matches!(&self.job, Job::S3(job) if job.mirrors())
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}
