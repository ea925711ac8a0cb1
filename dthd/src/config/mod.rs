//! The daemon's configuration: effective values.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use dth_proto::units::{ByteSize, Rate};

use crate::credential::CredentialSpec;

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
    /// Who may do what.
    pub access: Access,
    /// CloudWatch; `None`: off.
    pub cloudwatch: Option<CloudWatch>,
    /// Log filter, as in RUST_LOG.
    pub log_filter: String,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
}

/// What all tasks together may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of object data in flight.
    pub memory: ByteSize,
    /// Bytes per second.
    pub bandwidth: Option<Rate>,
    /// Runs at the same time; more are queued.
    pub runs: u32,
    /// Objects copied at the same time, per run.
    pub objects: u32,
    /// Parts of one object copied at the same time.
    pub parts: u32,
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
