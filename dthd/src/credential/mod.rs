//! Named ways to sign in.

mod cached;
mod customer_key;
mod environment;
mod file;
pub mod refusal;
pub mod registry_file;
mod resolve;
mod secret;

use std::path::PathBuf;

pub use self::{
    customer_key::CustomerKey,
    file::BadCredentialFile,
    resolve::{ANONYMOUS, Credential, CredentialError, Credentials, RegistryCredential, for_registry, known, known_to_aws, resolve, seals},
    secret::SecretError,
};

/// How to sign in, as configured. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSpec {
    /// The SDK's own chain.
    Default,
    /// A profile of the shared AWS configuration.
    Profile {
        /// Its name.
        name: String,
    },
    /// A JSON file `{"access_key_id", "secret_access_key"[, "session_token"]}` that others cannot read.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// The environment variables `{prefix}AWS_ACCESS_KEY_ID`, `{prefix}AWS_SECRET_ACCESS_KEY`, `{prefix}AWS_SESSION_TOKEN`.
    Env {
        /// Put before the names; may be empty.
        prefix: String,
    },
    /// A JSON file `{"username", "password"}` or `{"identity_token"}` that others cannot read; for registries.
    Registry {
        /// Where it is.
        path: PathBuf,
    },
    /// Docker's configuration, with its helpers; for registries.
    Docker {
        /// Where it is; `None`: that of the daemon's user.
        path: Option<PathBuf>,
    },
    /// A file with a key for SSE-C that others cannot read: 32 bytes, as they are or in base64. Signs nothing.
    SseC {
        /// Where it is.
        path: PathBuf,
    },
    /// A secret of AWS Secrets Manager with the JSON of [`CredentialSpec::File`].
    Secret(SecretSpec),
    /// Requests are not signed.
    Anonymous,
}

/// Where a secret of AWS Secrets Manager is, and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// Its name or ARN.
    pub secret: String,
    /// Its region.
    pub region: String,
    /// Of Secrets Manager; `None`: AWS's own.
    pub endpoint: Option<String>,
    /// The credential that reads it, which is no secret itself; `None`: the SDK's own chain.
    pub credential: Option<String>,
}

impl CredentialSpec {
    /// The word for it in dthd.toml.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Profile { .. } => "profile",
            Self::File { .. } => "file",
            Self::Env { .. } => "env",
            Self::Registry { .. } => "registry",
            Self::Docker { .. } => "docker",
            Self::SseC { .. } => "sse-c",
            Self::Secret(_) => "secret",
            Self::Anonymous => "anonymous",
        }
    }
}
