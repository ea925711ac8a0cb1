//! Bearer tokens: asked for once per set of scopes however many requests wait for it, and asked for again before they expire.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dth_proto::time::Timestamp;
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use crate::transfer::TransferError;

/// Tokens that do not say how long they live ("Docker Registry v2 authentication specification", `expires_in`).
const LIFE: Duration = Duration::from_secs(60);
/// Asked for again this long before the end, or at half of the life, whichever is later.
const MARGIN: Duration = Duration::from_secs(60);
/// A token server that has refused a name and password is not asked again for so long: many lock accounts after some wrong passwords.
const REFUSED: Duration = Duration::from_secs(60);
/// Sets of scopes that are kept; beyond it those that nobody waits for are forgotten.
const KEPT: usize = 1024;

/// What tokens are for, in the words of the specification (`repository:NAME:pull,push`), sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Scopes(Vec<String>);

impl Scopes {
    /// What a request needs: a repository, perhaps to push to it, and perhaps another one to read; without a repository the catalogue.
    pub(super) fn of(repository: Option<&str>, push: bool, also: Option<&str>) -> Self {
        let Some(repository) = repository else { return Self(vec!["registry:catalog:*".to_owned()]) };
        let actions = if push { "pull,push" } else { "pull" };
        let mut scopes = Self(vec![format!("repository:{repository}:{actions}")]);
        if let Some(also) = also.filter(|also| *also != repository) {
            scopes.add(&[format!("repository:{also}:pull")]);
        }
        scopes
    }

    /// Adds what a registry asks for, unless it is there.
    pub(super) fn add(&mut self, asked: &[String]) {
        for scope in asked {
            if !self.0.iter().any(|own| covers(own, scope)) {
                self.0.push(scope.clone());
            }
        }
        self.0.sort();
    }

    pub(super) fn words(&self) -> &[String] {
        &self.0
    }
}

/// Whether `own` allows what `asked` does: `repository:a:pull,push` and `repository:a:pull`.
fn covers(own: &str, asked: &str) -> bool {
    match (own.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((mine, have)), Some((theirs, want))) => {
            mine == theirs && want.split(',').all(|w| have.split(',').any(|h| h == w || h == "*"))
        }
        _ => own == asked,
    }
}

/// A token as the server gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// `Bearer …`.
    header: HeaderValue,
    /// From now on.
    life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    issued_at: Option<String>,
}

impl Given {
    /// Reads a token server's answer, given at `now` by its own clock. `None`: there is no token in it.
    pub(super) fn read(body: &[u8], now: Timestamp) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        let life = answer.expires_in.and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|life| !life.is_zero()).unwrap_or(LIFE);
        // servers hand the same token out again until it ends; one from the future is one of another clock
        let issued = answer.issued_at.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let issued = issued.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Timestamp);
        let age = issued.map_or(Duration::ZERO, |issued| now.since(issued));
        Some(Self { header, life: life.checked_sub(age).unwrap_or(life) })
    }
}

/// A token in use.
struct Token {
    header: HeaderValue,
    asked: Instant,
    until: Instant,
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// The last failure, for those that waited meanwhile.
    failed: Option<(Instant, TransferError)>,
    /// What the registry wants beside what is known.
    more: Vec<String>,
}

/// The tokens of one login at one registry.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Scopes, Arc<tokio::sync::Mutex<Slot>>>>,
    refused: Mutex<Option<(Instant, TransferError)>>,
}

impl Tokens {
    /// The header for a set of scopes: what is kept, or what `fetch` brings. One fetch at a time for each set; who waits for it also
    /// shares its failure.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub(super) async fn get<F>(&self, scopes: &Scopes, fetch: impl FnOnce(Scopes) -> F) -> Result<HeaderValue, TransferError>
    where
        F: Future<Output = Result<Given, TransferError>>,
    {
        let came = Instant::now();
        let slot = self.slot(scopes);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.header.clone());
        }
        if let Some((_, error)) = slot.failed.as_ref().filter(|(at, _)| *at >= came) {
            return Err(error.clone());
        }
        if let Some(error) = self.refused() {
            return Err(error);
        }
        let mut all = scopes.clone();
        all.add(&slot.more);
        let asked = Instant::now();
        match fetch(all).await {
            Ok(Given { header, life }) => {
                let until = asked + life.saturating_sub(MARGIN).max(life / 2);
                slot.token = Some(Token { header: header.clone(), asked, until });
                slot.failed = None;
                Ok(header)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The registry does not take this token (any more), and perhaps says which scopes it wants. Gives how old it was, unless it is known
    /// already that it is no good.
    pub(super) async fn forget(&self, scopes: &Scopes, header: &HeaderValue, wanted: &[String]) -> Option<Duration> {
        let slot = self.slot(scopes);
        let mut slot = slot.lock().await;
        slot.more = wanted.to_vec();
        let token = slot.token.take_if(|token| token.header == *header)?;
        Some(token.asked.elapsed())
    }

    /// The token server does not take the name and password themselves.
    pub(super) fn refuse(&self, error: &TransferError) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), error.clone()));
    }

    fn refused(&self) -> Option<TransferError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSED).map(|(_, error)| error.clone())
    }

    fn slot(&self, scopes: &Scopes) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT && !slots.contains_key(scopes) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(scopes.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use dth_proto::failure::{FailureClass, Side};
    use futures::future::join_all;

    use super::*;

    fn pull(repository: &str) -> Scopes {
        Scopes::of(Some(repository), false, None)
    }

    fn given(token: &str, life: u64) -> Given {
        let mut header: HeaderValue = format!("Bearer {token}").parse().expect("a header");
        header.set_sensitive(true);
        Given { header, life: Duration::from_secs(life) }
    }

    fn failure(class: FailureClass) -> TransferError {
        TransferError::new(class, Side::Source, "GetToken", "X", "x")
    }

    #[test]
    fn scopes_name_what_is_needed() {
        assert_eq!(Scopes::of(None, false, None).words(), ["registry:catalog:*"]);
        assert_eq!(pull("a/b").words(), ["repository:a/b:pull"]);
        assert_eq!(Scopes::of(Some("b"), true, Some("a")).words(), ["repository:a:pull", "repository:b:pull,push"]);
        let mut scopes = Scopes::of(Some("b"), true, Some("b"));
        scopes.add(&["repository:b:pull".to_owned(), "repository:b:delete".to_owned()]);
        assert_eq!(scopes.words(), ["repository:b:delete", "repository:b:pull,push"]);
    }

    #[test]
    fn answers_of_token_servers() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().expect("a time");
        let read = |text: &str| Given::read(text.as_bytes(), now);
        for (text, expected) in [
            (r#"{"token": "t"}"#, Some(given("t", 60))),
            (r#"{"access_token": "a", "expires_in": 300}"#, Some(given("a", 300))),
            (r#"{"token": "t", "access_token": "a", "expires_in": 300, "issued_at": "2026-01-01T00:00:00Z"}"#, Some(given("t", 240))),
            (
                r#"{"token": "t", "issued_at": "2026-01-01T00:00:30.5+00:00"}"#,
                Some(Given { life: Duration::from_millis(30_500), ..given("t", 0) }),
            ),
            (r#"{"token": "t", "issued_at": "2025-01-01T00:00:00Z"}"#, Some(given("t", 60))),
            (r#"{"token": "t", "issued_at": "2027-01-01T00:00:00Z"}"#, Some(given("t", 60))),
            (r#"{"token": "", "access_token": null}"#, None),
            (r#"{"token": "t", "expires_in": -1}"#, Some(given("t", 60))),
            ("<html>", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(!format!("{:?}", given("s3cr3t", 1)).contains("s3cr3t"));
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_token_and_it_is_renewed_before_its_end() {
        let (tokens, fetched) = (Tokens::default(), AtomicU32::new(0));
        let get = |scopes: Scopes, life: u64| {
            let (tokens, fetched) = (&tokens, &fetched);
            async move {
                let fetch = |_| async {
                    tokio::task::yield_now().await;
                    let n = fetched.fetch_add(1, Relaxed);
                    Ok(given(&format!("t{n}"), life))
                };
                tokens.get(&scopes, fetch).await.expect("a token")
            }
        };
        let all = join_all((0..20).map(|_| get(pull("a"), 300))).await;
        assert!(all.iter().all(|header| header == "Bearer t0"), "{all:?}");
        assert!(all[0].is_sensitive());
        assert_eq!(get(pull("b"), 60).await, "Bearer t1", "another repository, another token");
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(get(pull("b"), 60).await, "Bearer t1");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(pull("b"), 60).await, "Bearer t2", "at half of a short life");
        tokio::time::advance(Duration::from_secs(209)).await;
        assert_eq!(get(pull("a"), 300).await, "Bearer t0");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(pull("a"), 300).await, "Bearer t3", "a minute before the end of a long one");
    }

    #[tokio::test]
    async fn what_is_refused_is_fetched_once_more_with_what_is_wanted() {
        let tokens = Tokens::default();
        let scopes = pull("a");
        let fetch = |token: &'static str| move |all: Scopes| async move { Ok(given(&format!("{token}-{}", all.words().len()), 300)) };
        let first = tokens.get(&scopes, fetch("x")).await.expect("a token");
        assert_eq!(first, "Bearer x-1");
        let wanted = ["repository:a:metadata_read".to_owned()];
        assert!(tokens.forget(&scopes, &first, &wanted).await.is_some());
        let second = tokens.get(&scopes, fetch("y")).await.expect("a token");
        assert_eq!(second, "Bearer y-2", "with what the registry asked for");
        assert_eq!(tokens.forget(&scopes, &first, &wanted).await, None, "the one before was told too late");
        assert_eq!(tokens.get(&scopes, fetch("z")).await.expect("kept"), second);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_shared_and_wrong_passwords_are_not_tried_again() {
        let (tokens, fetched) = (Tokens::default(), AtomicU32::new(0));
        let get = |repository: &'static str, class| {
            let (tokens, fetched) = (&tokens, &fetched);
            async move {
                let fetch = |_| async move {
                    tokio::task::yield_now().await;
                    fetched.fetch_add(1, Relaxed);
                    let error = failure(class);
                    if class == FailureClass::Auth {
                        tokens.refuse(&error);
                    }
                    Err(error)
                };
                tokens.get(&pull(repository), fetch).await.expect_err("fails").class
            }
        };
        join_all((0..10).map(|_| get("a", FailureClass::Transient))).await;
        assert_eq!(fetched.load(Relaxed), 1, "who waited shares the failure");
        tokio::time::advance(Duration::from_millis(1)).await;
        get("a", FailureClass::Auth).await;
        assert_eq!(fetched.load(Relaxed), 2, "who comes later tries again");
        for repository in ["a", "b", "c"] {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(get(repository, FailureClass::Auth).await, FailureClass::Auth);
        }
        assert_eq!(fetched.load(Relaxed), 2);
        tokio::time::advance(REFUSED).await;
        get("a", FailureClass::Auth).await;
        assert_eq!(fetched.load(Relaxed), 3);
    }

    #[tokio::test]
    async fn tokens_of_many_repositories_are_not_kept_for_ever() {
        let tokens = Tokens::default();
        for n in 0..3 * KEPT {
            tokens.get(&pull(&format!("r{n}")), |_| async { Ok(given("t", 300)) }).await.expect("a token");
        }
        assert!(tokens.slots.lock().expect("not poisoned").len() <= KEPT);
    }
}
