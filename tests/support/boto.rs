//! boto3 as an independent client: it fills buckets and compares them, by `objects.py` beside this file.

use std::path::Path;

use serde::Deserialize;
use tokio::process::Command;

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
