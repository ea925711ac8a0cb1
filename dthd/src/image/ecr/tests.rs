//! ECR's API against a server that says what ECR says.

mod layer;
mod list;
mod repository;
mod token;

use std::{sync::Arc, time::Duration};

use dth_proto::{failure::Side, spec};
use serde_json::{Value, json};

use super::{Accounts, Ecr, OpenError};
use crate::{
    credential::{Credential, CredentialSpec, resolve},
    http::fake::{Fake, Heard, Step, answer},
    transfer::{progress::RequestCounters, retry::RetryPolicy},
};

const SECRET: &str = "a-secret-that-nobody-may-see";

/// Three requests in all, at once.
const QUICK: RetryPolicy =
    RetryPolicy { attempts: 3, base: Duration::from_millis(1), cap: Duration::from_millis(1), patience: Duration::from_millis(1) };

/// A server, and a registry of ECR that it is.
struct Stage {
    server: Fake,
    ecr: Ecr,
    counters: Arc<RequestCounters>,
    _credential: tempfile::TempDir,
}

/// A request to the API.
#[derive(Clone, Debug)]
struct Asked {
    operation: String,
    body: Value,
}

impl Asked {
    fn of(heard: &Heard) -> Self {
        let target = heard.header("x-amz-target").expect("the API's operation");
        let operation = target.strip_prefix("AmazonEC2ContainerRegistry_V20150921.").expect("ECR's API").to_owned();
        Self { operation, body: serde_json::from_slice(&heard.body).expect("JSON") }
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}

fn good(body: &Value) -> Vec<Step> {
    answer("200 OK", "content-type: application/x-amz-json-1.1\r\n", &body.to_string())
}

/// A refusal in ECR's words; `more` are fields beside the message.
fn refusal(status: &str, code: &str, more: &Value) -> Vec<Step> {
    let mut body = json!({ "__type": code, "message": format!("{code} was said") });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    answer(status, "content-type: application/x-amz-json-1.1\r\nx-amzn-requestid: R-1\r\n", &body.to_string())
}

fn bad(code: &str) -> Vec<Step> {
    refusal("400 Bad Request", code, &json!({}))
}

async fn signer() -> (Credential, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, json!({ "access_key_id": "AK", "secret_access_key": SECRET }).to_string()).expect("writes");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let specs = [("it".to_owned(), CredentialSpec::File { path })].into();
    (resolve(Some("it"), &specs).await.expect("configured"), dir)
}

fn registry(endpoint: Option<String>) -> spec::Registry {
    let region = Some("eu-west-1".to_owned());
    spec::Registry { registry: "ecr".into(), region, endpoint, ..spec::Registry::default() }
}

/// `script` answers the n-th request (from 0).
async fn stage(script: impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static) -> Stage {
    stage_for(|registry| registry, script).await
}

async fn stage_for(
    change: impl FnOnce(spec::Registry) -> spec::Registry,
    script: impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static,
) -> Stage {
    let server = Fake::start(move |n, heard| script(n, &Asked::of(heard))).await;
    let registry = change(registry(Some(server.endpoint())));
    let (credential, dir) = signer().await;
    let counters = Arc::new(RequestCounters::default());
    let ecr = Ecr::open_with(&registry, Side::Destination, &credential, &Accounts::default(), Arc::clone(&counters), QUICK).await;
    Stage { server, ecr: ecr.expect("a registry"), counters, _credential: dir }
}

impl Stage {
    fn asked(&self) -> Vec<Asked> {
        self.server.heard().iter().map(Asked::of).collect()
    }

    fn operations(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.operation).collect()
    }
}

#[tokio::test]
async fn addresses_come_from_account_and_region() {
    let (credential, _dir) = signer().await;
    let open = async |registry: spec::Registry| Ecr::open(&registry, Side::Source, &credential, &Accounts::default(), Arc::default()).await;
    let named = spec::Registry { account: Some("123456789012".into()), ..registry(None) };
    let ecr = open(named.clone()).await.expect("a registry");
    assert_eq!(ecr.site().await.expect("known").url("/v2/"), "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/");
    assert_eq!((ecr.region(), ecr.place()), ("eu-west-1", "ECR in eu-west-1"));
    let host = "999999999999.dkr.ecr.cn-north-1.amazonaws.com.cn";
    let ecr = open(spec::Registry { registry: host.into(), ..spec::Registry::default() }).await.expect("a registry");
    assert_eq!((ecr.site().await.expect("known").host(), ecr.region()), (host, "cn-north-1"));
    let elsewhere = spec::Registry { registry_endpoint: Some("http://127.0.0.1:5000".into()), ..named };
    assert_eq!(open(elsewhere).await.expect("a registry").site().await.expect("known").url("/"), "http://127.0.0.1:5000/");
    let wrong = open(registry(Some("127.0.0.1:5000".into()))).await.expect_err("not an address");
    assert_eq!(wrong, OpenError::Endpoint("127.0.0.1:5000".into()));
}
