//! s3s-fs as a fixture: a server by others that keeps objects as files, in this process.

use std::path::Path;

use aws_sdk_s3::Client;
use dth_tests::client;
use hyper::{
    Request,
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::AbortHandle};

/// Keys that the server knows.
pub(crate) const KEYS: (&str, &str) = ("s3s-key", "s3s-secret");

/// A running server; ends when dropped.
pub(crate) struct S3s {
    port: u16,
    accepting: AbortHandle,
    // dropped after the server
    folder: TempDir,
}

impl S3s {
    /// Starts a server on a free port; it is ready at once.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let service = service(folder.path());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                // in a task of its own, a request that has come is carried out to its end, whoever waits for the answer: cut off between its
                // two files, an object would be there without what belongs to it
                let whole = service_fn(move |request: Request<Incoming>| {
                    let service = service.clone();
                    async move { tokio::spawn(async move { Service::call(&service, request).await }).await.expect("the server does not panic") }
                });
                tokio::spawn(async move {
                    // a client that goes away ends its connection
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), whole).await;
                });
            }
        });
        Self { port, accepting: accepting.abort_handle(), folder }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What belongs to uploads that are under way, in any bucket, by its files.
    pub(crate) fn uploads(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("the server's folder");
        let names = files.map(|file| file.expect("a file of the server's").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload") || name.contains(".upload-")).collect()
    }

    /// The keys of a bucket: its files, whose paths they are.
    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        let root = self.folder.path().join(bucket);
        let (mut keys, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the server's folder") {
                let path = entry.expect("a file of the server's").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let key = path.strip_prefix(&root).expect("it is below its bucket");
                    keys.push(key.to_str().expect("keys are UTF-8").to_owned());
                }
            }
        }
        keys
    }

    /// A client with the right keys.
    pub(crate) fn client(&self) -> Client {
        client::s3(&self.endpoint(), Some(KEYS))
    }
}

impl Drop for S3s {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn service(folder: &Path) -> s3s::service::S3Service {
    let store = FileSystem::new(folder).expect("a folder that exists");
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
    builder.build()
}
