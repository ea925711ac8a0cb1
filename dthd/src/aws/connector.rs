//! The HTTP client under the SDKs: TLS roots, proxies from the environment, idle connections closed before the store does it.

use std::time::Duration;

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::http::TlsError;

/// AWS (S3 first) closes connections that were idle for about 20 s; a request sent into that moment is lost.
const IDLE: Duration = Duration::from_secs(12);

/// A client with connections of its own. Honours `AWS_CA_BUNDLE` (added to the system's roots) and the proxy variables.
///
/// # Errors
/// When `AWS_CA_BUNDLE` names a file that cannot be read.
pub(super) fn client() -> Result<SharedHttpClient, TlsError> {
    let mut trust = TrustStore::default();
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|p| !p.is_empty()) {
        let pem = std::fs::read(&path).map_err(|e| TlsError { path: path.into(), why: e.to_string() })?;
        trust = trust.with_pem_certificate(pem);
    }
    let tls =
        TlsContext::builder().with_trust_store(trust).build().map_err(|e| TlsError { path: "certificates".into(), why: e.to_string() })?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(ProxyConfig::from_env())
            .enable_tcp_nodelay(true)
            .pool_idle_timeout(IDLE);
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    }))
}
