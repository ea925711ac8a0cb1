//! What checks tell of registries that answer in several ways.

use dth_proto::{
    check::CheckState,
    spec::{CreateRepository, ImageDestination, ImageOptions, ImageSource},
};

use serde_json::json;

use super::*;
use crate::{
    config::{self, Config, Environment, Flags},
    credential::CredentialSpec,
    http::fake::{Fake, Heard, Step, answer},
    image::digest::Digest,
};

/// A configuration with these credentials.
pub(super) fn configured(credentials: impl IntoIterator<Item = (&'static str, CredentialSpec)>) -> Config {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("dthd.toml");
    std::fs::write(&file, "").expect("written");
    let environment = Environment::of([("STATE_DIRECTORY", "/s"), ("RUNTIME_DIRECTORY", "/r")], false);
    let config = config::load(&Flags { config: Some(file), ..Flags::default() }, &environment).expect("a good file").config;
    Config { credentials: credentials.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect(), ..config }
}

fn registry(address: &str) -> Registry {
    Registry { registry: address.to_owned(), credential: Some("anonymous".to_owned()), ..Registry::default() }
}

fn job(from: &str, to: &str, images: &[&str]) -> ImageJob {
    ImageJob {
        source: ImageSource { registry: registry(from), images: images.iter().map(|&image| image.to_owned()).collect() },
        destination: ImageDestination { registry: registry(to), prefix: "mirror/".to_owned(), ..ImageDestination::default() },
        options: ImageOptions::default(),
    }
}

/// How each step ended.
struct Told(Vec<CheckStep>);

impl Told {
    async fn of(job: &ImageJob) -> Self {
        Self::with(job, configured([])).await
    }

    async fn with(job: &ImageJob, config: Config) -> Self {
        let mut steps: Vec<CheckStep> = Vec::new();
        check(job, &Resources::new(config), |step| {
            steps.retain(|earlier| (earlier.side, &earlier.name) != (step.side, &step.name));
            steps.push(step);
        })
        .await;
        Self(steps)
    }

    fn states(&self, side: Side) -> Vec<(&str, CheckState)> {
        self.0.iter().filter(|step| step.side == side).map(|step| (step.name.as_str(), step.state)).collect()
    }

    /// Message and hint.
    fn said(&self, side: Side, name: &str) -> String {
        let step = self.0.iter().find(|step| step.side == side && step.name == name).expect("a step");
        format!("{} / {}", step.message, step.hint.as_deref().unwrap_or("no hint"))
    }
}

const CONFIG: &str = "{}";

fn manifest() -> String {
    let config = Digest::sha256(CONFIG.as_bytes());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
    )
}

fn index() -> String {
    let manifest = manifest();
    let (digest, size) = (Digest::sha256(manifest.as_bytes()), manifest.len());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#
    )
}

fn line(heard: &Heard) -> &str {
    heard.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
}

fn refusal(status: &str, code: &str) -> Vec<Step> {
    answer(status, "content-type: application/json\r\n", &format!(r#"{{"errors":[{{"code":"{code}","message":"words"}}]}}"#))
}

/// A registry with the image `team/app:1`, for all platforms, that takes uploads.
fn good(heard: &Heard) -> Vec<Step> {
    let line = line(heard);
    let is = |method: &str, path: &str| line.strip_prefix(method).is_some_and(|rest| rest.trim_start().starts_with(path));
    if is("GET", "/v2/_catalog") {
        answer("200 OK", "", r#"{"repositories":["team/app"]}"#)
    } else if is("GET", "/v2/team/app/tags/list") {
        answer("200 OK", "", r#"{"name":"team/app","tags":["1"]}"#)
    } else if is("GET", "/v2/team/app/manifests/1") {
        answer("200 OK", "content-type: application/vnd.oci.image.index.v1+json\r\n", &index())
    } else if is("GET", "/v2/team/app/manifests/sha256:") {
        answer("200 OK", "content-type: application/vnd.oci.image.manifest.v1+json\r\n", &manifest())
    } else if is("HEAD", "/v2/team/app/manifests/1") {
        let digest = Digest::sha256(index().as_bytes());
        vec![Step::Say(
            format!("HTTP/1.1 200 OK\r\ndocker-content-digest: {digest}\r\ncontent-length: {}\r\n\r\n", index().len()).into_bytes(),
        )]
    } else if is("GET", "/v2/team/app/blobs/") {
        answer("206 Partial Content", "content-range: bytes 0-0/2\r\n", &CONFIG[..1])
    } else if is("POST", "/v2/mirror/team/app/blobs/uploads/") {
        answer("202 Accepted", "location: /v2/mirror/team/app/blobs/uploads/1\r\n", "")
    } else if is("DELETE", "/v2/mirror/team/app/blobs/uploads/1") {
        vec![Step::Say(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())]
    } else if line.starts_with("HEAD") {
        vec![Step::Say(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec())]
    } else {
        refusal("404 Not Found", "NAME_UNKNOWN")
    }
}

#[tokio::test]
async fn both_ends_are_tried_as_a_run_would() {
    let fake = Fake::start(|_, heard| good(heard)).await;
    let told = Told::of(&job(&fake.endpoint(), &fake.endpoint(), &[])).await;
    let ok = |names: &[&'static str]| names.iter().map(|&name| (name, CheckState::Ok)).collect::<Vec<_>>();
    assert_eq!(told.states(Side::Source), ok(&["credential", "reach", "list", "read"]), "{:#?}", told.0);
    assert_eq!(told.states(Side::Destination), ok(&["credential", "reach", "list", "write"]), "{:#?}", told.0);
    let heard = fake.heard();
    let lines: Vec<&str> = heard.iter().map(line).collect();
    assert!(lines.contains(&"DELETE /v2/mirror/team/app/blobs/uploads/1"), "what was begun is given up: {lines:#?}");
    assert!(heard.iter().any(|heard| line(heard).contains("/blobs/sha256:") && heard.header("range") == Some("bytes=0-0")), "{lines:#?}");
}

#[tokio::test]
async fn images_that_the_task_names_are_looked_for() {
    let fake = Fake::start(|_, heard| good(heard)).await;
    let told = Told::of(&job(&fake.endpoint(), &fake.endpoint(), &["team/app:1", "team/app:2", "gone"])).await;
    assert_eq!(told.states(Side::Source)[2..], [("list", CheckState::Warn), ("read", CheckState::Ok)], "{:#?}", told.0);
    let said = told.said(Side::Source, "list");
    assert!(said.contains("does not have \"gone\" and \"team/app:2\"") && said.contains("source.images"), "{said}");
    let told = Told::of(&job(&fake.endpoint(), &fake.endpoint(), &["gone"])).await;
    assert_eq!(told.states(Side::Source)[2..], [("list", CheckState::Failed), ("read", CheckState::Warn)], "{:#?}", told.0);
    let heard = fake.heard();
    assert!(!heard.iter().any(|heard| line(heard).contains("_catalog")), "what is named need not be listed");
}

#[tokio::test]
async fn what_is_not_allowed_is_told_with_the_way_out() {
    let fake = Fake::start(|_, heard| match line(heard) {
        list if list.contains("_catalog") => refusal("401 Unauthorized", "UNAUTHORIZED"),
        write if write.starts_with("POST") => refusal("403 Forbidden", "DENIED"),
        _ => good(heard),
    })
    .await;
    let told = Told::of(&job(&fake.endpoint(), &fake.endpoint(), &[])).await;
    assert_eq!(told.states(Side::Source)[1..], [("reach", CheckState::Ok), ("list", CheckState::Failed)], "{:#?}", told.0);
    assert!(told.said(Side::Source, "list").contains("name the repositories in source.images"), "{:#?}", told.0);
    let told = Told::of(&job(&fake.endpoint(), &fake.endpoint(), &["team/app"])).await;
    assert_eq!(told.states(Side::Destination).last(), Some(&("write", CheckState::Failed)), "{:#?}", told.0);
    assert!(told.said(Side::Destination, "write").contains("that may push to repository mirror/team/app"), "{:#?}", told.0);
}

#[tokio::test]
async fn rules_that_choose_nothing_are_told() {
    let fake = Fake::start(|_, heard| good(heard)).await;
    let mut job = job(&fake.endpoint(), &fake.endpoint(), &[]);
    job.options.tags = vec!["v*".to_owned()];
    let told = Told::of(&job).await;
    assert_eq!(told.states(Side::Source)[2..], [("list", CheckState::Warn), ("read", CheckState::Warn)], "{:#?}", told.0);
    assert!(told.said(Side::Source, "list").contains("no image is chosen from \"team/app\""), "{:#?}", told.0);
    job.options.repositories = vec!["other/**".to_owned()];
    let told = Told::of(&job).await;
    assert!(told.said(Side::Source, "list").contains("no repository of"), "{:#?}", told.0);
    assert_eq!(told.states(Side::Destination).last(), Some(&("write", CheckState::Warn)), "{:#?}", told.0);
    job.options.semver = Some("new".to_owned());
    let told = Told::of(&job).await;
    assert_eq!(told.states(Side::Source), [("list", CheckState::Failed)]);
    assert!(told.said(Side::Source, "list").contains("options.semver"), "{:#?}", told.0);
}

#[tokio::test]
async fn names_that_the_destination_cannot_have_are_told() {
    let fake = Fake::start(|_, heard| good(heard)).await;
    let mut job = job(&fake.endpoint(), &fake.endpoint(), &[]);
    job.destination.prefix = "Mirror/".to_owned();
    let told = Told::of(&job).await;
    assert_eq!(told.states(Side::Destination).last(), Some(&("write", CheckState::Failed)), "{:#?}", told.0);
    assert!(told.said(Side::Destination, "write").contains("change destination.prefix"), "{:#?}", told.0);
}

#[tokio::test]
async fn a_credential_that_does_not_exist_and_a_registry_that_is_not_there_are_told() {
    let fake = Fake::start(|_, heard| good(heard)).await;
    // nobody listens there: the port was free a moment ago
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("bound"))
    };
    let mut job = job(&nowhere, &fake.endpoint(), &["team/app:1"]);
    job.destination.registry.credential = Some("nobody".to_owned());
    let told = Told::of(&job).await;
    assert_eq!(told.states(Side::Source), [("credential", CheckState::Ok), ("reach", CheckState::Failed)], "{:#?}", told.0);
    assert!(told.said(Side::Source, "reach").contains("check address, proxy and network"), "{:#?}", told.0);
    assert_eq!(told.states(Side::Destination), [("credential", CheckState::Failed)], "{:#?}", told.0);
    assert!(told.said(Side::Destination, "credential").contains("[credentials.nobody]"), "{:#?}", told.0);
    assert!(fake.heard().is_empty());
}

/// What the end of a check of ECR's side says, where its API answers `ListImages` so.
async fn told_of_ecr(create: CreateRepository, list_images: Vec<Step>) -> Told {
    let fake = Fake::start(move |_, heard| match heard.header("x-amz-target") {
        Some(target) if target.ends_with(".ListImages") => list_images.clone(),
        Some(_) => {
            // AWS:password
            let token = json!({ "authorizationToken": "QVdTOnBhc3N3b3Jk", "expiresAt": 4_000_000_000_u64 });
            answer("200 OK", "content-type: application/x-amz-json-1.1\r\n", &json!({ "authorizationData": [token] }).to_string())
        }
        None => good(heard),
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, json!({ "access_key_id": "AK", "secret_access_key": "SK" }).to_string()).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let mut job = job(&fake.endpoint(), "ecr", &[]);
    job.destination.create = create;
    job.destination.registry = Registry {
        registry: "ecr".to_owned(),
        region: Some("eu-west-1".to_owned()),
        account: Some("123456789012".to_owned()),
        endpoint: Some(fake.endpoint()),
        registry_endpoint: Some(fake.endpoint()),
        credential: Some("writer".to_owned()),
    };
    Told::with(&job, configured([("writer", CredentialSpec::File { path })])).await
}

#[tokio::test]
async fn repositories_of_ecr_are_there_or_can_be_created_or_not() {
    let ecr = |status: &str, body: &str| answer(status, "content-type: application/x-amz-json-1.1\r\n", body);
    let there = || ecr("200 OK", r#"{"imageIds":[]}"#);
    let missing = || ecr("400 Bad Request", r#"{"__type":"RepositoryNotFoundException","message":"words"}"#);
    let denied = || ecr("400 Bad Request", r#"{"__type":"AccessDeniedException","message":"words"}"#);
    for (create, answer, list, write, said) in [
        (CreateRepository::Never, there(), CheckState::Ok, CheckState::Ok, "\"mirror/team/app\""),
        (CreateRepository::Yes, missing(), CheckState::Warn, CheckState::Warn, "allow ecr:CreateRepository for this credential"),
        (CreateRepository::OnPush, missing(), CheckState::Warn, CheckState::Warn, "repository creation template"),
        (CreateRepository::Never, missing(), CheckState::Failed, CheckState::Warn, "set destination.create"),
        (CreateRepository::Yes, denied(), CheckState::Failed, CheckState::Ok, "allow ecr:ListImages on repository mirror/team/app"),
    ] {
        let told = told_of_ecr(create, answer).await;
        let expected = [("credential", CheckState::Ok), ("reach", CheckState::Ok), ("list", list), ("write", write)];
        assert_eq!(told.states(Side::Destination), expected, "{create:?}: {:#?}", told.0);
        assert!(told.said(Side::Destination, "list").contains(said), "{create:?}: {:#?}", told.0);
    }
}
