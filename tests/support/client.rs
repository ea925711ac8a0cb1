//! S3 clients for tests: aws-sdk-s3 without retries, without the environment, and without its own checksums.

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};

/// A path-style client of `endpoint` with these keys; `None`: anonymous.
#[must_use]
pub fn s3(endpoint: &str, keys: Option<(&str, &str)>) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(std::time::Duration::from_mins(1)).build());
    let config = match keys {
        Some((id, secret)) => config.credentials_provider(Credentials::from_keys(id, secret, None)),
        None => config.allow_no_auth(),
    };
    Client::from_conf(config.build())
}
