//! The CloudWatch client and the one request it sends.

use std::{error::Error, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};

use super::{ledger::Batch, publisher::Sink};
use crate::{clock, config};

/// One request, its retry included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Small: what fails is sent again at the next interval anyway, and a repeated request may count twice.
const ATTEMPTS: u32 = 2;

/// A request was not answered with success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PutError {
    /// CloudWatch answered and did not take it; other requests may still pass.
    #[error("PutMetricData refused: {0}")]
    Refused(String),
    /// No answer: other requests would fare no better now.
    #[error("PutMetricData: {0}")]
    Unreachable(String),
}

/// Makes a client. Region and endpoint come from `config`, else from the SDK's own environment and profile; credentials from
/// `credentials`, else from the SDK's chain.
pub async fn client(config: &config::CloudWatch, credentials: Option<SharedCredentialsProvider>) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().connect_timeout(TIMEOUT / 2).operation_timeout(TIMEOUT).build());
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    Client::new(&loader.load().await)
}

/// A client with its namespace.
#[derive(Clone, Debug)]
pub(super) struct CloudWatchSink {
    pub(super) client: Client,
    pub(super) namespace: String,
}

impl Sink for CloudWatchSink {
    async fn put(&self, batch: &Batch) -> Result<(), PutError> {
        let now = clock::now();
        let data = batch.data().iter().map(|datum| datum.to_sdk(now)).collect();
        let sent = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(data)).send().await;
        sent.map(|_| ()).map_err(|error| match &error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16().to_string();
                let error = context.err();
                PutError::Refused(format!("{}: {}", error.code().unwrap_or(&status), error.message().unwrap_or("no message")))
            }
            _ => PutError::Unreachable(chain(&error)),
        })
    }
}

/// An error with what caused it: the SDK's own text is only "dispatch failure".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
