//! docker-registry (distribution) as a fixture: one real registry with its own port, its own storage and its access log.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    http::{self, Answer},
    image::{ACCEPT, Manifest},
    installed, port,
    process::Process,
    wait::eventually,
};

/// How long a server may take until it is ready.
const START: Duration = Duration::from_mins(1);
/// The user of a registry that wants a password.
pub const USER: &str = "reader";
/// Its password.
pub const PASSWORD: &str = "right";
/// The same as a line of an htpasswd file: bcrypt at its lowest cost.
const HTPASSWD: &str = "reader:$2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC\n";
/// Asked for to see that the log is complete: a path that no client has a reason to ask for.
const MARK: &str = "/v2/?mark=";

/// A running registry; ends when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    port: u16,
    process: Process,
    // dropped after the process
    folder: TempDir,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path with its query.
    pub target: String,
    /// Status it was answered with.
    pub status: u16,
}

impl Request {
    /// Whether it was meant to change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !["GET", "HEAD"].contains(&self.method.as_str())
    }

    /// A line of Apache's combined format: `HOST - - [TIME] "METHOD TARGET PROTOCOL" STATUS …`; `None`: another line.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut words = request.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        words.next().filter(|protocol| protocol.starts_with("HTTP/"))?;
        let status = rest.split(' ').next()?.parse().ok()?;
        Some(Self { method: method.to_owned(), target: target.to_owned(), status })
    }
}

impl DockerRegistry {
    /// A registry for everyone.
    ///
    /// # Panics
    /// When it is not installed, does not start, or is not ready within a minute; with its log.
    pub async fn start() -> Self {
        Self::start_with(&std::env::temp_dir(), None).await
    }

    /// A registry for everyone, which keeps what it has below a folder that exists.
    ///
    /// # Panics
    /// See [`DockerRegistry::start`].
    pub async fn start_in(folder: &Path) -> Self {
        Self::start_with(folder, None).await
    }

    /// A registry for [`USER`] with [`PASSWORD`] only.
    ///
    /// # Panics
    /// See [`DockerRegistry::start`].
    pub async fn with_password() -> Self {
        Self::start_with(&std::env::temp_dir(), Some(HTPASSWD)).await
    }

    async fn start_with(parent: &Path, htpasswd: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("docker-registry-").tempdir_in(parent).expect("a temporary folder");
        let [port] = port::free().expect("a free port");
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {
                "filesystem": {"rootdirectory": folder.path().join("storage")},
                "delete": {"enabled": true},
                "maintenance": {"uploadpurging": {"enabled": false}},
            },
            // layers elsewhere are refused otherwise
            "validation": {"manifests": {"urls": {"allow": ["^http://127\\.0\\.0\\.1"]}}},
            "http": {"addr": format!("127.0.0.1:{port}"), "secret": "of the tests"},
        });
        if let Some(line) = htpasswd {
            let path = folder.path().join("htpasswd");
            fs::write(&path, line).expect("a file in a fresh folder can be written");
            config["auth"] = json!({"htpasswd": {"realm": "tests", "path": path}});
        }
        let file = folder.path().join("config.yml");
        // JSON is YAML
        fs::write(&file, config.to_string()).expect("a file in a fresh folder can be written");
        let mut command = Command::new(installed::from_debian("docker-registry"));
        // REGISTRY_* of the tester's environment would go before the file
        command.arg("serve").arg(&file).env_clear().current_dir(folder.path());
        let process = Process::start(&mut command, &folder.path().join("registry.log")).expect("docker-registry starts");
        let mut registry = Self { port, process, folder };
        registry.ready().await;
        registry
    }

    async fn ready(&mut self) {
        let address = self.address();
        let begin = std::time::Instant::now();
        loop {
            if let Ok(Answer { status: 200 | 401, .. }) = http::send(&address, Method::GET, "/v2/", &[], Bytes::new()).await {
                return;
            }
            if let Ok(Some(status)) = self.process.ended() {
                panic!("docker-registry ended with {status}:\n{}", self.process.log());
            }
            assert!(begin.elapsed() < START, "docker-registry is not ready after {START:?}:\n{}", self.process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The folder of a repository in its storage.
    #[must_use]
    pub fn storage(&self, repository: &str) -> PathBuf {
        self.folder.path().join("storage/docker/registry/v2/repositories").join(repository)
    }

    /// All requests so far, in the order of their ends. Those that ended before this was called are all there.
    ///
    /// # Panics
    /// When the registry does not answer.
    pub async fn requests(&self) -> Vec<Request> {
        let mark = format!("{MARK}{}", rand::random::<u64>());
        self.send(Method::GET, &mark, &[], Bytes::new()).await;
        // a line is written behind the answer: once that of a later request is there, so are those before it
        let log = eventually("the access log", START, || async { Some(self.process.log()).filter(|log| log.contains(&mark)) }).await;
        log.lines().filter_map(Request::parse).filter(|request| !request.target.starts_with(MARK)).collect()
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let what = format!("{method} {target}");
        http::send(&self.address(), method, target, headers, body).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// A manifest by tag or digest, as it is stored; `None`: there is none.
    ///
    /// # Panics
    /// When the registry does not answer.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Option<Bytes> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.send(Method::GET, &target, &[("accept", ACCEPT)], Bytes::new()).await;
        (answer.status == 200).then_some(answer.body)
    }

    /// Whether a repository has a blob.
    ///
    /// # Panics
    /// When the registry does not answer.
    pub async fn has_blob(&self, repository: &str, digest: &str) -> bool {
        self.send(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"), &[], Bytes::new()).await.status == 200
    }

    /// Names of the repositories, sorted.
    ///
    /// # Panics
    /// When the registry does not answer as it should.
    pub async fn repositories(&self) -> Vec<String> {
        self.list("/v2/_catalog?n=1000", "repositories").await
    }

    /// Tags of a repository, sorted; empty when there is none.
    ///
    /// # Panics
    /// When the registry does not answer as it should.
    pub async fn tags(&self, repository: &str) -> Vec<String> {
        self.list(&format!("/v2/{repository}/tags/list"), "tags").await
    }

    async fn list(&self, target: &str, field: &str) -> Vec<String> {
        let answer = self.send(Method::GET, target, &[], Bytes::new()).await;
        let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{target}: {error}: {answer:?}"));
        let mut names: Vec<String> =
            value[field].as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        names.sort_unstable();
        names
    }

    /// Stores an image with everything beneath it, blobs and children first, and gives it these tags; without one only its digest.
    ///
    /// # Panics
    /// When the registry refuses something.
    pub async fn push(&self, repository: &str, tags: &[&str], image: &Manifest) {
        for blob in image.stored_blobs() {
            self.push_blob(repository, &blob.digest(), &blob.bytes).await;
        }
        for manifest in image.manifests() {
            self.push_manifest(repository, &manifest.digest(), manifest).await;
        }
        for tag in tags {
            self.push_manifest(repository, tag, image).await;
        }
    }

    async fn push_manifest(&self, repository: &str, reference: &str, manifest: &Manifest) {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.send(Method::PUT, &target, &[("content-type", &manifest.media_type)], manifest.bytes.clone()).await;
        assert_eq!(answer.status, 201, "{target}: {answer:?}");
    }

    async fn push_blob(&self, repository: &str, digest: &str, bytes: &Bytes) {
        if self.has_blob(repository, digest).await {
            return;
        }
        let started = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], Bytes::new()).await;
        let location = started.header("location");
        let target = location.strip_prefix(&self.endpoint()).unwrap_or(location);
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}digest={digest}");
        let answer = self.send(Method::PUT, &target, &[("content-type", "application/octet-stream")], bytes.clone()).await;
        assert_eq!(answer.status, 201, "{target}: {answer:?}");
    }

    /// Takes away what a tag points to, but not the tag: it is still listed, and nobody can get it.
    ///
    /// # Panics
    /// When there is no such tag.
    pub fn hollow(&self, repository: &str, tag: &str) {
        let link = Path::new("_manifests/tags").join(tag).join("current/link");
        fs::remove_file(self.storage(repository).join(link)).expect("a tag has its link");
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_access_log_are_read() {
        let line =
            r#"127.0.0.1 - - [22/Nov/2026:21:00:00 +0000] "PUT /v2/a/blobs/uploads/1?_state=x&digest=y HTTP/1.1" 201 0 "" "dthd/0.1.0""#;
        let request = Request::parse(line).expect("a request");
        let expected = ("PUT", "/v2/a/blobs/uploads/1?_state=x&digest=y", 201);
        assert_eq!((request.method.as_str(), request.target.as_str(), request.status), expected);
        assert!(request.is_write());
        assert!(!Request { method: "HEAD".to_owned(), ..request }.is_write());
        assert_eq!(Request::parse(r#"time="2026-11-22T21:00:00Z" level=error msg="response completed with error" err="x" "#), None);
    }
}
