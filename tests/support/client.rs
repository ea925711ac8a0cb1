//! S3 clients for tests: aws-sdk-s3 without retries, without the environment, and without its own checksums.

use std::path::Path;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

/// A path-style client of `endpoint` with these keys; `None`: anonymous.
#[must_use]
pub fn s3(endpoint: &str, keys: Option<(&str, &str)>) -> Client {
    Client::from_conf(config(endpoint, keys).build())
}

/// The same for a server with a certificate of the authority in the file `ca` (PEM).
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn trusting(endpoint: &str, keys: (&str, &str), ca: &Path) -> Client {
    let pem = std::fs::read(ca).expect("the authority's file can be read");
    let trust = TrustStore::empty().with_pem_certificate(pem);
    let tls = TlsContext::builder().with_trust_store(trust).build().expect("the authority's file holds a certificate");
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls).build_https();
    Client::from_conf(config(endpoint, Some(keys)).http_client(http).build())
}

fn config(endpoint: &str, keys: Option<(&str, &str)>) -> Builder {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(std::time::Duration::from_mins(1)).build());
    match keys {
        Some((id, secret)) => config.credentials_provider(Credentials::from_keys(id, secret, None)),
        None => config.allow_no_auth(),
    }
}
