//! What all runs share: the configuration in force, the memory budget, the bandwidth.

use std::sync::Arc;

use tokio::sync::watch;

use super::{bandwidth::Bandwidth, budget::Budget, window::Windows};
use crate::{
    config::Config,
    credential::{Credential, CredentialError, Credentials},
    image::shared::Shared,
};

/// See the module.
pub struct Resources {
    config: watch::Sender<Arc<Config>>,
    credentials: watch::Sender<Arc<Credentials>>,
    /// Bytes of object data in flight.
    pub budget: Budget,
    /// Bytes per second of all tasks together.
    pub bandwidth: Bandwidth,
    /// Requests in flight, by endpoint and kind.
    pub windows: Windows,
    /// What image tasks know of registries.
    pub images: Shared,
}

impl Resources {
    /// The resources that a configuration grants.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(config.limits.memory.0),
            bandwidth: Bandwidth::new(config.limits.bandwidth.clone(), config.limits.zone()),
            windows: Windows::default(),
            images: Shared::default(),
            credentials: watch::Sender::new(Arc::new(Credentials::new(config.credentials.clone()))),
            config: watch::Sender::new(Arc::new(config)),
        })
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// The named credentials in force.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.borrow())
    }

    /// The credential of a name; without a name, the SDK's default chain.
    ///
    /// # Errors
    /// When there is no such name.
    pub async fn credential(&self, name: Option<&str>) -> Result<Credential, CredentialError> {
        self.credentials().resolve(name).await
    }

    /// Puts another configuration in force (bandwidth and memory at once, the rest for what begins from now on).
    pub fn reconfigure(&self, config: Config) {
        self.bandwidth.set(config.limits.bandwidth.clone(), config.limits.zone());
        self.budget.set_limit(config.limits.memory.0);
        self.credentials.send_if_modified(|credentials| {
            let changed = self.config.borrow().credentials != config.credentials;
            if changed {
                *credentials = Arc::new(Credentials::new(config.credentials.clone()));
            }
            changed
        });
        self.config.send_replace(Arc::new(config));
    }
}
