//! The embedded registry beside a real one: the same requests, the same answers.

use bytes::Bytes;
use dth_tests::{
    docker_registry::DockerRegistry,
    http::{self, Answer},
    registry::{Blob, Image, Server, made},
};
use hyper::Method;
use serde_json::Value;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ALL: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                   application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Headers whose values the servers must agree on.
const HEADERS: [&str; 5] = ["content-range", "docker-content-digest", "range", "oci-subject", "accept-ranges"];

/// What a client can tell of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    request: String,
    status: u16,
    headers: Vec<(&'static str, String)>,
    /// Path of `Location`; names of sessions and their state are taken out.
    location: Option<String>,
    /// The code of an error, else the body.
    body: String,
}

/// A client that writes down what it sees.
struct Script {
    address: String,
    seen: Vec<Seen>,
}

impl Script {
    fn new(endpoint: &str) -> Self {
        Self { address: endpoint.trim_start_matches("http://").to_owned(), seen: Vec::new() }
    }

    async fn ask(&mut self, method: Method, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let path = self.relative(target);
        let answer = http::send(&self.address, method.clone(), &path, headers, body.into()).await.unwrap();
        let is_json = answer.header("content-type").starts_with("application/json");
        let body = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(value) if is_json && answer.status >= 400 => value["errors"][0]["code"].as_str().unwrap_or("no code").to_owned(),
            Ok(value) if is_json => canonical(value),
            _ if answer.status >= 400 => String::new(),
            _ => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        self.seen.push(Seen {
            request: format!("{method} {}", generic(&path)),
            status: answer.status,
            headers: HEADERS.into_iter().map(|name| (name, answer.header(name).to_owned())).collect(),
            location: answer.headers.get("location").and_then(|value| value.to_str().ok()).map(|text| generic(&self.relative(text))),
            body,
        });
        answer
    }

    fn relative(&self, target: &str) -> String {
        target.trim_start_matches("http://").trim_start_matches(&self.address).to_owned()
    }

    async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, target, headers, "").await
    }

    async fn head(&mut self, target: &str, headers: &[(&str, &str)]) -> String {
        self.ask(Method::HEAD, target, headers, "").await.header("content-length").to_owned()
    }

    /// A new session: its address, ready for `&digest=`.
    async fn session(&mut self, repository: &str) -> String {
        let answer = self.ask(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "").await;
        answer.header("location").to_owned()
    }

    async fn push(&mut self, repository: &str, blob: &Blob) {
        let session = self.session(repository).await;
        let bytes = blob.content().unwrap().to_bytes();
        self.ask(Method::PUT, &format!("{session}&digest={}", blob.digest()), &[], bytes).await;
    }

    async fn put(&mut self, repository: &str, reference: &str, media_type: &str, bytes: Bytes) {
        self.ask(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"), &[("content-type", media_type)], bytes).await;
    }
}

/// An address without what is different every time.
fn generic(path: &str) -> String {
    let path = path.split("?_state=").next().unwrap_or_default();
    match path.split_once("/blobs/uploads/") {
        Some((name, rest)) if !rest.is_empty() && !rest.starts_with('?') => format!("{name}/blobs/uploads/ID"),
        _ => path.to_owned(),
    }
}

/// Lists in order: docker-registry gives tags in any.
fn canonical(mut value: Value) -> String {
    if let Some(tags) = value["tags"].as_array_mut() {
        tags.sort_by_key(Value::to_string);
    }
    value.to_string()
}

async fn blobs(script: &mut Script) {
    let blob = Blob::new(Bytes::from_static(b"0123456789"));
    let at = format!("/v2/team/app/blobs/{}", blob.digest());
    script.get("/v2/", &[]).await;
    script.head(&at, &[]).await;
    script.get(&at, &[]).await;
    script.push("team/app", &blob).await;
    assert_eq!(script.head(&at, &[]).await, "10");
    script.get(&at, &[]).await;
    // no range behind the end: docker-registry breaks the connection there
    for range in ["bytes=2-4", "bytes=7-", "bytes=-3", "bytes=5-99"] {
        script.get(&at, &[("range", range)]).await;
    }

    // in chunks, with a look in between, then out of the middle of nowhere
    let chunked = Blob::new(Bytes::from_static(b"abcdefgh"));
    let session = script.session("team/app").await;
    let answer = script.ask(Method::PATCH, &session, &[("content-range", "0-4")], "abcde").await;
    let answer = script.get(answer.header("location"), &[]).await;
    let answer = script.ask(Method::PATCH, answer.header("location"), &[("content-range", "5-6")], "fg").await;
    script.ask(Method::PUT, &format!("{}&digest={}", answer.header("location"), chunked.digest()), &[], "h").await;
    script.get(&format!("/v2/team/app/blobs/{}", chunked.digest()), &[]).await;

    // a PATCH with everything, a PUT with nothing
    let whole = Blob::new(Bytes::from_static(b"all at once"));
    let session = script.session("team/app").await;
    let answer = script.ask(Method::PATCH, &session, &[], "all at once").await;
    script.ask(Method::PUT, &format!("{}&digest={}", answer.header("location"), whole.digest()), &[], "").await;

    let session = script.session("team/app").await;
    script.ask(Method::DELETE, &session, &[], "").await;
    script.get(&session, &[]).await;

    // the digest of other bytes
    let session = script.session("team/app").await;
    script.ask(Method::PUT, &format!("{session}&digest={}", whole.digest()), &[], "something else").await;

    for (to, query) in [
        ("other", format!("?mount={}&from=team%2Fapp", blob.digest())),
        ("third", format!("?mount={}", blob.digest())),
        ("third", format!("?mount=sha256:{}&from=team%2Fapp", "0".repeat(64))),
    ] {
        script.ask(Method::POST, &format!("/v2/{to}/blobs/uploads/{query}"), &[], "").await;
    }
    script.head(&format!("/v2/other/blobs/{}", blob.digest()), &[]).await;
    script.head(&format!("/v2/third/blobs/{}", blob.digest()), &[]).await;
}

async fn manifests(script: &mut Script) {
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[100, 2_000]);
    let child = &image.children()[0];
    script.put("team/app", "v1", OCI, child.bytes()).await;
    for blob in image.blobs() {
        script.push("team/app", &blob).await;
    }
    script.put("team/app", "index", INDEX, image.bytes()).await;
    for (child, tag) in image.children().iter().zip(["v1", "v2"]) {
        script.put("team/app", child.digest(), OCI, child.bytes()).await;
        script.put("team/app", tag, OCI, child.bytes()).await;
    }
    script.put("team/app", "index", INDEX, image.bytes()).await;
    script.put("team/app", child.digest(), OCI, image.children()[1].bytes()).await;
    script.put("team/app", "broken", OCI, Bytes::from_static(b"{\"schemaVersion\": 2")).await;
    for reference in ["v1", "index", child.digest(), image.digest(), "none"] {
        let at = format!("/v2/team/app/manifests/{reference}");
        let answer = script.get(&at, &[("accept", ALL)]).await;
        let length = script.head(&at, &[("accept", ALL)]).await;
        assert!(answer.status != 200 || length == answer.body.len().to_string(), "{reference}: {length}");
    }
    // without Accept there is no OCI
    script.head("/v2/team/app/manifests/index", &[]).await;
    script.head("/v2/team/app/manifests/v1", &[]).await;
    script.get("/v2/nowhere/manifests/v1", &[("accept", ALL)]).await;

    let docker = Image::docker("linux/amd64", 2, &made(2, &[30]));
    for blob in docker.blobs() {
        script.push("docker", &blob).await;
    }
    script.put("docker", "old", docker.media_type(), docker.bytes()).await;
    script.get("/v2/docker/manifests/old", &[("accept", ALL)]).await;

    // a subject may be missing
    let signature = Image::about(&Image::new(77, &[1]), 3, "application/vnd.example.signature", 40);
    for blob in signature.blobs() {
        script.push("team/app", &blob).await;
    }
    script.put("team/app", "signature", OCI, signature.bytes()).await;
    script.get(&format!("/v2/team/app/referrers/{}", child.digest()), &[]).await;
}

async fn lists(script: &mut Script) {
    for target in ["/v2/team/app/tags/list", "/v2/nowhere/tags/list", "/v2/_catalog", "/v2/_catalog?n=100"] {
        script.get(target, &[]).await;
    }
    let (mut target, mut pages) = ("/v2/_catalog?n=2".to_owned(), 0);
    loop {
        let answer = script.get(&target, &[]).await;
        pages += 1;
        let Some(link) = answer.headers.get("link") else { break };
        let link = link.to_str().unwrap();
        assert!(link.ends_with("; rel=\"next\""), "{link}");
        target = link[1..link.find('>').unwrap()].to_owned();
        // the order of the query's parts is nobody's business
        script.seen.last_mut().unwrap().request = "page".to_owned();
    }
    script.seen.last_mut().unwrap().request = format!("page {pages}");
}

async fn deletions(script: &mut Script) {
    let image = Image::new(9, &[10]);
    for blob in image.blobs() {
        script.push("gone", &blob).await;
    }
    script.put("gone", "v1", OCI, image.bytes()).await;
    let at = format!("/v2/gone/manifests/{}", image.digest());
    script.ask(Method::DELETE, "/v2/gone/manifests/v1", &[], "").await;
    script.ask(Method::DELETE, &at, &[], "").await;
    script.get(&at, &[("accept", ALL)]).await;
    script.get("/v2/gone/manifests/v1", &[("accept", ALL)]).await;
    script.ask(Method::DELETE, &at, &[], "").await;
    let blob = format!("/v2/gone/blobs/{}", image.blobs()[0].digest());
    script.ask(Method::DELETE, &blob, &[], "").await;
    script.head(&blob, &[]).await;
    script.ask(Method::DELETE, &blob, &[], "").await;
}

#[tokio::test]
async fn it_answers_as_docker_registry_does() {
    let real = DockerRegistry::start().await;
    // 2.8 has no referrers, and gives tags all at once
    let embedded = Server::builder().referrers(false).plain_tags().start().await.unwrap();
    let (mut theirs, mut ours) = (Script::new(&real.endpoint()), Script::new(&embedded.endpoint()));
    for script in [&mut theirs, &mut ours] {
        blobs(script).await;
        manifests(script).await;
        lists(script).await;
        deletions(script).await;
    }
    assert_eq!(theirs.seen.len(), ours.seen.len());
    let different: Vec<_> = theirs.seen.iter().zip(&ours.seen).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "docker-registry and ours, {} of {}: {different:#?}", different.len(), theirs.seen.len());
    assert!(theirs.seen.len() > 80, "{}", theirs.seen.len());
}
