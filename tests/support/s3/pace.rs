//! Slowness on purpose: a bandwidth that all connections of a server share, and a latency per request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Bytes per second and latency, changeable while the server runs; clones share the setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    latency: Duration,
    bytes_per_s: Option<u64>,
    /// When the line is free again.
    free: Option<Instant>,
}

impl Pace {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_latency(&self, latency: Duration) {
        self.with(|state| state.latency = latency);
    }

    pub fn set_bandwidth(&self, bytes_per_s: Option<u64>) {
        self.with(|state| (state.bytes_per_s, state.free) = (bytes_per_s.filter(|rate| *rate > 0), None));
    }

    pub fn limited(&self) -> bool {
        self.with(|state| state.bytes_per_s.is_some())
    }

    /// Waits for the latency.
    pub async fn delay(&self) {
        let latency = self.with(|state| state.latency);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }

    /// Waits until `bytes` may pass.
    pub async fn take(&self, bytes: usize) {
        let until = self.with(|state| {
            let rate = state.bytes_per_s?;
            let start = state.free.unwrap_or_else(Instant::now).max(Instant::now());
            let end = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
            state.free = Some(end);
            Some(end)
        });
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_share_one_line() {
        let pace = Pace::default();
        let begin = Instant::now();
        pace.take(1 << 40).await;
        assert!(begin.elapsed() < Duration::from_secs(60), "without a limit nothing waits");
        pace.set_bandwidth(Some(10_000));
        futures::future::join(pace.take(1_500), pace.take(500)).await;
        assert!(begin.elapsed() >= Duration::from_millis(200));
    }
}
