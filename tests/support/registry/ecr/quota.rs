//! A limit of requests per second, as ECR counts them: a bucket that fills steadily.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A bucket with as many tokens as come in a second.
#[derive(Debug)]
pub(crate) struct Quota {
    per_s: Option<f64>,
    bucket: Mutex<(f64, Instant)>,
}

impl Quota {
    /// A full bucket; without a rate there is no limit.
    pub fn new(per_s: Option<u32>) -> Self {
        let per_s = per_s.map(f64::from);
        Self { per_s, bucket: Mutex::new((per_s.unwrap_or_default(), Instant::now())) }
    }

    /// Takes a token, if there is one.
    pub fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let Some(per_s) = self.per_s else { return true };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *bucket;
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * per_s).min(per_s);
        let granted = left >= 1.0;
        *bucket = (if granted { left - 1.0 } else { left }, now);
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_fills_at_its_rate() {
        let quota = Quota::new(Some(10));
        let begin = Instant::now() + Duration::from_secs(1);
        let at = |ms| quota.take_at(begin + Duration::from_millis(ms));
        assert_eq!((0..12).filter(|_| at(0)).count(), 10);
        assert!(!at(90) && at(101) && !at(150));
        assert_eq!((0..20).filter(|_| at(9_000)).count(), 10, "no more than a second's worth is kept");
        assert!(Quota::new(None).take());
    }
}
