//! Whether and when a failed request is tried again: exponential back-off with full jitter, by class of failure.

use std::time::Duration;

use super::TransferError;

/// How often and how patiently requests are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all, the first one included.
    pub attempts: u32,
    /// Upper bound of the wait before the second request; doubles with each request.
    pub base: Duration,
    /// Upper bound of any wait of ours.
    pub cap: Duration,
    /// Upper bound of a wait the store asks for (`Retry-After`); longer ones are cut to this.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    /// Five seconds in all. The first waits are short, because the load is kept down by the windows: a wait need not do it again.
    fn default() -> Self {
        Self { attempts: 10, base: Duration::from_millis(10), cap: Duration::from_secs(20), patience: Duration::from_secs(120) }
    }
}

impl RetryPolicy {
    /// One request, no second.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How long to wait before the next request; `None`: give up. `attempt` requests have failed so far, the last one with
    /// `error`; `jitter` is uniform in 0..1. Only throttled and transient failures are tried again. A throttled request
    /// waits at least half of its bound, because a store that asks for less load must not see the same load at once.
    #[must_use]
    pub fn next_wait(&self, attempt: u32, error: &TransferError, jitter: f64) -> Option<Duration> {
        if !error.is_retryable() || attempt >= self.attempts {
            return None;
        }
        let bound = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(self.cap);
        let jitter = jitter.clamp(0.0, 1.0);
        let share = if error.class == dth_proto::failure::FailureClass::Throttled { 0.5 + jitter / 2.0 } else { jitter };
        let own = bound.mul_f64(share);
        Some(error.retry_after.map_or(own, |asked| own.max(asked.min(self.patience))))
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::failure::{FailureClass, Side};
    use proptest::prelude::*;

    use super::*;

    fn failed(class: FailureClass, retry_after: Option<u64>) -> TransferError {
        let mut error = TransferError::new(class, Side::Source, "GetObject", "X", "x");
        error.retry_after = retry_after.map(Duration::from_secs);
        error
    }

    #[test]
    fn waits_by_class() {
        let policy = RetryPolicy::default();
        let ms = Duration::from_millis;
        for (class, attempt, jitter, asked, expected) in [
            (FailureClass::Transient, 1, 1.0, None, Some(ms(10))),
            (FailureClass::Transient, 1, 0.0, None, Some(ms(0))),
            (FailureClass::Transient, 3, 0.5, None, Some(ms(20))),
            (FailureClass::Throttled, 3, 0.0, None, Some(ms(20))),
            (FailureClass::Throttled, 1, 0.0, Some(7), Some(ms(7000))),
            (FailureClass::Throttled, 1, 0.0, Some(86_400), Some(ms(120_000))),
            (FailureClass::Transient, 9, 1.0, None, Some(ms(2560))),
            (FailureClass::Transient, 10, 1.0, None, None),
            (FailureClass::Auth, 1, 0.0, None, None),
            (FailureClass::Changed, 1, 0.0, None, None),
            (FailureClass::Permanent, 1, 0.0, Some(1), None),
        ] {
            assert_eq!(policy.next_wait(attempt, &failed(class, asked), jitter), expected, "{class} {attempt} {jitter}");
        }
        assert_eq!(RetryPolicy::never().next_wait(1, &failed(FailureClass::Transient, None), 0.0), None);
    }

    proptest! {
        #[test]
        fn a_wait_of_ours_is_never_longer_than_the_cap(attempt in 1_u32..200, jitter in 0.0_f64..1.0) {
            let policy = RetryPolicy { attempts: 1000, ..RetryPolicy::default() };
            let wait = policy.next_wait(attempt, &failed(FailureClass::Transient, None), jitter).expect("retryable");
            prop_assert!(wait <= policy.cap);
        }
    }
}
