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
/// Credentials without an end are looked up again after this long: files are rewritten when keys are rotated.
const KEEP: Duration = Duration::from_secs(300);

/// One identity, loaded at most once at a time.
pub(super) struct Cached {
    source: SharedCredentialsProvider,
    loaded: Mutex<Option<Loaded>>,
    forget: std::sync::atomic::AtomicBool,
}

struct Loaded {
    credentials: Credentials,
    until: Instant,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl Cached {
    pub(super) fn new(source: SharedCredentialsProvider) -> Self {
        Self { source, loaded: Mutex::new(None), forget: false.into() }
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
        let credentials = self.source.provide_credentials().await?;
        let keep = credentials.expiry().map_or(KEEP, |end| {
            let left = end.duration_since(clock::now().to_system()).unwrap_or_default();
            left.saturating_sub(MARGIN)
        });
        *loaded = Some(Loaded { credentials: credentials.clone(), until: Instant::now() + keep });
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
        let cached = Cached::new(SharedCredentialsProvider::new(Counted(Arc::clone(&calls), None)));
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
    async fn what_expires_at_once_is_not_kept() {
        let calls = Arc::new(AtomicU32::new(0));
        let cached = Cached::new(SharedCredentialsProvider::new(Counted(Arc::clone(&calls), Some(MARGIN / 2))));
        for _ in 0..3 {
            cached.load().await.expect("loads");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }
}
