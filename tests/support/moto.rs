//! moto as a fixture: an independent S3, CloudWatch, ECR, SQS and Secrets Manager in Python.

use std::{process::Command, time::Duration};

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{client, http, installed, port, process::Process, wait::eventually};

/// Keys for it: it accepts any.
pub const KEYS: (&str, &str) = ("moto", "moto");

/// A queue of its SQS.
#[derive(Clone, Debug)]
pub struct Queue {
    /// As a task file has it.
    pub url: String,
    /// As a bucket's notifications have it.
    pub arn: String,
}

/// A running moto server; ends when dropped. It accepts any keys.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    process: Process,
    // dropped after the process
    _folder: TempDir,
}

impl Moto {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, does not start, or is not ready within two minutes; with its log.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port] = port::free().expect("a free port");
        let mut command = Command::new(installed::from_venv("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(folder.path());
        let process = Process::start(&mut command, &folder.path().join("moto.log")).expect("moto starts");
        let moto = Self { port, process, _folder: folder };
        let s3 = moto.client();
        let what = format!("moto is ready on port {port}");
        eventually(&what, Duration::from_mins(2), || async { s3.list_buckets().send().await.ok() }).await;
        moto
    }

    /// `http://127.0.0.1:PORT`, for every service.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An S3 client.
    #[must_use]
    pub fn client(&self) -> aws_sdk_s3::Client {
        client::s3(&self.endpoint(), Some(KEYS))
    }

    /// One call of ECR's API in a region; what it answers.
    ///
    /// # Panics
    /// When it refuses; with what it said.
    pub async fn ecr(&self, region: &str, operation: &str, input: &Value) -> Value {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        self.call(("ecr", region), ("application/x-amz-json-1.1", &target), input).await
    }

    /// One call of SQS' API in us-east-1; what it answers.
    ///
    /// # Panics
    /// When it refuses; with what it said.
    pub async fn sqs(&self, operation: &str, input: &Value) -> Value {
        self.call(("sqs", "us-east-1"), ("application/x-amz-json-1.0", &format!("AmazonSQS.{operation}")), input).await
    }

    /// One call of Secrets Manager's API in us-east-1; what it answers.
    ///
    /// # Panics
    /// When it refuses; with what it said.
    pub async fn secrets(&self, operation: &str, input: &Value) -> Value {
        self.call(("secretsmanager", "us-east-1"), ("application/x-amz-json-1.1", &format!("secretsmanager.{operation}")), input).await
    }

    /// A new queue in us-east-1.
    ///
    /// # Panics
    /// When moto refuses it; with what it said.
    pub async fn queue(&self, name: &str) -> Queue {
        let made = self.sqs("CreateQueue", &json!({"QueueName": name})).await;
        let url = made["QueueUrl"].as_str().expect("a new queue has a URL").to_owned();
        let asked = self.sqs("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]})).await;
        Queue { arn: asked["Attributes"]["QueueArn"].as_str().expect("a queue has an ARN").to_owned(), url }
    }

    /// Puts a message into a queue.
    ///
    /// # Panics
    /// When moto refuses it; with what it said.
    pub async fn send(&self, queue: &Queue, body: &str) {
        self.sqs("SendMessage", &json!({"QueueUrl": queue.url, "MessageBody": body})).await;
    }

    /// How many messages a queue has: those that can be received, and those that somebody holds.
    ///
    /// # Panics
    /// When moto refuses; with what it said.
    pub async fn messages(&self, queue: &Queue) -> (u64, u64) {
        let asked = self.sqs("GetQueueAttributes", &json!({"QueueUrl": queue.url, "AttributeNames": ["All"]})).await;
        let number = |name: &str| asked["Attributes"][name].as_str().and_then(|n| n.parse().ok()).expect("a queue counts its messages");
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }

    async fn call(&self, (service, region): (&str, &str), (content, target): (&str, &str), input: &Value) -> Value {
        // moto reads region and service out of it, and checks no signature
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0", KEYS.0);
        let headers = [("authorization", authorization.as_str()), ("x-amz-target", target), ("content-type", content)];
        let address = format!("127.0.0.1:{}", self.port);
        let answer = http::send(&address, Method::POST, "/", &headers, input.to_string().into()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{target}: {error}"));
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{target} {input}: {said}");
        if said.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{target}: {error}: {said}"))
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
