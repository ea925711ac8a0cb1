//! The configuration that clients of AWS services begin with.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, identity::IdentityCache, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};

use super::connector;
use crate::{credential::Credential, http::TlsError};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// The SDK's environment and profiles where nothing else is said, and our own rules for requests: no repetitions by the SDK (the engines have
/// theirs), no cache of identities (credentials keep their own). A `region` goes before all others. Sends no request of its own.
///
/// # Errors
/// When `AWS_CA_BUNDLE` is no use.
pub(crate) async fn shared(region: Option<&str>, credential: &Credential) -> Result<SdkConfig, TlsError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(connector::client()?)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .identity_cache(IdentityCache::no_cache());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = credential.profile() {
        loader = loader.profile_name(profile);
    }
    loader = match credential.provider() {
        Some(provider) => loader.credentials_provider(provider),
        None => loader.no_credentials(),
    };
    Ok(loader.load().await)
}
