//! Credentials from environment variables with a prefix.

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};

/// Reads `{prefix}AWS_ACCESS_KEY_ID`, `{prefix}AWS_SECRET_ACCESS_KEY` and, if set, `{prefix}AWS_SESSION_TOKEN`.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    prefix: String,
}

impl Environment {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn read(&self, get: impl Fn(&str) -> Option<String>) -> Result<Credentials, String> {
        let name = |suffix: &str| format!("{}AWS_{suffix}", self.prefix);
        let value = |suffix: &str| get(&name(suffix)).filter(|v| !v.is_empty());
        let (id, secret) = (value("ACCESS_KEY_ID"), value("SECRET_ACCESS_KEY"));
        let missing: Vec<String> = [("ACCESS_KEY_ID", id.is_none()), ("SECRET_ACCESS_KEY", secret.is_none())]
            .into_iter()
            .filter(|(_, missing)| *missing)
            .map(|(suffix, _)| name(suffix))
            .collect();
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Credentials::new(id, secret, value("SESSION_TOKEN"), None, "environment")),
            _ => Err(format!("the daemon's environment has no {}", missing.join(" and no "))),
        }
    }
}

impl ProvideCredentials for Environment {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.read(|name| std::env::var(name).ok()).map_err(CredentialsError::not_loaded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named() {
        let source = Environment::new("CN_");
        let error = source.read(|_| None).expect_err("nothing set");
        assert_eq!(error, "the daemon's environment has no CN_AWS_ACCESS_KEY_ID and no CN_AWS_SECRET_ACCESS_KEY");
        let error = source.read(|n| (n == "CN_AWS_ACCESS_KEY_ID").then(|| "id".to_owned())).expect_err("half set");
        assert_eq!(error, "the daemon's environment has no CN_AWS_SECRET_ACCESS_KEY");
        let all = source.read(|n| Some(n.to_lowercase())).expect("set");
        assert_eq!((all.access_key_id(), all.session_token()), ("cn_aws_access_key_id", Some("cn_aws_session_token")));
    }
}
