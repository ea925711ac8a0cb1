//! The daemon's configuration: effective values.
//!
//! [`load`] merges, per value, flag over `DTHD_*` environment over file over built-in, and keeps where each value came
//! from. Every mistake in every place is told at once.

mod environment;
mod file;
mod merge;
mod reload;
mod secret;
mod show;
mod template;
mod validate;

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use dth_proto::{bandwidth::BandwidthPlan, document::nearest, units::ByteSize};
use jiff::tz::TimeZone;

pub use self::{
    environment::Environment,
    merge::{ConfigError, DEFAULT_FILE, Effective, Flags, Origin, load},
    reload::reload,
    show::show,
    template::TEMPLATE,
};
use crate::{credential::CredentialSpec, price::Prices, s3::provider::Profile};

/// Everything that can be configured, after precedence and validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it came from; `None`: built-in defaults.
    pub file: Option<PathBuf>,
    /// State directory.
    pub state: PathBuf,
    /// Unix socket.
    pub socket: PathBuf,
    /// What all tasks together may use.
    pub limits: Limits,
    /// Named ways to sign in (without the built-in `anonymous`).
    pub credentials: BTreeMap<String, CredentialSpec>,
    /// Prices that replace the built-in ones, by provider.
    pub prices: Prices,
    /// Who may do what.
    pub access: Access,
    /// CloudWatch; `None`: off.
    pub cloudwatch: Option<CloudWatch>,
    /// Profiles of stores besides the embedded ones.
    pub providers: Providers,
    /// Log filter, as in RUST_LOG.
    pub log_filter: String,
    /// Form of a log line.
    pub log_format: LogFormat,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
}

/// An operator's own profiles of stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Providers {
    /// The file; `None`: there is none.
    pub file: Option<PathBuf>,
    /// What it holds.
    pub profiles: Vec<Profile>,
}

/// Form of a log line on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `journal` when stderr is the journal's, else `human`.
    #[default]
    Auto,
    /// With time; coloured on a terminal.
    Human,
    /// With a syslog priority (`<4>`) in front and without time, which the journal adds.
    Journal,
    /// One JSON object per line.
    Json,
}

/// What all tasks together may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of object data in flight.
    pub memory: ByteSize,
    /// Bytes per second, by the clock.
    pub bandwidth: Option<BandwidthPlan>,
    /// The zone of that clock, for the tasks' limits too; `None`: the machine's own.
    pub timezone: Option<TimeZone>,
    /// Runs at the same time; more are queued.
    pub runs: u32,
    /// Objects copied at the same time, per run, at most: how many requests are in flight is found out by itself.
    pub objects: u32,
    /// Parts of one object copied at the same time, at most: how many fit the memory in use is found out by itself.
    pub parts: u32,
}

impl Limits {
    /// The zone in force.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        self.timezone.clone().unwrap_or_else(TimeZone::system)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: ByteSize(512 << 20), bandwidth: None, timezone: None, runs: 16, objects: 768, parts: 64 }
    }
}

/// Who may do what. Root and the daemon's own user are always operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// May change things.
    pub operators: Vec<Principal>,
    /// May look. Empty: everyone who can open the socket.
    pub viewers: Vec<Principal>,
}

/// `user:NAME` or `group:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user by name.
    User(String),
    /// Members of a group.
    Group(String),
}

/// Where metrics go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudWatch {
    /// Namespace of the metrics.
    pub namespace: String,
    /// Region; `None`: the SDK's default.
    pub region: Option<String>,
    /// A name from `credentials`; `None`: the SDK's default chain.
    pub credential: Option<String>,
    /// Endpoint; `None`: AWS's own.
    pub endpoint: Option<String>,
    /// Time between two publications.
    pub interval: Duration,
}

/// Namespace of metrics when `[cloudwatch]` names none.
pub const DEFAULT_NAMESPACE: &str = "DTH";
/// Time between two publications when `[cloudwatch]` names none.
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
/// What is logged by default: tarpc opens a span per request at info, and the AWS SDK and hyper are talkative too.
pub const DEFAULT_LOG_FILTER: &str = "info,tarpc=warn,hyper=warn,aws=warn";
/// How long a stop waits by default.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

impl LogFormat {
    const WORDS: [(&str, Self); 4] = [("auto", Self::Auto), ("human", Self::Human), ("journal", Self::Journal), ("json", Self::Json)];

    /// The word for it in dthd.toml.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Journal => "journal",
            Self::Json => "json",
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words = Self::WORDS.map(|(word, _)| word);
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, format)| *format).ok_or_else(|| {
            let hint = nearest(text, &words).map_or_else(|| format!("use {}", words.join(", ")), |near| format!("did you mean {near:?}?"));
            format!("{text:?} is not a log format: {hint}")
        })
    }
}

impl FromStr for Principal {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => Ok(Self::User(name.to_owned())),
            Some(("group", name)) if !name.is_empty() => Ok(Self::Group(name.to_owned())),
            _ => Err(format!("{text:?} is neither a user nor a group: write user:NAME or group:NAME")),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}
