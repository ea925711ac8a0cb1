//! What `docker login` has left: config.json, and the helpers that keep secrets out of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Site,
    login::{Basic, Secret},
};

/// What Docker Hub is called in config.json and to helpers.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The name under which helpers give an identity token (docker-credential-helpers, "credentials.go").
const TOKEN_USER: &str = "<token>";
/// A helper may ask a person, who is not there.
const HELPER: Duration = Duration::from_secs(30);
/// Most bytes of a helper's answer.
const LONGEST: u64 = 64 * 1024;

/// What a config.json has for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In the file itself.
    Password(Basic),
    /// From the file or a helper.
    IdentityToken(Secret),
    /// From a helper, which may give others later.
    Helped(Basic),
}

/// Why docker's configuration is no use. Never quotes what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// Nobody knows where the file is.
    #[error("credential {name:?}: the daemon's user has no home directory: write path = \"/…/config.json\" in [credentials.{name}]")]
    NoFile {
        /// Of the credential.
        name: String,
    },
    /// The file is not what it should be.
    #[error("{}: {why}; correct it, or name another credential in the task", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// In words.
        why: String,
    },
    /// It has nothing for this registry.
    #[error("{} has nothing for {host}: run docker login {host} as the daemon's user, or use credential = \"anonymous\"", path.display())]
    NoEntry {
        /// Where.
        path: PathBuf,
        /// The registry.
        host: String,
    },
    /// A helper gave nothing.
    #[error("docker-credential-{helper} for {server}: {why}; correct docker's config.json, or name another credential in the task")]
    Helper {
        /// Its name, without `docker-credential-`.
        helper: String,
        /// What it was asked for.
        server: String,
        /// In words.
        why: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Where docker keeps it: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
pub(super) fn default_file() -> Option<PathBuf> {
    let named = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let dir = named.or_else(|| Some(std::env::home_dir()?.join(".docker")))?;
    Some(dir.join("config.json"))
}

/// What the file at `path`, or a helper that it names, has for a registry; `None`: nothing.
///
/// # Errors
/// [`DockerError`] when the file cannot be read or a helper fails.
pub(super) async fn find(path: &Path, site: &Site) -> Result<Option<Found>, DockerError> {
    let bad = |why: String| DockerError::File { path: path.to_owned(), why };
    let config = read(path).await?;
    if let Some((helper, server)) = config.helper(site) {
        let program = program(helper).ok_or_else(|| bad(format!("{helper:?} is not the name of a credential helper")))?;
        if let Some(found) = ask(helper, Path::new(&program), &server).await? {
            return Ok(Some(found));
        }
    }
    config.entry(site).map_err(bad)
}

/// Whether the configuration of the credential `name` can be read. Asks no helper.
///
/// # Errors
/// [`DockerError`] when it cannot.
pub async fn probe(name: &str, path: Option<&Path>) -> Result<(), DockerError> {
    let path = path.map(Path::to_owned).or_else(default_file).ok_or_else(|| DockerError::NoFile { name: name.to_owned() })?;
    read(&path).await.map(drop)
}

async fn read(path: &Path) -> Result<Config, DockerError> {
    let bad = |why: String| DockerError::File { path: path.to_owned(), why };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| bad(format!("cannot be read: {error}")))?;
    // serde_json's own message could quote what it found
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad(format!("is no docker configuration in JSON: line {line}, column {column}"))
    })
}

impl Config {
    /// The helper for a registry, and what it calls the registry.
    fn helper(&self, site: &Site) -> Option<(&str, String)> {
        let own = self.helpers.iter().find(|(key, _)| names(key, site));
        let server = || if site.is_docker_hub() { DOCKER_HUB.to_owned() } else { site.host().to_owned() };
        match own {
            Some((_, helper)) => Some((helper, server())),
            None => self.store.as_deref().filter(|store| !store.is_empty()).map(|store| (store, server())),
        }
    }

    fn entry(&self, site: &Site) -> Result<Option<Found>, String> {
        for (key, entry) in self.auths.iter().filter(|(key, _)| names(key, site)) {
            let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
            if let Some(token) = given(&entry.identitytoken) {
                return Ok(Some(Found::IdentityToken(Secret::new(token))));
            }
            if let Some(auth) = given(&entry.auth) {
                let basic = Basic::decode(&auth).ok_or_else(|| format!("auth of {key:?} is not base64 of user:password"))?;
                return Ok(Some(Found::Password(basic)));
            }
            if let (Some(user), Some(password)) = (given(&entry.username), given(&entry.password)) {
                return Ok(Some(Found::Password(Basic::new(user, password))));
            }
        }
        // an entry without anything says that a helper has it
        Ok(None)
    }
}

/// Whether a key of config.json means a registry: `ghcr.io`, `https://ghcr.io`, `https://index.docker.io/v1/`.
fn names(key: &str, site: &Site) -> bool {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    matches!(path.trim_end_matches('/'), "" | "v1" | "v2") && Site::of(host).host() == site.host()
}

fn program(helper: &str) -> Option<String> {
    let good = !helper.is_empty() && helper.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    good.then(|| format!("docker-credential-{helper}"))
}

/// Runs `program get` and writes `server` to it (docker-credential-helpers, "Development").
async fn ask(helper: &str, program: &Path, server: &str) -> Result<Option<Found>, DockerError> {
    let failed = |why: String| DockerError::Helper { helper: helper.to_owned(), server: server.to_owned(), why };
    let talk = async {
        let mut child = tokio::process::Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // one that does not read its input says why by its exit
            let _unread = stdin.write_all(server.as_bytes()).await;
        }
        let mut said = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST).read_to_end(&mut said).await.map_err(|error| failed(format!("cannot be heard: {error}")))?;
        }
        let status = child.wait().await.map_err(|error| failed(format!("was lost: {error}")))?;
        Ok((status, said))
    };
    let late = |_| failed(format!("gave no answer within {HELPER:?}: run it by hand as the daemon's user"));
    let (status, said) = tokio::time::timeout(HELPER, talk).await.map_err(late)??;
    if !status.success() {
        // the one failure that has fixed words; all others may have a secret in theirs
        let text = String::from_utf8_lossy(&said);
        if text.trim().starts_with("credentials not found") {
            return Ok(None);
        }
        return Err(failed(format!("{status}: run it by hand as the daemon's user to see why")));
    }
    let answer: Answer = serde_json::from_slice(&said).map_err(|_| failed("its answer has no Username and Secret in JSON".to_owned()))?;
    Ok(match (answer.user.as_str(), answer.secret.is_empty()) {
        (_, true) => None,
        (TOKEN_USER, false) => Some(Found::IdentityToken(Secret::new(answer.secret))),
        (_, false) => Some(Found::Helped(Basic::new(answer.user, answer.secret))),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).expect("a configuration")
    }

    #[test]
    fn entries_are_found_by_any_of_their_names() {
        let config = config(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnA="},
                "ghcr.io": {"auth": "Z2g6cA=="},
                "https://registry.example.com:5000/v2/": {"username": "u", "password": "p"},
                "acr.example.com": {"auth": "eDp5", "identitytoken": "idt"},
                "quay.io/team": {"auth": "eDp5"},
                "empty.example.com": {}
            }, "unknown": [1]}"#,
        );
        let basic = |user: &str| Some(Found::Password(Basic::new(user, "p")));
        for (address, expected) in [
            ("docker.io", basic("hub")),
            ("ghcr.io", basic("gh")),
            ("https://registry.example.com:5000", basic("u")),
            ("acr.example.com", Some(Found::IdentityToken(Secret::new("idt")))),
            ("quay.io", None),
            ("empty.example.com", None),
            ("elsewhere.example.com", None),
        ] {
            assert_eq!(config.entry(&Site::of(address)), Ok(expected), "{address}");
        }
    }

    #[test]
    fn helpers_go_by_registry_and_then_for_all() {
        let config = config(r#"{"credHelpers": {"docker.io": "hub", "gcr.io": "gcloud"}, "credsStore": "pass"}"#);
        for (address, helper, server) in
            [("docker.io", "hub", DOCKER_HUB), ("gcr.io", "gcloud", "gcr.io"), ("127.0.0.1:5000", "pass", "127.0.0.1:5000")]
        {
            assert_eq!(config.helper(&Site::of(address)), Some((helper, server.to_owned())), "{address}");
        }
        assert_eq!(super::tests::config("{}").helper(&Site::of("gcr.io")), None);
        assert_eq!(program("../../bin/sh"), None);
        assert_eq!(program("ecr-login").as_deref(), Some("docker-credential-ecr-login"));
    }

    #[tokio::test]
    async fn broken_files_are_told_without_their_content() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        let site = Site::of("ghcr.io");
        for (text, why) in [
            (r#"{"auths": {"ghcr.io": {"auth": SECRET"#, "is no docker configuration in JSON: line 1, column"),
            (r#"{"auths": {"ghcr.io": {"auth": "SECRET"}}}"#, "auth of \"ghcr.io\" is not base64 of user:password"),
            (r#"{"credsStore": "a/b"}"#, "\"a/b\" is not the name of a credential helper"),
        ] {
            fs::write(&path, text).expect("writes");
            let error = find(&path, &site).await.expect_err(text).to_string();
            assert!(error.contains(why) && error.contains("config.json") && !error.contains("SECRET"), "{error}");
        }
        assert!(find(Path::new("/nowhere/config.json"), &site).await.expect_err("missing").to_string().contains("cannot be read"));
    }

    #[tokio::test]
    async fn helpers_are_asked_and_their_failures_told_without_their_words() {
        let dir = tempfile::tempdir().expect("a directory");
        let helper = dir.path().join("docker-credential-test");
        let ask = async |script: &str| {
            fs::write(&helper, format!("#!/bin/sh\n{script}\n")).expect("writes");
            fs::set_permissions(&helper, fs::Permissions::from_mode(0o700)).expect("mode");
            // while another test forks, its child has the file open for writing (ETXTBSY)
            loop {
                match super::ask("test", &helper, "ghcr.io").await {
                    Err(DockerError::Helper { why, .. }) if why.contains("Text file busy") => tokio::task::yield_now().await,
                    other => break other,
                }
            }
        };
        let read = r#"test "$1" = get && read -r s; printf '{"ServerURL":"%s","Username":"u-%s","Secret":"p"}' "$s" "$s""#;
        assert_eq!(ask(read).await, Ok(Some(Found::Helped(Basic::new("u-ghcr.io", "p")))));
        let token = r#"printf '{"Username":"<token>","Secret":"idt"}'"#;
        assert_eq!(ask(token).await, Ok(Some(Found::IdentityToken(Secret::new("idt")))));
        assert_eq!(ask("echo 'credentials not found in native keychain'; exit 1").await, Ok(None));
        let error = ask("echo SECRET; exit 3").await.expect_err("failed").to_string();
        assert!(error.contains("docker-credential-test for ghcr.io: exit status: 3") && !error.contains("SECRET"), "{error}");
        let error = ask("echo SECRET").await.expect_err("not JSON").to_string();
        assert!(error.contains("no Username and Secret") && !error.contains("SECRET"), "{error}");
        let error = super::ask("none", Path::new("/nowhere/docker-credential-none"), "x").await.expect_err("not there").to_string();
        assert!(error.contains("cannot be run"), "{error}");
    }
}
