//! Waiting for a condition, which is what tests do instead of sleeping.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long to rest between two looks.
const REST: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives something, and answers with it.
///
/// # Panics
/// After `timeout`, naming `what`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, timeout: Duration, mut look: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begin.elapsed() < timeout, "{what}: not within {timeout:?}");
        tokio::time::sleep(REST).await;
    }
}
