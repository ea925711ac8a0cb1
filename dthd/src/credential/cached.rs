//! Keeps what a credential source gave until shortly before it expires, or until it is told to forget.

use std::{fmt, time::Duration};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use tokio::{sync::Mutex, time::Instant};

use crate::clock;

/// Loaded again this long before the end, as the SDK does it, so that no request is signed with what expires on its way.
const MARGIN: Duration = Duration::from_secs(60);
/// Credentials without an end are usually looked up again after this long: files are rewritten when keys are rotated.
pub(super) const KEEP: Duration = Duration::from_secs(300);
/// Keys that a store refuses are looked up again, but not sooner than this after they were found to be the same.
const PAUSE: Duration = Duration::from_secs(5);

/// One identity, loaded at most once at a time.
pub(super) struct Cached {
    source: SharedCredentialsProvider,
    keep: Duration,
    loaded: Mutex<Option<Loaded>>,
    forget: std::sync::atomic::AtomicBool,
}

struct Loaded {
    credentials: Credentials,
    at: Instant,
    until: Instant,
    /// Since when they are other than before; `None`: they are the first.
    changed: Option<Instant>,
    /// When they were refused and found to be the same.
    vain: Option<Instant>,
}

impl Loaded {
    fn renewed(&self, since: Instant) -> bool {
        self.changed.is_some_and(|at| at >= since)
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl Cached {
    /// Credentials without an end are looked up again after `keep`.
    pub(super) fn new(source: SharedCredentialsProvider, keep: Duration) -> Self {
        Self { source, keep, loaded: Mutex::new(None), forget: false.into() }
    }

    /// The next [`Cached::load`] asks the source.
    pub(super) fn forget(&self) {
        self.forget.store(true, std::sync::atomic::Ordering::Release);
    }

    pub(super) async fn load(&self) -> Result<Credentials, CredentialsError> {
        let mut loaded = self.loaded.lock().await;
        let forget = self.forget.swap(false, std::sync::atomic::Ordering::AcqRel);
        if let Some(kept) = loaded.as_ref().filter(|l| !forget && Instant::now() < l.until) {
            return Ok(kept.credentials.clone());
        }
        // boxed: it is seldom done, and every request would be larger by it
        let asked = Box::pin(self.ask(&mut loaded)).await;
        match (asked, loaded.as_mut()) {
            // what has no end is not worth less because its source does not answer just now
            (Err(error @ CredentialsError::ProviderError(_)), Some(kept)) if !forget && kept.credentials.expiry().is_none() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "credentials cannot be loaded again, the ones before stay");
                kept.until = Instant::now() + MARGIN;
                Ok(kept.credentials.clone())
            }
            (asked, _) => asked,
        }
    }

    /// Asks the source again because a request that was sent at `since` or later was refused for its keys; whether they are others now.
    /// What has been loaded since then is not loaded again.
    pub(super) async fn renew(&self, since: Instant) -> bool {
        let mut loaded = self.loaded.lock().await;
        let Some(kept) = loaded.as_ref() else { return false };
        if kept.at >= since || kept.vain.is_some_and(|at| at.elapsed() < PAUSE) {
            return kept.renewed(since);
        }
        let asked = Box::pin(self.ask(&mut loaded)).await;
        let Some(kept) = loaded.as_mut() else { return false };
        let renewed = asked.is_ok() && kept.renewed(since);
        kept.vain = (!renewed).then(Instant::now);
        renewed
    }

    async fn ask(&self, loaded: &mut Option<Loaded>) -> Result<Credentials, CredentialsError> {
        let credentials = self.source.provide_credentials().await?;
        let keep = credentials.expiry().map_or(self.keep, |end| {
            let left = end.duration_since(clock::now().to_system()).unwrap_or_default();
            left.saturating_sub(MARGIN)
        });
        let at = Instant::now();
        let changed = loaded.as_ref().and_then(|before| if before.credentials == credentials { before.changed } else { Some(at) });
        *loaded = Some(Loaded { credentials: credentials.clone(), at, until: at + keep, changed, vain: None });
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use aws_credential_types::provider::future;

    use super::*;

    #[derive(Clone, Debug)]
    struct Counted(Arc<AtomicU32>, Option<Duration>);

    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            let end = self.1.map(|left| clock::now().plus(left).to_system());
            future::ProvideCredentials::ready(Ok(Credentials::new(format!("key{n}"), "s", None, end, "test")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn loaded_again_before_the_end_and_when_told() {
        let calls = Arc::new(AtomicU32::new(0));
        let cached = Cached::new(SharedCredentialsProvider::new(Counted(Arc::clone(&calls), None)), KEEP);
        let key = |c: Result<Credentials, CredentialsError>| c.expect("loads").access_key_id().to_owned();
        assert_eq!(key(cached.load().await), "key0");
        assert_eq!(key(cached.load().await), "key0");
        tokio::time::advance(KEEP).await;
        assert_eq!(key(cached.load().await), "key1");
        cached.forget();
        assert_eq!(key(cached.load().await), "key2");
        assert_eq!(key(cached.load().await), "key2");
    }

    #[tokio::test(start_paused = true)]
    async fn refused_keys_are_loaded_again_once_for_all_requests() {
        let calls = Arc::new(AtomicU32::new(0));
        let cached = Cached::new(SharedCredentialsProvider::new(Counted(Arc::clone(&calls), None)), 12 * KEEP);
        assert!(!cached.renew(Instant::now()).await, "nothing was loaded: nothing was refused");
        let first = Instant::now();
        cached.load().await.expect("loads");
        assert!(!cached.renew(first).await, "the first ones are not other ones");
        tokio::time::advance(11 * KEEP).await;
        cached.load().await.expect("loads");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "kept");
        let sent = Instant::now();
        let (one, other) = tokio::join!(cached.renew(sent), cached.renew(sent));
        assert!(one && other, "both requests were signed with the old ones");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[derive(Debug)]
    struct InTurn(std::sync::Mutex<Vec<Result<&'static str, CredentialsError>>>);

    impl ProvideCredentials for InTurn {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let next = self.0.lock().expect("not poisoned").remove(0);
            future::ProvideCredentials::ready(next.map(|id| Credentials::new(id, "s", None, None, "test")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_keys_are_not_asked_for_at_once_again() {
        let answers = std::sync::Mutex::new(vec![Ok("old"), Ok("old"), Ok("new")]);
        let cached = Cached::new(SharedCredentialsProvider::new(InTurn(answers)), KEEP);
        cached.load().await.expect("loads");
        tokio::time::advance(PAUSE).await;
        assert!(!cached.renew(Instant::now()).await, "the same");
        tokio::time::advance(PAUSE / 2).await;
        assert!(!cached.renew(Instant::now()).await, "not asked");
        tokio::time::advance(PAUSE).await;
        assert!(cached.renew(Instant::now()).await, "rotated");
        assert_eq!(cached.load().await.expect("loaded").access_key_id(), "new");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_does_not_answer_costs_nothing_and_one_that_has_none_ends_them() {
        let answers = vec![Ok("kept"), Err(CredentialsError::provider_error("away")), Err(CredentialsError::invalid_configuration("gone"))];
        let cached = Cached::new(SharedCredentialsProvider::new(InTurn(std::sync::Mutex::new(answers))), KEEP);
        cached.load().await.expect("loads");
        tokio::time::advance(KEEP).await;
        assert_eq!(cached.load().await.expect("kept").access_key_id(), "kept");
        tokio::time::advance(MARGIN).await;
        assert!(matches!(cached.load().await, Err(CredentialsError::InvalidConfiguration(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_expires_at_once_is_not_kept() {
        let calls = Arc::new(AtomicU32::new(0));
        let cached = Cached::new(SharedCredentialsProvider::new(Counted(Arc::clone(&calls), Some(MARGIN / 2))), KEEP);
        for _ in 0..3 {
            cached.load().await.expect("loads");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }
}
