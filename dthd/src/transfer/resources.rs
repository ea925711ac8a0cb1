//! What all runs share: the configuration in force, the memory budget, the bandwidth.

use std::sync::Arc;

use tokio::sync::watch;

use super::{bandwidth::Bandwidth, budget::Budget};
use crate::config::Config;

/// See the module.
pub struct Resources {
    config: watch::Sender<Arc<Config>>,
    /// Bytes of object data in flight.
    pub budget: Budget,
    /// Bytes per second of all tasks together.
    pub bandwidth: Bandwidth,
}

impl Resources {
    /// The resources that a configuration grants.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(config.limits.memory.0),
            bandwidth: Bandwidth::new(config.limits.bandwidth.map(|rate| rate.0)),
            config: watch::Sender::new(Arc::new(config)),
        })
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Puts another configuration in force (bandwidth at once, the rest for what begins from now on).
    pub fn reconfigure(&self, config: Config) {
        self.bandwidth.set_rate(config.limits.bandwidth.map(|rate| rate.0));
        self.config.send_replace(Arc::new(config));
    }
}
