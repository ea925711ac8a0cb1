//! The daemon itself, and the stores it knows.

use serde::{Deserialize, Serialize};

use crate::{id::Epoch, time::Timestamp};

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Package version.
    pub version: String,
    /// Negotiated on this connection.
    pub protocol: u32,
    /// This start.
    pub epoch: Epoch,
    /// When it started.
    pub started: Timestamp,
    /// The machine's name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// The file the configuration came from; `None`: built-in defaults.
    pub config_file: Option<String>,
    /// Where the state is.
    pub state_dir: String,
    /// Credentials a task may name, with their type.
    pub credentials: Vec<(String, String)>,
    /// Bytes of memory for data in flight: used, limit.
    pub memory: (u64, u64),
    /// Where metrics go and how it is going; `None`: off.
    pub metrics: Option<String>,
    /// Who you are to the daemon, and what you may do.
    pub user: String,
    /// `viewer` or `operator`.
    pub role: String,
    /// Verdict in words, as in [`super::Summary`].
    pub verdict: String,
}

/// A store that tasks can name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInfo {
    /// As task files name it.
    pub name: String,
    /// As its maker calls it.
    pub title: String,
    /// Regions that are known; a task may name any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Whether a task must say where it is, because the provider has no endpoint of its own.
    #[serde(default)]
    pub needs_endpoint: bool,
}
