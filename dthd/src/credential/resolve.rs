//! From a credential's name to something that signs.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider};
use dth_proto::document::nearest;
use tokio::time::Instant;

use super::{
    CredentialSpec,
    cached::{self, Cached},
    customer_key::CustomerKey,
    environment::Environment,
    file::{BadCredentialFile, FileProvider},
    secret::{self, SecretProvider},
};
use crate::image::registry::docker::{self, DockerError};

/// The name that needs no entry in dthd.toml.
pub const ANONYMOUS: &str = "anonymous";

/// Why a name does not lead to a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No such entry.
    #[error("no credential is called {name:?}{}; add [credentials.{name}] to dthd.toml, or use \"anonymous\"", near(nearest.as_deref()))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// It signs in to registries, and AWS is asked.
    #[error(
        "credential {name:?} is of type {kind}, which signs in to registries and not to AWS: use one of type default, profile, file, env or secret"
    )]
    NotForAws {
        /// Of the credential.
        name: String,
        /// Its type.
        kind: &'static str,
    },
    /// It is a key for SSE-C, and something is to be signed.
    #[error("credential {0:?} is of type sse-c, a key that encrypts objects: it signs nothing, name it as encryption.key")]
    SignsNothing(String),
    /// It signs in, and a key for SSE-C is wanted.
    #[error("credential {name:?} is of type {kind}, and encryption of type SSE-C needs one of type sse-c")]
    NoCustomerKey {
        /// Of the credential.
        name: String,
        /// Its type.
        kind: &'static str,
    },
    /// It signs requests to AWS, and a registry that is none of AWS's is asked.
    #[error(
        "credential {name:?} is of type {kind}, which signs requests to AWS and not to other registries: use one of type registry or docker, \
         or \"anonymous\""
    )]
    NotForRegistries {
        /// Of the credential.
        name: String,
        /// Its type.
        kind: &'static str,
    },
    /// It is read with one that is read with another.
    #[error("credential {name:?} is a secret that {reader:?} reads, which is one itself: name one of type default, profile, file or env")]
    ReadWithSecret {
        /// Of the credential.
        name: String,
        /// Of the one that it is read with.
        reader: String,
    },
    /// Its file is no use.
    #[error(transparent)]
    File(#[from] BadCredentialFile),
    /// Docker's configuration is no use.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// What it holds is of another kind than when the run began.
    #[error("{} holds another kind of credential than before: start the run again", path.display())]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// Reading it was given up.
    #[error("reading the credential was given up: {0}")]
    Stopped(String),
}

/// How to sign in to a registry that is not AWS's, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryCredential {
    /// As nobody.
    Anonymous,
    /// By a JSON file; see [`registry_file`](super::registry_file).
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// By docker's configuration.
    Docker {
        /// Where it is; `None`: that of the daemon's user.
        path: Option<PathBuf>,
    },
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |n| format!(" (did you mean {n:?}?)"))
}

/// A way to sign in, found. Clones share what they have loaded.
#[derive(Clone)]
pub struct Credential {
    described: Arc<str>,
    profile: Option<Arc<str>>,
    identity: Option<Arc<Cached>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").field(&self.described).finish()
    }
}

impl Credential {
    /// For messages: `the default chain`, `file /etc/dth/…`, never a secret.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.described
    }

    /// Whether both share what they have loaded, or sign nothing.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.identity, &other.identity) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Requests are not signed.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.identity.is_none()
    }

    /// The profile whose region and endpoint count as well.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// What an AWS client signs with; `None`: nothing.
    #[must_use]
    pub fn provider(&self) -> Option<SharedCredentialsProvider> {
        self.identity.clone().map(|identity| SharedCredentialsProvider::new(SharedIdentity(identity)))
    }

    /// What to sign a request with; `None`: nothing, it goes unsigned.
    ///
    /// # Errors
    /// When the source has none.
    pub async fn load(&self) -> Result<Option<aws_credential_types::Credentials>, provider::error::CredentialsError> {
        match &self.identity {
            Some(identity) => identity.load().await.map(Some),
            None => Ok(None),
        }
    }

    /// Forgets what was loaded, so that the next request loads it again (the store said that it has expired).
    pub fn refresh(&self) {
        if let Some(identity) = &self.identity {
            identity.forget();
        }
    }

    /// Loads it again because a request that was sent at `since` or later was refused for its keys; whether they are others now, and the
    /// request is worth a repetition.
    pub async fn renew(&self, since: Instant) -> bool {
        match &self.identity {
            Some(identity) => identity.renew(since).await,
            None => false,
        }
    }

    /// Loads it, to see whether it is there.
    ///
    /// # Errors
    /// What is missing, in words.
    pub async fn probe(&self) -> Result<(), String> {
        match &self.identity {
            Some(identity) => identity.load().await.map(drop).map_err(|e| in_words(&e)),
            None => Ok(()),
        }
    }
}

/// An error and its causes in one line.
fn in_words(error: &provider::error::CredentialsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[derive(Clone, Debug)]
struct SharedIdentity(Arc<Cached>);

impl ProvideCredentials for SharedIdentity {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        provider::future::ProvideCredentials::new(self.0.load())
    }
}

/// The named credentials of a configuration. One name is loaded once, however many tasks use it.
pub struct Credentials {
    specs: BTreeMap<String, CredentialSpec>,
    found: Mutex<HashMap<Option<String>, Credential>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("names", &self.specs.keys()).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The credentials of `specs`, and `anonymous`.
    #[must_use]
    pub fn new(specs: BTreeMap<String, CredentialSpec>) -> Self {
        Self { specs, found: Mutex::default() }
    }

    /// The credential of a name; without a name, the SDK's default chain. Nothing is read yet: a file that is missing shows when a
    /// request is signed, or by [`Credential::probe`].
    ///
    /// # Errors
    /// When there is no such name; the message has the most similar one. When it is one for registries.
    pub async fn resolve(&self, name: Option<&str>) -> Result<Credential, CredentialError> {
        let key = name.map(str::to_owned);
        if let Some(found) = self.lock().get(&key) {
            return Ok(found.clone());
        }
        let credential = resolve(name, &self.specs).await?;
        Ok(self.lock().entry(key).or_insert(credential).clone())
    }

    /// How to sign in to a registry that is not AWS's by the credential of a name. Nothing is read yet.
    ///
    /// # Errors
    /// When there is no such name, or when it is one for AWS.
    pub fn for_registry(&self, name: &str) -> Result<RegistryCredential, CredentialError> {
        for_registry(name, &self.specs)
    }

    /// The key for SSE-C of a name, read again each time.
    ///
    /// # Errors
    /// When there is no such name, when it is none of type `sse-c`, or when its file is no use.
    pub async fn customer_key(&self, name: &str) -> Result<CustomerKey, CredentialError> {
        let path = seals(name, &self.specs)?.to_owned();
        let read = tokio::task::spawn_blocking(move || CustomerKey::read(&path)).await;
        Ok(read.map_err(|e| CredentialError::Stopped(e.to_string()))??)
    }

    /// Reads what a name leads to, to see whether it is there.
    ///
    /// # Errors
    /// What is missing, in words.
    pub async fn probe(&self, name: &str) -> Result<(), String> {
        match self.specs.get(name) {
            Some(CredentialSpec::Registry { path }) => super::registry_file::read(path).map(drop).map_err(|error| error.to_string()),
            Some(CredentialSpec::SseC { .. }) => self.customer_key(name).await.map(drop).map_err(|error| error.to_string()),
            Some(CredentialSpec::Docker { path }) => docker::probe(name, path.as_deref()).await.map_err(|error| error.to_string()),
            _ => self.resolve(Some(name)).await.map_err(|error| error.to_string())?.probe().await,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Option<String>, Credential>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Credentials::resolve`]; shares nothing with other calls.
///
/// # Errors
/// When there is no such name, or when it is one for registries.
pub async fn resolve(name: Option<&str>, specs: &BTreeMap<String, CredentialSpec>) -> Result<Credential, CredentialError> {
    let spec = match name {
        None => &CredentialSpec::Default,
        Some(name) => match specs.get(name) {
            Some(spec) => spec,
            None if name == ANONYMOUS => &CredentialSpec::Anonymous,
            None => return Err(CredentialError::Unknown { name: name.to_owned(), nearest: near_name(name, specs) }),
        },
    };
    let (mut profile, mut keep) = (None, cached::KEEP);
    let (described, provider) = match spec {
        CredentialSpec::Default => {
            let chain = aws_config::default_provider::credentials::default_provider().await;
            ("the default chain".to_owned(), Some(SharedCredentialsProvider::new(chain)))
        }
        CredentialSpec::Profile { name } => {
            profile = Some(name.as_str().into());
            let provider = aws_config::profile::ProfileFileCredentialsProvider::builder().profile_name(name).build();
            (format!("profile {name}"), Some(SharedCredentialsProvider::new(provider)))
        }
        CredentialSpec::File { path } => {
            (format!("file {}", path.display()), Some(SharedCredentialsProvider::new(FileProvider::new(path.clone()))))
        }
        CredentialSpec::Env { prefix } => {
            (format!("environment {prefix}AWS_ACCESS_KEY_ID"), Some(SharedCredentialsProvider::new(Environment::new(prefix))))
        }
        CredentialSpec::Secret(spec) => {
            let reader = spec.credential.as_deref();
            if let Some((reader, CredentialSpec::Secret(_))) = reader.and_then(|reader| specs.get_key_value(reader)) {
                return Err(CredentialError::ReadWithSecret { name: name.unwrap_or_default().to_owned(), reader: reader.clone() });
            }
            let reader = Box::pin(resolve(reader, specs)).await?;
            keep = secret::KEEP;
            (format!("secret {}", spec.secret), Some(SharedCredentialsProvider::new(SecretProvider::new(spec.clone(), reader))))
        }
        CredentialSpec::Registry { .. } | CredentialSpec::Docker { .. } => {
            return Err(CredentialError::NotForAws { name: name.unwrap_or_default().to_owned(), kind: spec.kind() });
        }
        CredentialSpec::SseC { .. } => return Err(CredentialError::SignsNothing(name.unwrap_or_default().to_owned())),
        CredentialSpec::Anonymous => ("anonymous".to_owned(), None),
    };
    Ok(Credential { described: described.into(), profile, identity: provider.map(|p| Arc::new(Cached::new(p, keep))) })
}

/// Whether a task may name this credential.
///
/// # Errors
/// When there is no such name.
pub fn known(name: Option<&str>, specs: &BTreeMap<String, CredentialSpec>) -> Result<(), CredentialError> {
    match name {
        Some(name) if name != ANONYMOUS && !specs.contains_key(name) => {
            Err(CredentialError::Unknown { name: name.to_owned(), nearest: near_name(name, specs) })
        }
        _ => Ok(()),
    }
}

/// Whether a task may name this credential for what AWS or a store in its manner answers.
///
/// # Errors
/// When there is no such name, or when it is one for registries.
pub fn known_to_aws(name: Option<&str>, specs: &BTreeMap<String, CredentialSpec>) -> Result<(), CredentialError> {
    known(name, specs)?;
    match name.and_then(|name| specs.get_key_value(name)) {
        Some((name, spec @ (CredentialSpec::Registry { .. } | CredentialSpec::Docker { .. }))) => {
            Err(CredentialError::NotForAws { name: name.clone(), kind: spec.kind() })
        }
        Some((name, CredentialSpec::SseC { .. })) => Err(CredentialError::SignsNothing(name.clone())),
        _ => Ok(()),
    }
}

/// See [`Credentials::for_registry`].
///
/// # Errors
/// When there is no such name, or when it is one for AWS.
pub fn for_registry(name: &str, specs: &BTreeMap<String, CredentialSpec>) -> Result<RegistryCredential, CredentialError> {
    known(Some(name), specs)?;
    match specs.get(name) {
        None | Some(CredentialSpec::Anonymous) => Ok(RegistryCredential::Anonymous),
        Some(CredentialSpec::Registry { path }) => Ok(RegistryCredential::File { path: path.clone() }),
        Some(CredentialSpec::Docker { path }) => Ok(RegistryCredential::Docker { path: path.clone() }),
        Some(CredentialSpec::SseC { .. }) => Err(CredentialError::SignsNothing(name.to_owned())),
        Some(spec) => Err(CredentialError::NotForRegistries { name: name.to_owned(), kind: spec.kind() }),
    }
}

/// Where the key for SSE-C of a name is.
///
/// # Errors
/// When there is no such name, or when it is none of type `sse-c`.
pub fn seals<'a>(name: &str, specs: &'a BTreeMap<String, CredentialSpec>) -> Result<&'a Path, CredentialError> {
    known(Some(name), specs)?;
    let kind = match specs.get(name) {
        Some(CredentialSpec::SseC { path }) => return Ok(path),
        Some(other) => other.kind(),
        None => ANONYMOUS,
    };
    Err(CredentialError::NoCustomerKey { name: name.to_owned(), kind })
}

/// The most similar name, if it is similar enough to be meant.
fn near_name(name: &str, specs: &BTreeMap<String, CredentialSpec>) -> Option<String> {
    let names: Vec<&str> = specs.keys().map(String::as_str).chain([ANONYMOUS]).collect();
    nearest(name, &names).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> BTreeMap<String, CredentialSpec> {
        BTreeMap::from([
            ("cn-reader".to_owned(), CredentialSpec::Env { prefix: "DTH_TEST_NOT_SET_".to_owned() }),
            ("global-writer".to_owned(), CredentialSpec::File { path: "/nowhere/key".into() }),
        ])
    }

    #[tokio::test]
    async fn names_lead_to_credentials() {
        let all = Credentials::new(specs());
        assert!(all.resolve(Some("anonymous")).await.expect("built in").is_anonymous());
        assert_eq!(all.resolve(None).await.expect("chain").describe(), "the default chain");
        let file = all.resolve(Some("global-writer")).await.expect("configured");
        assert_eq!(file.describe(), "file /nowhere/key");
        assert!(file.probe().await.expect_err("no such file").contains("/nowhere/key"));
        let env = all.resolve(Some("cn-reader")).await.expect("configured");
        assert!(env.probe().await.expect_err("not set").contains("DTH_TEST_NOT_SET_AWS_ACCESS_KEY_ID"));
        let again = all.resolve(Some("cn-reader")).await.expect("configured");
        assert!(Arc::ptr_eq(env.identity.as_ref().expect("signs"), again.identity.as_ref().expect("signs")), "loaded once");
    }

    #[tokio::test]
    async fn each_credential_is_for_aws_or_for_registries() {
        let mut specs = specs();
        specs.insert("hub".to_owned(), CredentialSpec::Registry { path: "/nowhere/hub".into() });
        specs.insert("docker".to_owned(), CredentialSpec::Docker { path: Some("/nowhere/config.json".into()) });
        let all = Credentials::new(specs.clone());
        for (name, kind) in [("hub", "registry"), ("docker", "docker")] {
            let expected = CredentialError::NotForAws { name: name.to_owned(), kind };
            assert_eq!(all.resolve(Some(name)).await.map(drop), Err(expected.clone()), "requests to a store would go unsigned");
            assert_eq!(known_to_aws(Some(name), &specs), Err(expected));
            assert!(all.for_registry(name).is_ok());
            assert!(all.probe(name).await.expect_err("not there").contains("/nowhere/"));
        }
        assert_eq!(all.for_registry("anonymous"), Ok(RegistryCredential::Anonymous));
        let expected = CredentialError::NotForRegistries { name: "cn-reader".to_owned(), kind: "env" };
        assert_eq!((all.for_registry("cn-reader"), known_to_aws(Some("cn-reader"), &specs)), (Err(expected), Ok(())));
        assert!(matches!(all.for_registry("hbu"), Err(CredentialError::Unknown { nearest: Some(nearest), .. }) if nearest == "hub"));
    }

    #[tokio::test]
    async fn keys_for_sse_c_sign_nothing_and_nothing_else_is_one() {
        let mut specs = specs();
        specs.insert("seal".to_owned(), CredentialSpec::SseC { path: "/nowhere/seal".into() });
        let all = Credentials::new(specs.clone());
        let nothing = || Err(CredentialError::SignsNothing("seal".to_owned()));
        assert_eq!(all.resolve(Some("seal")).await.map(drop), nothing());
        assert_eq!((known_to_aws(Some("seal"), &specs), all.for_registry("seal").map(drop)), (nothing(), nothing()));
        assert!(all.probe("seal").await.expect_err("no such file").contains("/nowhere/seal"));
        assert!(matches!(all.customer_key("seal").await, Err(CredentialError::File(_))));
        for (name, kind) in [("global-writer", "file"), ("anonymous", "anonymous")] {
            let error = all.customer_key(name).await.expect_err("signs in");
            assert_eq!(error, CredentialError::NoCustomerKey { name: name.to_owned(), kind });
        }
        assert!(matches!(all.customer_key("saal").await, Err(CredentialError::Unknown { nearest: Some(near), .. }) if near == "seal"));
    }

    #[tokio::test]
    async fn unknown_names_are_answered_with_the_nearest() {
        let all = Credentials::new(specs());
        let error = all.resolve(Some("cn-raeder")).await.expect_err("unknown").to_string();
        assert!(error.contains("did you mean \"cn-reader\"?"), "{error}");
        let error = all.resolve(Some("zzz")).await.expect_err("unknown").to_string();
        assert!(!error.contains("did you mean"), "{error}");
        assert!(error.contains("[credentials.zzz]"), "{error}");
    }
}
