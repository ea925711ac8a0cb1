//! boto3 as an independent client: it fills buckets and compares them, by `objects.py` beside this file; and it makes objects with everything that can
//! belong to them and tells what does, also of each version, by `keep.py`.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{installed, weed};

/// What boto3 found when it compared two buckets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Comparison {
    /// Objects that both have.
    pub compared: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// How many of them have tags.
    pub tagged: u64,
    /// The first differences, in words: bytes, content type, metadata, tags, keys of one bucket only, uploads left behind.
    pub differences: Vec<String>,
}

async fn run(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/objects.py");
    let mut command = Command::new(installed::from_venv("python"));
    command.arg(script).args(arguments).kill_on_drop(true);
    command.env("AWS_ACCESS_KEY_ID", weed::ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", weed::SECRET_KEY);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE").env_remove("AWS_CA_BUNDLE");
    let output = command.output().await.expect("python starts");
    assert!(output.status.success(), "objects.py {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a bucket with `count` mixed objects up to 30 kB, one of 300 MiB sent in parts of 8 MiB, and one of 40 MiB sent at once.
///
/// # Panics
/// When the script fails; with what it said.
pub async fn fill(endpoint: &str, bucket: &str, count: u64) {
    run(&["fill", endpoint, bucket, &count.to_string()]).await;
}

/// Compares all objects of two buckets, each given as endpoint and name.
///
/// # Panics
/// When the script fails; with what it said.
pub async fn compare(from: (&str, &str), to: (&str, &str)) -> Comparison {
    let output = run(&["compare", from.0, from.1, to.0, to.1]).await;
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("objects.py compare: {error}: {output}"))
}

/// A bucket that is to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewBucket<'a> {
    /// Its name.
    pub name: &'a str,
    /// With Object Lock.
    pub lock: bool,
}

/// An object that is to be made by one PutObject.
#[derive(Clone, Debug, Serialize)]
pub struct NewObject<'a> {
    /// Where.
    pub bucket: &'a str,
    /// Its key, of which its bytes are made as well.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// Headers of the request.
    pub headers: BTreeMap<&'a str, &'a str>,
    /// A key for SSE-C, in base64.
    pub seal: Option<&'a str>,
}

/// An object that is to be looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Asked<'a> {
    /// Where.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
    /// A key for SSE-C, in base64.
    pub seal: Option<&'a str>,
}

/// What belongs to an object, or why that is not to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct About {
    /// Of HEAD, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Grants in words: `owner FULL_CONTROL`, `AllUsers READ`.
    pub acl: Vec<String>,
    /// SHA-256 of the bytes.
    pub body: String,
    /// The store's code.
    pub error: Option<String>,
}

async fn keep<T: DeserializeOwned>(work: &str, endpoint: &str, keys: (&str, &str), input: &impl Serialize) -> T {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/keep.py");
    let mut command = Command::new(installed::from_venv("python"));
    command.arg(script).args([work, endpoint]).kill_on_drop(true);
    command.env("AWS_ACCESS_KEY_ID", keys.0).env("AWS_SECRET_ACCESS_KEY", keys.1);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE").env_remove("AWS_CA_BUNDLE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    let input = serde_json::to_vec(input).expect("plain data");
    child.stdin.take().expect("it is piped").write_all(&input).await.expect("the script reads what it is given");
    let output = child.wait_with_output().await.expect("python ends");
    assert!(output.status.success(), "keep.py {work}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("keep.py {work}: {error}: {output:?}"))
}

/// Makes buckets and objects; answers with the objects that the store refused, by key, and its codes.
///
/// # Panics
/// When the script fails; with what it said.
pub async fn make(endpoint: &str, keys: (&str, &str), buckets: &[NewBucket<'_>], objects: &[NewObject<'_>]) -> BTreeMap<String, String> {
    keep("make", endpoint, keys, &serde_json::json!({"buckets": buckets, "objects": objects})).await
}

/// Looks at objects; answers in their order.
///
/// # Panics
/// When the script fails; with what it said.
pub async fn about(endpoint: &str, keys: (&str, &str), objects: &[Asked<'_>]) -> Vec<About> {
    keep("about", endpoint, keys, &objects).await
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Generation {
    /// SHA-256 of the bytes.
    pub body: String,
    /// Content-Type.
    pub content_type: String,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// All versions of a bucket by key, oldest first; `None` is a delete marker.
///
/// # Panics
/// When the script fails; with what it said.
pub async fn history(endpoint: &str, keys: (&str, &str), bucket: &str) -> BTreeMap<String, Vec<Option<Generation>>> {
    keep("history", endpoint, keys, &bucket).await
}
