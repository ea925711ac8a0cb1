//! SeaweedFS as a fixture: one real server with an S3 gateway, its own ports and its own folder.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{client, installed, port, process::Process};

/// Access key id that the server knows.
pub const ACCESS_KEY: &str = "weed-key";
/// Its secret; with any other the server answers `SignatureDoesNotMatch`.
pub const SECRET_KEY: &str = "weed-secret";

/// How long a server may take until it is ready.
const START: Duration = Duration::from_mins(2);

/// A running SeaweedFS; ends when dropped.
#[derive(Debug)]
pub struct Weed {
    port: u16,
    process: Process,
    // dropped after the process
    _folder: TempDir,
}

impl Weed {
    /// Starts a server and waits until its S3 gateway answers a signed request.
    ///
    /// # Panics
    /// When it is not installed, does not start, or is not ready within two minutes; with its log.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let identities = serde_json::json!({"identities": [{
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let config = folder.path().join("s3.json");
        fs::write(&config, identities.to_string()).expect("a file in a fresh folder can be written");
        let ports: [u16; 8] = port::free().expect("free ports");
        let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc] = ports;
        let mut command = Command::new(installed::from_venv("weed"));
        command.current_dir(folder.path()).arg("-logtostderr=true").arg("server").arg("-s3");
        for (name, value) in [
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("s3.port.iceberg", 0),
            ("s3.port.lance", 0),
        ] {
            command.arg(format!("-{name}={value}"));
        }
        command.args([
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=40",
            "-volume.preStopSeconds=0",
        ]);
        command.arg(format!("-filer.localSocket={}", folder.path().join("filer.sock").display()));
        command.arg(format!("-s3.localSocket={}", folder.path().join("s3.sock").display()));
        command.arg(format!("-dir={}", folder.path().display())).arg(format!("-s3.config={}", config.display()));
        let process = Process::start(&mut command, &folder.path().join("weed.log")).expect("weed starts");
        let mut weed = Self { port: s3, process, _folder: folder };
        weed.ready().await;
        weed
    }

    /// A bucket can be made, written and read: the gateway, the filer, the master and a volume all work.
    async fn ready(&mut self) {
        let s3 = client::s3(&self.endpoint(), Some((ACCESS_KEY, SECRET_KEY)));
        let begin = Instant::now();
        loop {
            // both fail until every part of the server is up
            let _ = s3.create_bucket().bucket("ready").send().await;
            let put = s3.put_object().bucket("ready").key("x").body(b"x".to_vec().into()).send().await;
            if put.is_ok() {
                break;
            }
            if let Ok(Some(status)) = self.process.ended() {
                panic!("SeaweedFS ended with {status}:\n{}", self.process.log());
            }
            assert!(begin.elapsed() < START, "SeaweedFS is not ready after {START:?}:\n{}", self.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        s3.delete_object().bucket("ready").key("x").send().await.expect("what was put can be deleted");
        s3.delete_bucket().bucket("ready").send().await.expect("an empty bucket can be deleted");
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client with the right keys.
    #[must_use]
    pub fn client(&self) -> aws_sdk_s3::Client {
        client::s3(&self.endpoint(), Some((ACCESS_KEY, SECRET_KEY)))
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
