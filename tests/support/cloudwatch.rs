//! CloudWatch as a fixture: moto behind a bridge that understands aws-sdk-cloudwatch.

use std::{collections::BTreeMap, process::Command, time::Duration};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{installed, moto::Moto, port, process::Process, wait::eventually};

/// The bridge, and the questions to moto that need boto3.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/support/cloudwatch.py");

/// A running CloudWatch; ends when dropped.
#[derive(Debug)]
pub struct CloudWatch {
    port: u16,
    _bridge: Process,
    moto: Moto,
    // dropped after the processes
    _folder: TempDir,
}

/// Everything published of one metric with one set of dimensions.
#[derive(Clone, Debug, Deserialize)]
pub struct Published {
    /// Name of the metric.
    pub metric: String,
    /// Names and values.
    pub dimensions: BTreeMap<String, String>,
    /// Sum over all points.
    pub sum: f64,
    /// Number of points.
    pub samples: f64,
}

impl CloudWatch {
    /// Starts moto and the bridge, and waits until both answer.
    ///
    /// # Panics
    /// When they are not installed, or not ready within two minutes.
    pub async fn start() -> Self {
        let moto = Moto::start().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port] = port::free().expect("a free port");
        let mut command = Command::new(installed::from_venv("python"));
        command.args([SCRIPT, "serve", &port.to_string(), &moto.endpoint()]);
        let bridge = Process::start(&mut command, &folder.path().join("bridge.log")).expect("python starts");
        let what = format!("the bridge listens on port {port}");
        eventually(&what, Duration::from_mins(2), || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
        Self { port, _bridge: bridge, moto, _folder: folder }
    }

    /// `http://127.0.0.1:PORT`, for PutMetricData.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The S3 of the same moto.
    #[must_use]
    pub fn moto(&self) -> &Moto {
        &self.moto
    }

    /// All that was published under `namespace` in the last hour.
    ///
    /// # Panics
    /// When moto cannot be asked.
    #[must_use]
    pub fn published(&self, namespace: &str) -> Vec<Published> {
        let mut command = Command::new(installed::from_venv("python"));
        let output = command.args([SCRIPT, "sums", namespace, &self.moto.endpoint()]).output().expect("python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}
