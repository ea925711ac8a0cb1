//! The SQS queue of a task: receive, hold, delete, and what it says of itself. Nothing else knows the SDK's types.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dth_proto::{failure::FailureClass, spec::EventQueue, time::Timestamp};

use crate::{
    aws::{failure::unanswered, is_endpoint, shared},
    credential::{CredentialError, Credentials},
    http::TlsError,
};

/// How long SQS waits for a message, and how much later an answer is given up. SQS would wait for 20 s; but a request that is given up while it
/// waits may take a message with it until that is visible again, so all are waited for, also by a pause.
const LONG_POLL: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(10);
/// All other requests.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most messages in one request (SQS API reference).
pub(super) const BATCH: usize = 10;
/// Retention of a queue that does not say (SQS: four days).
const RETENTION: Duration = Duration::from_hours(96);

/// Why a queue cannot be used, or a request to it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Its URL is none.
    #[error("trigger.events.queue: {0:?} is not the URL of a queue: write it like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")]
    Url(String),
    /// What it is signed with is not there.
    #[error("trigger.events.credential: {0}")]
    Credential(#[from] CredentialError),
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error(transparent)]
    CaBundle(#[from] TlsError),
    /// A request failed.
    #[error("{operation}: {code}: {message}")]
    Request {
        /// `ReceiveMessage`, …
        operation: &'static str,
        /// Whether asking again may help, and what else may.
        class: FailureClass,
        /// Of SQS, or ours in its style.
        code: String,
        /// Of SQS, or ours.
        message: String,
    },
}

impl QueueError {
    /// The way out, where it is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let Self::Request { operation, class, code, .. } = self else { return None };
        match (class, code.as_str()) {
            (_, "AWS.SimpleQueueService.NonExistentQueue" | "QueueDoesNotExist") => {
                Some("check account, region and name in the URL of the queue".to_owned())
            }
            (FailureClass::Auth, "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException") => {
                Some("the credential does not belong to this queue's partition, or is wrong: correct trigger.events.credential".to_owned())
            }
            (FailureClass::Auth, _) => Some(format!("allow sqs:{operation} on the queue for this credential")),
            (FailureClass::Transient, _) => Some("check the URL of the queue, and the network between the daemon and SQS".to_owned()),
            _ => None,
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The same however often it is received.
    pub id: String,
    /// By which it is deleted or held longer.
    pub handle: String,
    /// Its text.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent.
    pub sent: Timestamp,
}

/// What a queue says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its ARN.
    pub arn: String,
    /// Its policy, as JSON; `None`: it has none.
    pub policy: Option<String>,
    /// How long it keeps messages.
    pub retention: Duration,
    /// After how many receives a message goes to the dead-letter queue; `None`: there is none.
    pub redrive: Option<u32>,
    /// Messages that can be received, about.
    pub waiting: u64,
    /// First in, first out: S3 does not send to such a queue.
    pub fifo: bool,
    /// Encrypted with a key of KMS, whose policy must let S3 use it as well.
    pub kms_key: Option<String>,
}

/// A task's queue. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
    place: Arc<str>,
    credential: Arc<str>,
}

impl Queue {
    /// Prepares requests; sends none. `source_region`: of the task's source.
    ///
    /// # Errors
    /// When the URL, the credential or the certificates are no use.
    pub async fn open(spec: &EventQueue, source_region: Option<&str>, credentials: &Credentials) -> Result<Self, QueueError> {
        let place = Place::of(&spec.queue).ok_or_else(|| QueueError::Url(spec.queue.clone()))?;
        let credential = credentials.resolve(spec.credential.as_deref()).await?;
        let region = spec.region.as_deref().or(place.region.as_deref()).or(source_region);
        let shared = shared(region, &credential).await?;
        let mut config = aws_sdk_sqs::config::Builder::from(&shared);
        if shared.region().is_none() {
            config = config.region(aws_config::Region::from_static("us-east-1"));
        }
        if let Some(endpoint) = &place.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            url: spec.queue.as_str().into(),
            place: place.host.into(),
            credential: credential.describe().into(),
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Up to ten messages, invisible for others for `hold`; waits up to 3 s for the first.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn receive(&self, hold: Duration) -> Result<Vec<Received>, QueueError> {
        const OPERATION: &str = "ReceiveMessage";
        let request = self
            .client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(BATCH as i32)
            .wait_time_seconds(seconds(LONG_POLL))
            .visibility_timeout(seconds(hold))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let output = self.answer(OPERATION, LONG_POLL + GRACE, request.send()).await?;
        let now = crate::clock::now();
        let message = |message: aws_sdk_sqs::types::Message| {
            let number = |name: MessageSystemAttributeName| message.attributes.as_ref()?.get(&name)?.parse::<u64>().ok();
            let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
            let sent = number(MessageSystemAttributeName::SentTimestamp).map_or(now, Timestamp);
            Some(Received {
                id: message.message_id?,
                handle: message.receipt_handle?,
                body: message.body.unwrap_or_default(),
                receives: u32::try_from(receives).unwrap_or(u32::MAX),
                sent,
            })
        };
        Ok(output.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    /// Deletes messages by their handles; gives back those that the queue did not delete.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses; then some may be deleted.
    pub async fn delete(&self, handles: &[String]) -> Result<usize, QueueError> {
        const OPERATION: &str = "DeleteMessage";
        let mut left = 0;
        for batch in handles.chunks(BATCH) {
            let mut request = self.client.delete_message_batch().queue_url(&*self.url);
            for (n, handle) in batch.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle).build();
                request = request.entries(entry.map_err(|e| bad(OPERATION, &e))?);
            }
            left += self.answer(OPERATION, TIMEOUT, request.send()).await?.failed.len();
        }
        Ok(left)
    }

    /// Holds messages for `hold` from now; zero gives them back.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses. Messages that are gone are no error.
    pub async fn hold(&self, handles: &[String], hold: Duration) -> Result<(), QueueError> {
        const OPERATION: &str = "ChangeMessageVisibility";
        for batch in handles.chunks(BATCH) {
            let mut request = self.client.change_message_visibility_batch().queue_url(&*self.url);
            for (n, handle) in batch.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(seconds(hold))
                    .build();
                request = request.entries(entry.map_err(|e| bad(OPERATION, &e))?);
            }
            self.answer(OPERATION, TIMEOUT, request.send()).await?;
        }
        Ok(())
    }

    /// What the queue says of itself.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn attributes(&self) -> Result<Attributes, QueueError> {
        let request = self.client.get_queue_attributes().queue_url(&*self.url).attribute_names(QueueAttributeName::All);
        let output = self.answer("GetQueueAttributes", TIMEOUT, request.send()).await?;
        Ok(attributes(&output.attributes.unwrap_or_default()))
    }

    /// Replaces the queue's policy.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn set_policy(&self, policy: &str) -> Result<(), QueueError> {
        let request = self.client.set_queue_attributes().queue_url(&*self.url).attributes(QueueAttributeName::Policy, policy);
        self.answer("SetQueueAttributes", TIMEOUT, request.send()).await.map(drop)
    }

    async fn answer<T, E>(
        &self,
        operation: &'static str,
        limit: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, QueueError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(operation, &error)),
            Err(_) => {
                let message = format!("{} does not answer in time", self.place);
                Err(QueueError::Request { operation, class: FailureClass::Transient, code: "RequestTimeout".to_owned(), message })
            }
        }
    }

    fn failed<E>(&self, operation: &'static str, error: &SdkError<E, HttpResponse>) -> QueueError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let Some(without) = unanswered(error, &self.place, &self.credential) {
            return QueueError::Request { operation, class: without.class, code: without.code.to_owned(), message: without.message };
        }
        let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
        let (code, message) = match error.as_service_error() {
            Some(answer) => (answer.code(), answer.message()),
            None => (None, None),
        };
        let code = code.map_or_else(|| format!("Status{status}"), |code| code.rsplit_once('#').map_or(code, |(_, name)| name).to_owned());
        let message = message.map_or_else(|| format!("{} answered with status {status}", self.place), str::to_owned);
        QueueError::Request { operation, class: classify(status, &code), code, message }
    }
}

fn bad(operation: &'static str, why: &dyn std::fmt::Display) -> QueueError {
    QueueError::Request { operation, class: FailureClass::Permanent, code: "BadRequest".to_owned(), message: why.to_string() }
}

fn classify(status: u16, code: &str) -> FailureClass {
    match code {
        _ if code.contains("Throttl") || code == "OverLimit" || status == 429 => FailureClass::Throttled,
        _ if code.contains("AccessDenied") || code.contains("Token") || code.contains("Signature") || matches!(status, 401 | 403) => {
            FailureClass::Auth
        }
        _ if status >= 500 => FailureClass::Transient,
        _ => FailureClass::Permanent,
    }
}

fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

fn attributes(all: &std::collections::HashMap<QueueAttributeName, String>) -> Attributes {
    let text = |name: QueueAttributeName| all.get(&name).filter(|text| !text.is_empty()).cloned();
    let number = |name: QueueAttributeName| text(name)?.parse::<u64>().ok();
    let redrive = text(QueueAttributeName::RedrivePolicy).and_then(|policy| {
        let policy: BTreeMap<String, serde_json::Value> = serde_json::from_str(&policy).ok()?;
        // a number, or the same as text
        let count = policy.get("maxReceiveCount")?;
        count.as_u64().or_else(|| count.as_str()?.parse().ok()).and_then(|count| u32::try_from(count).ok())
    });
    Attributes {
        arn: text(QueueAttributeName::QueueArn).unwrap_or_default(),
        policy: text(QueueAttributeName::Policy),
        retention: number(QueueAttributeName::MessageRetentionPeriod).map_or(RETENTION, Duration::from_secs),
        redrive,
        waiting: number(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or_default(),
        fifo: text(QueueAttributeName::FifoQueue).is_some_and(|fifo| fifo == "true"),
        kms_key: text(QueueAttributeName::KmsMasterKeyId),
    }
}

/// What a queue's URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    /// Of a host that is Amazon's.
    region: Option<String>,
    /// Of any other.
    endpoint: Option<String>,
}

impl Place {
    /// `None`: it is not a URL of a queue.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
        let (host, path) = rest.split_once('/')?;
        let endpoint = format!("{scheme}://{host}");
        if path.trim_matches('/').is_empty() || !is_endpoint(&endpoint) {
            return None;
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let amazon = [".amazonaws.com", ".amazonaws.com.cn"].iter().find_map(|suffix| name.strip_suffix(suffix));
        // sqs.REGION, or REGION.queue of long ago; a VPC endpoint (ID.sqs.REGION.vpce) must be asked where it is
        let region = amazon.and_then(|name| name.strip_prefix("sqs.").or_else(|| name.strip_suffix(".queue"))).filter(|r| !r.contains('.'));
        let is_elsewhere = region.is_none() || scheme == "http";
        Some(Self { host: host.to_owned(), region: region.map(str::to_owned), endpoint: is_elsewhere.then_some(endpoint) })
    }
}

/// Whether a text is the URL of a queue.
#[must_use]
pub fn is_queue_url(url: &str) -> bool {
    Place::of(url).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_to_ask() {
        for (url, region, endpoint) in [
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/events", Some("cn-north-1"), None),
            ("https://sqs.us-gov-west-1.amazonaws.com/111122223333/events", Some("us-gov-west-1"), None),
            ("https://us-east-1.queue.amazonaws.com/111122223333/events", Some("us-east-1"), None),
            (
                "https://vpce-1-abc.sqs.us-east-1.vpce.amazonaws.com/111122223333/events",
                None,
                Some("https://vpce-1-abc.sqs.us-east-1.vpce.amazonaws.com"),
            ),
            ("http://127.0.0.1:5000/123456789012/events", None, Some("http://127.0.0.1:5000")),
            ("https://message.example.com/queue", None, Some("https://message.example.com")),
        ] {
            let place = Place::of(url).expect(url);
            assert_eq!((place.region.as_deref(), place.endpoint.as_deref()), (region, endpoint), "{url}");
        }
        for bad in [
            "",
            "events",
            "arn:aws:sqs:us-east-1:1:events",
            "https://sqs.us-east-1.amazonaws.com",
            "https://host/",
            "ftp://h/q",
            "http://u@h/q",
        ] {
            assert_eq!(Place::of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn attributes_are_read() {
        use QueueAttributeName as Name;
        let all = [
            (Name::QueueArn, "arn:aws:sqs:us-east-1:1:q"),
            (Name::MessageRetentionPeriod, "1209600"),
            (Name::RedrivePolicy, r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dead","maxReceiveCount":"7"}"#),
            (Name::ApproximateNumberOfMessages, "12"),
            (Name::Policy, ""),
        ];
        let found = attributes(&all.map(|(name, value)| (name, value.to_owned())).into());
        assert_eq!((found.redrive, found.retention, found.waiting, found.policy), (Some(7), Duration::from_hours(336), 12, None));
        assert_eq!(attributes(&Default::default()).retention, RETENTION);
    }

    #[test]
    fn refusals_are_classified_with_a_way_out() {
        use FailureClass::{Auth, Permanent, Throttled, Transient};
        for (status, code, class, hint) in [
            (400, "AWS.SimpleQueueService.NonExistentQueue", Permanent, Some("name in the URL")),
            (403, "AccessDenied", Auth, Some("allow sqs:ReceiveMessage")),
            (403, "InvalidClientTokenId", Auth, Some("partition")),
            (400, "ThrottlingException", Throttled, None),
            (503, "ServiceUnavailable", Transient, Some("network")),
        ] {
            assert_eq!(classify(status, code), class, "{code}");
            let error = QueueError::Request { operation: "ReceiveMessage", class, code: code.to_owned(), message: String::new() };
            let said = error.hint();
            assert_eq!(said.is_some(), hint.is_some(), "{code}: {said:?}");
            assert!(hint.is_none_or(|part| said.is_some_and(|said| said.contains(part))), "{code}");
        }
    }
}
