//! ECR by two independent servers: moto is its API, docker-registry its data side.

use dth_tests::{
    daemon::Daemon,
    docker_registry::DockerRegistry,
    image::{Blob, Manifest},
    moto::{KEYS, Moto},
    task::{Task, ended_well},
};
use serde_json::json;
use toml::{Table, Value};

use super::{catalogue, counts, registries};

/// moto's own account.
const ACCOUNT: &str = "123456789012";
const FROM: &str = "eu-west-1";
const TO: &str = "us-east-1";
const LIFECYCLE: &str = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":9},"action":{"type":"expire"}}]}"#;
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"pull","Effect":"Allow","Principal":"*","Action":["ecr:BatchGetImage"]}]}"#;

/// A daemon with keys for moto.
async fn daemon() -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("moto", KEYS.0, KEYS.1);
    daemon.configure(&format!("[credentials.moto]\ntype = \"file\"\npath = {:?}\n", keys.display().to_string()));
    daemon.restart().await;
    daemon
}

/// One end of a task in this region.
fn at(task: Task, end: &str, region: &str, moto: &Moto, data: &DockerRegistry) -> Task {
    let values = [
        ("registry", "ecr".to_owned()),
        ("region", region.to_owned()),
        ("account", ACCOUNT.to_owned()),
        ("endpoint", moto.endpoint()),
        ("registry_endpoint", data.endpoint()),
        ("credential", "moto".to_owned()),
    ];
    values.into_iter().fold(task, |task, (key, value)| task.with(&format!("{end}.{key}"), value))
}

fn image(seed: &str) -> Manifest {
    Manifest::image("amd64", vec![Blob::gzip(&crate::data::noise(seed, 40_000))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_are_created_with_prefix_and_settings() {
    let ((source, destination), moto) = tokio::join!(registries(), Moto::start());
    source.push("team/app", &["v1", "v2"], &image("app")).await;
    source.push("team/lib", &["v1"], &image("lib")).await;
    // one is there already, as somebody else made it
    moto.ecr(TO, "CreateRepository", &json!({"repositoryName": "mirror/team/lib", "imageTagMutability": "MUTABLE"})).await;
    let daemon = daemon().await;
    let settings: Table = toml::from_str(&format!(
        "immutable_tags = true\nscan_on_push = true\nlifecycle_policy = '{LIFECYCLE}'\npolicy = '{POLICY}'\ntags = {{ team = \"platform\" }}\n"
    ))
    .unwrap();
    let task = Task::images("into-ecr", &source.endpoint(), "ecr");
    let task = at(task, "destination", TO, &moto, &destination).with("destination.prefix", "mirror/");
    let task = task.with("destination.repository", Value::Table(settings));
    task.start(&daemon).await;
    assert_eq!(counts(&task.succeeds(&daemon).await), [3, 3, 0, 0, 0]);
    for (repository, tags, seed) in [("mirror/team/app", vec!["v1", "v2"], "app"), ("mirror/team/lib", vec!["v1"], "lib")] {
        assert_eq!(destination.tags(repository).await, tags);
        catalogue::whole(&destination, repository, &image(seed)).await;
    }
    let described = moto.ecr(TO, "DescribeRepositories", &json!({})).await;
    let mut names: Vec<_> = described["repositories"].as_array().unwrap().iter().map(|r| r["repositoryName"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["mirror/team/app", "mirror/team/lib"]);
    has_settings(&moto, "mirror/team/app", json!([{"Key": "team", "Value": "platform"}])).await;
    let lib = moto.ecr(TO, "DescribeRepositories", &json!({"repositoryNames": ["mirror/team/lib"]})).await;
    assert_eq!(lib["repositories"][0]["imageTagMutability"], "MUTABLE", "what was there keeps its settings");
    ended_well(daemon).await;
}

/// Demands the settings of this file.
async fn has_settings(moto: &Moto, repository: &str, tags: serde_json::Value) {
    let described = moto.ecr(TO, "DescribeRepositories", &json!({"repositoryNames": [repository]})).await;
    let described = &described["repositories"][0];
    assert_eq!(described["imageTagMutability"], "IMMUTABLE", "{described}");
    assert_eq!(described["imageScanningConfiguration"]["scanOnPush"], true, "{described}");
    let json = |text: &serde_json::Value| serde_json::from_str::<serde_json::Value>(text.as_str().unwrap()).unwrap();
    let of = json!({"repositoryName": repository});
    let lifecycle = moto.ecr(TO, "GetLifecyclePolicy", &of).await;
    assert_eq!(json(&lifecycle["lifecyclePolicyText"]), json(&LIFECYCLE.into()));
    let policy = moto.ecr(TO, "GetRepositoryPolicy", &of).await;
    assert_eq!(json(&policy["policyText"]), json(&POLICY.into()));
    let found = moto.ecr(TO, "ListTagsForResource", &json!({"resourceArn": described["repositoryArn"]})).await;
    assert_eq!(found["tags"], tags);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_copied_from_the_source() {
    let ((source, destination), moto) = tokio::join!(registries(), Moto::start());
    let app = image("app");
    source.push("team/app", &["v1"], &app).await;
    let tags = json!([{"Key": "cost", "Value": "17"}]);
    moto.ecr(
        FROM,
        "CreateRepository",
        &json!({
            "repositoryName": "team/app",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": true},
            "tags": tags,
        }),
    )
    .await;
    moto.ecr(FROM, "PutLifecyclePolicy", &json!({"repositoryName": "team/app", "lifecyclePolicyText": LIFECYCLE})).await;
    moto.ecr(FROM, "SetRepositoryPolicy", &json!({"repositoryName": "team/app", "policyText": POLICY})).await;
    // what the registry's API says it has, which is what the data side has
    moto.ecr(
        FROM,
        "PutImage",
        &json!({
            "repositoryName": "team/app",
            "imageTag": "v1",
            "imageDigest": app.digest(),
            "imageManifestMediaType": app.media_type,
            "imageManifest": String::from_utf8(app.bytes.to_vec()).unwrap(),
        }),
    )
    .await;
    let daemon = daemon().await;
    let task = at(Task::images("ecr-to-ecr", "ecr", "ecr"), "source", FROM, &moto, &source);
    let task = at(task, "destination", TO, &moto, &destination).with("destination.prefix", "copy/").with("destination.copy_settings", true);
    task.start(&daemon).await;
    assert_eq!(counts(&task.succeeds(&daemon).await), [1, 1, 0, 0, 0]);
    assert!(destination.manifest("copy/team/app", "v1").await == Some(app.bytes.clone()));
    catalogue::whole(&destination, "copy/team/app", &app).await;
    has_settings(&moto, "copy/team/app", tags).await;
    ended_well(daemon).await;
}
