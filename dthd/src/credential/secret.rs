//! Keys for AWS out of a secret of AWS Secrets Manager.

use std::{sync::Arc, time::Duration};

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{
    Credential, SecretSpec, file,
    refusal::{is_expired, is_refused},
};
use crate::{
    aws::{failure::unanswered, shared},
    http::TlsError,
};

/// A secret is read again after this long: every request for one costs money, and what a rotation makes invalid is refused and then read
/// again at once.
pub(super) const KEEP: Duration = Duration::from_hours(1);
/// How often it is asked for at most, where asking again may help.
const ATTEMPTS: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a secret gives no keys. Never quotes what is in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    /// No such secret, or none in this region and account.
    #[error(
        "secret {secret}: there is none in {region} in the account of {reader}: correct secret, region or credential in dthd.toml, or create it"
    )]
    NotFound {
        /// Its name or ARN.
        secret: String,
        /// Where it was looked for.
        region: String,
        /// Who looked.
        reader: String,
    },
    /// Who asks may not read it.
    #[error(
        "secret {secret}: {reader} may not read it ({code}): allow secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if that \
         is one of yours"
    )]
    Denied {
        /// Its name or ARN.
        secret: String,
        /// Who asked.
        reader: String,
        /// Of Secrets Manager.
        code: String,
    },
    /// Secrets Manager does not know who asks.
    #[error("secret {secret}: Secrets Manager in {region} does not take the keys of {reader} ({code}): correct that credential")]
    Stranger {
        /// Its name or ARN.
        secret: String,
        /// Where it was looked for.
        region: String,
        /// Who asked.
        reader: String,
        /// Of Secrets Manager.
        code: String,
    },
    /// It holds no keys.
    #[error(
        "secret {secret}: {}: store {{\"access_key_id\": \"…\", \"secret_access_key\": \"…\"}} in it",
        problems.join("; ")
    )]
    Content {
        /// Its name or ARN.
        secret: String,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// Any other refusal.
    #[error("secret {secret}: Secrets Manager in {region} refused: {code}: {message}")]
    Refused {
        /// Its name or ARN.
        secret: String,
        /// Where it was looked for.
        region: String,
        /// Of Secrets Manager.
        code: String,
        /// Of Secrets Manager.
        message: String,
    },
    /// No answer.
    #[error("secret {secret}: {message}")]
    Unanswered {
        /// Its name or ARN.
        secret: String,
        /// Why, with the way out where it is known.
        message: String,
    },
    /// The certificates of `AWS_CA_BUNDLE` are no use.
    #[error("secret {secret}: {error}")]
    Certificates {
        /// Its name or ARN.
        secret: String,
        /// Why.
        error: Arc<TlsError>,
    },
}

/// Reads a secret with another credential, again each time it is asked.
#[derive(Clone, Debug)]
pub(super) struct SecretProvider {
    spec: SecretSpec,
    reader: Credential,
}

impl SecretProvider {
    pub(super) fn new(spec: SecretSpec, reader: Credential) -> Self {
        Self { spec, reader }
    }

    async fn read(&self) -> Result<Credentials, SecretError> {
        let SecretSpec { secret, region, endpoint, .. } = &self.spec;
        let certificates = |error| SecretError::Certificates { secret: secret.clone(), error: Arc::new(error) };
        let shared = shared(Some(region), &self.reader).await.map_err(certificates)?;
        let mut config = aws_sdk_secretsmanager::config::Builder::from(&shared)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(TIMEOUT / 4).operation_timeout(TIMEOUT).build());
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let asked = Client::from_conf(config.build()).get_secret_value().secret_id(secret).send().await;
        let answer = asked.map_err(|error| self.failed(&error))?;
        let content = |problems| SecretError::Content { secret: secret.clone(), problems };
        let text = answer.secret_string().ok_or_else(|| content(vec!["holds bytes and no text".to_owned()]))?;
        file::parse(text, "secret").map_err(content)
    }

    fn failed(&self, error: &SdkError<GetSecretValueError, HttpResponse>) -> SecretError {
        let SecretSpec { secret, region, endpoint, .. } = self.spec.clone();
        let reader = self.reader.describe().to_owned();
        let place = endpoint.unwrap_or_else(|| format!("Secrets Manager in {region}"));
        if let Some(without) = unanswered(error, &place, &reader) {
            return SecretError::Unanswered { secret, message: without.message };
        }
        let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
        let answer = error.as_service_error();
        let code = answer.and_then(ProvideErrorMetadata::code).map_or_else(|| format!("Status{status}"), str::to_owned);
        let message = answer.and_then(ProvideErrorMetadata::message).unwrap_or("without a message").to_owned();
        match code.as_str() {
            "ResourceNotFoundException" => SecretError::NotFound { secret, region, reader },
            _ if is_refused(&code) || is_expired(&code) || code.contains("IncompleteSignature") => {
                SecretError::Stranger { secret, region, reader, code }
            }
            _ if code.starts_with("AccessDenied") || matches!(status, 401 | 403) => SecretError::Denied { secret, reader, code },
            _ => SecretError::Refused { secret, region, code, message },
        }
    }
}

impl ProvideCredentials for SecretProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.read().await.map_err(|error| match error {
                SecretError::Unanswered { .. } => CredentialsError::provider_error(error),
                SecretError::Refused { ref code, .. } if code.contains("Throttl") || code.contains("Internal") => {
                    CredentialsError::provider_error(error)
                }
                // whose keys are not taken may have been given others
                SecretError::Stranger { .. } => {
                    self.reader.refresh();
                    CredentialsError::provider_error(error)
                }
                _ => CredentialsError::invalid_configuration(error),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::credential::{CredentialError, CredentialSpec, resolve};

    fn spec(credential: Option<&str>) -> CredentialSpec {
        let credential = credential.map(str::to_owned);
        CredentialSpec::Secret(SecretSpec { secret: "dth/keys".to_owned(), region: "us-east-1".to_owned(), endpoint: None, credential })
    }

    #[test]
    fn the_form_of_the_hub_is_read_and_nothing_quoted() {
        let read = file::parse(r#"{"access_key_id": "AK", "secret_access_key": "SK"}"#, "secret").expect("good");
        assert_eq!((read.access_key_id(), read.secret_access_key(), read.session_token()), ("AK", "SK", None));
        assert!(!format!("{read:?}").contains("SK"));
        for (text, words) in [
            ("HIDDEN", "is not JSON: line 1"),
            (r#""HIDDEN""#, "is not a JSON object with access_key_id, secret_access_key"),
            (r#"{"secret_access_key": "HIDDEN"}"#, "access_key_id is missing"),
            (r#"{"access_key_id": "HIDDEN", "secret_access_key": ""}"#, "secret_access_key is not a text, or empty"),
        ] {
            let problems = file::parse(text, "secret").expect_err(text);
            let error = SecretError::Content { secret: "dth/keys".to_owned(), problems }.to_string();
            assert!(
                error.starts_with("secret dth/keys: ") && error.contains(words) && error.contains("store {\"access_key_id\""),
                "{error}"
            );
            assert!(!error.contains("HIDDEN"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_with_no_other_secret() {
        let specs = BTreeMap::from([("one".to_owned(), spec(Some("two"))), ("two".to_owned(), spec(None))]);
        let error = resolve(Some("one"), &specs).await.expect_err("two secrets");
        assert_eq!(error, CredentialError::ReadWithSecret { name: "one".to_owned(), reader: "two".to_owned() });
        assert_eq!(resolve(Some("two"), &specs).await.expect("the default chain reads it").describe(), "secret dth/keys");
    }
}
