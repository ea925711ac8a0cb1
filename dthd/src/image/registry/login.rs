//! How to sign in to a registry.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use dth_proto::{
    failure::{FailureClass, Side},
    spec,
};
use futures::future::BoxFuture;
use http::HeaderValue;

use super::{Site, docker};
use crate::{
    credential::{BadCredentialFile, CredentialError, Credentials, RegistryCredential, registry_file},
    image::digest::Digest,
    transfer::TransferError,
};

/// A way to sign in. Cheap to clone.
#[derive(Clone, Default)]
pub enum Login {
    /// As nobody; the registry may still ask for a token, and give one.
    #[default]
    Anonymous,
    /// With a user's name and password.
    Password(Arc<Basic>),
    /// With a token that stands for a user, and is exchanged for others (OAuth2 `refresh_token`, "Docker Registry v2 authentication using
    /// OAuth2").
    IdentityToken(Arc<Secret>),
    /// With a name and password that somebody keeps current.
    Renewed(Arc<dyn Renew>),
}

/// Keeps a name and password current: ECR's token, what a credential helper gives, a file that is rewritten.
pub trait Renew: Send + Sync {
    /// What is good now.
    fn basic(&self) -> BoxFuture<'_, Result<Basic, TransferError>>;

    /// The registry no longer takes what [`Renew::basic`] gave last: the next call asks for it anew.
    fn refused(&self);

    /// Whether the registry is known to take Basic authentication, so that it need not be asked how to sign in.
    fn is_basic(&self) -> bool {
        true
    }

    /// By which it is seen that another one gives the same (`Login::mark`); `None`: nobody can tell.
    fn mark(&self) -> Option<Digest> {
        None
    }
}

/// What must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent and not to be shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A name and a password (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    user: String,
    password: Secret,
}

impl Basic {
    /// A name without `:`, and a password.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: Secret::new(password) }
    }

    /// From `base64(user:password)`, as ECR and docker's config.json write it. `None`: it is not that.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let plain = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (user, password) = plain.split_once(':')?;
        // old clients filled up with zeros
        Some(Self::new(user, password.trim_end_matches('\0')))
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    fn mark(&self) -> Digest {
        Digest::sha256(format!("user {}:{}", self.user, self.password.reveal()).as_bytes())
    }

    /// `Authorization: Basic …`.
    pub(super) fn header(&self) -> HeaderValue {
        let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password.reveal())));
        let mut value = HeaderValue::from_str(&text).expect("base64 has only characters that headers may have");
        value.set_sensitive(true);
        value
    }
}

impl Login {
    /// For messages: `as nobody`, `as user mli`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Anonymous => "as nobody".to_owned(),
            Self::Password(basic) => format!("as user {:?}", basic.user),
            Self::IdentityToken(_) => "with an identity token".to_owned(),
            Self::Renewed(_) => "with the credential's name and password".to_owned(),
        }
    }

    /// A digest of who asks, by which it is seen that another login is the same one; `None`: that cannot be seen.
    pub(super) fn mark(&self) -> Option<Digest> {
        match self {
            Self::Anonymous => Some(Digest::sha256(b"nobody")),
            Self::Password(basic) => Some(basic.mark()),
            Self::IdentityToken(token) => Some(Digest::sha256(format!("token {}", token.reveal()).as_bytes())),
            Self::Renewed(renew) => renew.mark(),
        }
    }

    /// Whether the registry is known to take Basic authentication.
    pub(super) fn is_basic(&self) -> bool {
        matches!(self, Self::Renewed(renew) if renew.is_basic())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.describe())
    }
}

/// How to sign in to a registry that is not ECR: by the credential that the task names (types `registry`, `docker`, `anonymous`); where it
/// names none, by what docker's config.json of the daemon's user has for the registry, else as nobody.
///
/// # Errors
/// When there is no such credential, when it is one for AWS, and when what it names has nothing for this registry.
pub async fn login_for(registry: &spec::Registry, side: Side, credentials: &Credentials) -> Result<Login, CredentialError> {
    let site = Site::of(registry.registry_endpoint.as_deref().unwrap_or(&registry.registry));
    let Some(name) = registry.credential.as_deref() else {
        return Ok(match docker::default_file().filter(|path| path.exists()) {
            Some(path) => docker(path, &site, side).await?.unwrap_or_default(),
            None => Login::Anonymous,
        });
    };
    match credentials.for_registry(name)? {
        RegistryCredential::Anonymous => Ok(Login::Anonymous),
        RegistryCredential::File { path } => {
            let read = path.clone();
            let found = off_the_runtime(move || registry_file::read(&read)).await?;
            Ok(match found {
                registry_file::Found::IdentityToken(token) => Login::IdentityToken(Arc::new(Secret::new(token))),
                registry_file::Found::Password { username, password } => kept(Origin::File(path), side, Basic::new(username, password)),
            })
        }
        RegistryCredential::Docker { path } => {
            let named = || docker::DockerError::NoFile { name: name.to_owned() };
            let path = path.or_else(docker::default_file).ok_or_else(named)?;
            let missing = docker::DockerError::NoEntry { path: path.clone(), host: site.host().to_owned() };
            docker(path, &site, side).await?.ok_or_else(|| missing.into())
        }
    }
}

async fn docker(path: std::path::PathBuf, site: &Site, side: Side) -> Result<Option<Login>, docker::DockerError> {
    let origin = Origin::Docker { path: path.clone(), site: site.clone() };
    Ok(docker::find(&path, site).await?.map(|found| match found {
        docker::Found::Password(basic) => Login::Password(Arc::new(basic)),
        docker::Found::IdentityToken(token) => Login::IdentityToken(Arc::new(token)),
        docker::Found::Helped(basic) => kept(origin, side, basic),
    }))
}

async fn off_the_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, BadCredentialFile> + Send + 'static,
) -> Result<T, CredentialError> {
    tokio::task::spawn_blocking(read).await.map_err(|stopped| CredentialError::Stopped(stopped.to_string()))?.map_err(Into::into)
}

fn kept(origin: Origin, side: Side, basic: Basic) -> Login {
    Login::Renewed(Arc::new(Kept { origin, side, basic: Mutex::new(Some(basic)), loading: tokio::sync::Mutex::default() }))
}

/// Where a name and password can be had again.
#[derive(Clone)]
enum Origin {
    File(std::path::PathBuf),
    Docker { path: std::path::PathBuf, site: Site },
}

/// A name and password, looked up again when the registry refuses them: helpers give tokens that expire, files are rewritten.
struct Kept {
    origin: Origin,
    side: Side,
    basic: Mutex<Option<Basic>>,
    loading: tokio::sync::Mutex<()>,
}

impl Kept {
    fn current(&self) -> Option<Basic> {
        self.basic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn load(&self) -> Result<Basic, CredentialError> {
        match &self.origin {
            Origin::File(path) => {
                let (read, path) = (path.clone(), path.clone());
                match off_the_runtime(move || registry_file::read(&read)).await? {
                    registry_file::Found::Password { username, password } => Ok(Basic::new(username, password)),
                    registry_file::Found::IdentityToken(_) => Err(CredentialError::Changed { path }),
                }
            }
            Origin::Docker { path, site } => match docker::find(path, site).await? {
                Some(docker::Found::Password(basic) | docker::Found::Helped(basic)) => Ok(basic),
                Some(docker::Found::IdentityToken(_)) => Err(CredentialError::Changed { path: path.clone() }),
                None => Err(docker::DockerError::NoEntry { path: path.clone(), host: site.host().to_owned() }.into()),
            },
        }
    }
}

impl Renew for Kept {
    fn basic(&self) -> BoxFuture<'_, Result<Basic, TransferError>> {
        Box::pin(async {
            let _one_at_a_time = self.loading.lock().await;
            if let Some(basic) = self.current() {
                return Ok(basic);
            }
            let failed = |error: CredentialError| {
                TransferError::new(FailureClass::Auth, self.side, "GetToken", "CredentialsNotLoaded", error.to_string())
            };
            let basic = self.load().await.map_err(failed)?;
            *self.basic.lock().unwrap_or_else(PoisonError::into_inner) = Some(basic.clone());
            Ok(basic)
        })
    }

    fn refused(&self) {
        *self.basic.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_basic(&self) -> bool {
        false
    }

    fn mark(&self) -> Option<Digest> {
        Some(self.current()?.mark())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::credential::CredentialSpec;

    fn private(path: &Path, text: &str) {
        fs::write(path, text).expect("writes");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
    }

    fn of(address: &str, credential: &str) -> spec::Registry {
        spec::Registry { registry: address.to_owned(), credential: Some(credential.to_owned()), ..spec::Registry::default() }
    }

    #[test]
    fn secrets_are_not_shown() {
        let basic = Basic::decode("bWU6czNjcjN0").expect("me:s3cr3t");
        assert_eq!((basic.user(), basic.password().reveal()), ("me", "s3cr3t"));
        let login = Login::Password(Arc::new(basic.clone()));
        for text in [format!("{basic:?}"), format!("{login:?}"), format!("{:?}", basic.header())] {
            assert!(!text.contains("s3cr3t") && !text.contains("bWU6"), "{text}");
        }
        assert_eq!(basic.header(), "Basic bWU6czNjcjN0");
        assert_eq!(Basic::decode("bWU="), None, "no password");
        assert_eq!(Basic::decode("***"), None);
    }

    #[tokio::test]
    async fn credentials_lead_to_logins() {
        let dir = tempfile::tempdir().expect("a directory");
        let (user, identity, config) = (dir.path().join("user"), dir.path().join("identity"), dir.path().join("config.json"));
        private(&user, r#"{"username": "mli", "password": "old"}"#);
        private(&identity, r#"{"identity_token": "t"}"#);
        fs::write(&config, r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6czNjcjN0"}}}"#).expect("writes");
        let specs = BTreeMap::from([
            ("user".to_owned(), CredentialSpec::Registry { path: user.clone() }),
            ("identity".to_owned(), CredentialSpec::Registry { path: identity }),
            ("docker".to_owned(), CredentialSpec::Docker { path: Some(config) }),
            ("aws".to_owned(), CredentialSpec::Default),
        ]);
        let all = Credentials::new(specs);
        let login = async |address: &str, name: &str| login_for(&of(address, name), Side::Source, &all).await;

        assert!(matches!(login("ghcr.io", "anonymous").await, Ok(Login::Anonymous)));
        assert!(matches!(login("ghcr.io", "identity").await, Ok(Login::IdentityToken(token)) if token.reveal() == "t"));
        assert!(matches!(login("docker.io", "docker").await, Ok(Login::Password(basic)) if basic.user() == "me"));
        let error = login("ghcr.io", "docker").await.expect_err("no entry").to_string();
        assert!(error.contains("config.json has nothing for ghcr.io"), "{error}");
        let error = login("ghcr.io", "aws").await.expect_err("for AWS").to_string();
        assert!(error.contains("\"aws\" is of type default") && error.contains("registry or docker"), "{error}");
        assert!(login("ghcr.io", "nobody").await.expect_err("unknown").to_string().contains("[credentials.nobody]"));

        let Ok(Login::Renewed(renew)) = login("ghcr.io", "user").await else { panic!("a file") };
        assert!(!renew.is_basic(), "who knows");
        private(&user, r#"{"username": "mli", "password": "new"}"#);
        assert_eq!(renew.basic().await.expect("kept").password().reveal(), "old");
        renew.refused();
        assert_eq!(renew.basic().await.expect("read again").password().reveal(), "new");
        private(&user, "{}");
        renew.refused();
        let error = renew.basic().await.expect_err("broken");
        assert_eq!((error.class, error.code.as_str()), (FailureClass::Auth, "CredentialsNotLoaded"));
        assert!(error.message.contains("username is missing"), "{error}");
    }
}
