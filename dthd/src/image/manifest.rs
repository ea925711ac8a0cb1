//! Manifests: the bytes as they are, and what they name.

use bytes::Bytes;

use super::{digest::Digest, platform::Platform};

/// A manifest or an index, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As the registry sent it.
    pub bytes: Bytes,
    /// With which it must be stored: its own `mediaType`, else that of the answer it came with.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
}

/// Some content that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on, where an index says so.
    pub platform: Option<Platform>,
    /// What kind of artifact, where the descriptor says so.
    pub artifact_type: Option<String>,
    /// Where else it is (foreign layers).
    pub urls: Vec<String>,
}
