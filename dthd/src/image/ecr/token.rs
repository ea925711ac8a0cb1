//! The password for the registry: fetched when it is needed first, renewed at half its life, fetched anew when the registry refuses it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use dth_proto::{failure::FailureClass, time::Timestamp};
use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::Mutex, time::Instant};

use super::service::Service;
use crate::{
    clock,
    image::registry::login::{Basic, Renew},
    transfer::TransferError,
};

const FETCH: &str = "GetAuthorizationToken";
/// How long a token is good (AWS: "Private registry authentication").
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// After a renewal that failed while the old token is still good.
const AGAIN: Duration = Duration::from_secs(60);

/// See the module. Asks in the name of one run, keeps what it gets for all.
pub(super) struct Token {
    service: Arc<Service>,
    kept: Arc<Kept>,
}

/// A token that all runs with the same credential share.
#[derive(Default)]
pub(super) struct Kept {
    /// Locked as long as one is fetched: whoever else needs it waits for the same answer.
    held: Mutex<Option<Held>>,
    refused: AtomicBool,
}

#[derive(Clone)]
struct Held {
    basic: Basic,
    proxy_endpoint: String,
    renew: Instant,
    end: Instant,
}

impl Token {
    pub(super) fn new(service: Arc<Service>, kept: Arc<Kept>) -> Self {
        Self { service, kept }
    }

    /// The registry of the credential's account, as AWS addresses it.
    pub(super) async fn proxy_endpoint(&self) -> Result<String, TransferError> {
        Ok(self.current().await?.proxy_endpoint)
    }

    async fn current(&self) -> Result<Held, TransferError> {
        let mut held = self.kept.held.lock().await;
        let refused = self.kept.refused.load(SeqCst);
        if !refused && let Some(good) = held.as_ref().filter(|held| Instant::now() < held.renew) {
            return Ok(good.clone());
        }
        match self.fetch().await {
            Ok(fresh) => {
                // also what was refused meanwhile was the old one
                self.kept.refused.store(false, SeqCst);
                Ok(held.insert(fresh).clone())
            }
            Err(error) => match held.as_mut().filter(|held| !refused && Instant::now() < held.end) {
                Some(old) => {
                    tracing::warn!(side = error.side.word(), %error, "the registry's token could not be renewed, the old one is still good");
                    old.renew = Instant::now() + AGAIN;
                    Ok(old.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn fetch(&self) -> Result<Held, TransferError> {
        let service = &self.service;
        let answer = service.call(FETCH, "", 0, || service.sdk().get_authorization_token().send()).await?;
        let unreadable = |why: &str| {
            let message = format!("{} gave a token that cannot be read: {why}", service.place());
            service.error(FailureClass::Transient, FETCH, "UnexpectedAnswer", message)
        };
        let data = answer.authorization_data().first().ok_or_else(|| unreadable("it is empty"))?;
        let text = data.authorization_token().ok_or_else(|| unreadable("it is empty"))?;
        let basic = Basic::decode(text).ok_or_else(|| unreadable("it is not base64 of user:password"))?;
        let expires = data.expires_at().and_then(|at| at.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok()).map(Timestamp);
        let life = life(expires, clock::now());
        let now = Instant::now();
        let proxy_endpoint = data.proxy_endpoint().unwrap_or_default().to_owned();
        Ok(Held { basic, proxy_endpoint, renew: now + life / 2, end: now + life })
    }
}

/// How long a token is good. What makes no sense by our clock is taken for a clock that is wrong.
fn life(expires: Option<Timestamp>, now: Timestamp) -> Duration {
    expires.map(|expires| expires.since(now)).filter(|life| !life.is_zero() && *life <= LIFE).unwrap_or(LIFE)
}

impl Renew for Token {
    fn basic(&self) -> BoxFuture<'_, Result<Basic, TransferError>> {
        async { Ok(self.current().await?.basic) }.boxed()
    }

    fn refused(&self) {
        self.kept.refused.store(true, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives() {
        let now = Timestamp(1_800_000_000_000);
        for (expires, expected) in [
            (Some(now.plus(Duration::from_secs(7200))), Duration::from_secs(7200)),
            (Some(now.plus(LIFE)), LIFE),
            (Some(now), LIFE),
            (Some(Timestamp(0)), LIFE),
            (Some(now.plus(LIFE * 100)), LIFE),
            (None, LIFE),
        ] {
            assert_eq!(life(expires, now), expected, "{expires:?}");
        }
    }
}
