//! One request to a registry: signed in, within its limits, repeated where that helps.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    Registry,
    authorize::{Authorization, Remedy},
    redirect,
    refusal::Refusal,
    send::{QUIET, Sent, is_good},
};
use crate::{
    http::{Flow, SendError, flow::FlowWatch},
    transfer::{
        TransferError,
        window::{Answer, Kind, Pass, Verdict},
    },
};

/// From the last byte of a body to its answer: registries check digests and move whole blobs within their storage before they answer.
const STORING: Duration = Duration::from_secs(600);

/// A request, as far as it is not the same for all.
pub struct Call<'a> {
    /// Its name in errors and counts (`GetManifest`, `PutBlob`, ...); also decides its window.
    pub operation: &'static str,
    /// Of HTTP.
    pub method: Method,
    /// Path and query below the registry's address (`/v2/…`), or a whole address that the registry gave.
    pub target: String,
    /// Beyond those that all requests have (`Host`, `User-Agent`, `Authorization`, `Content-Length`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Sent with its length; sent again when the request is.
    pub body: Bytes,
    /// The repository that the token must be for; `None`: the registry's catalogue.
    pub repository: Option<&'a str>,
    /// A second repository that the token must allow to read (blob mounts).
    pub also: Option<&'a str>,
    /// The token must allow to write.
    pub push: bool,
}

impl Registry {
    /// Sends a request and answers with what the registry says, unless that is a failure. Signs in where the registry wants it, follows
    /// redirects of GET and HEAD, repeats what failed for a reason that passes.
    ///
    /// # Errors
    /// [`TransferError`] with the registry's code (`MANIFEST_UNKNOWN`), or ours.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Response<Incoming>, TransferError> {
        self.call_for(call, &[]).await
    }

    /// [`Registry::call`], to which answers of the statuses in `accept` are no failures.
    ///
    /// # Errors
    /// As [`Registry::call`].
    pub(super) async fn call_for(&self, call: &Call<'_>, accept: &[StatusCode]) -> Result<Response<Incoming>, TransferError> {
        let mut attempt = 0;
        loop {
            let (error, lasts) = match self.signed_in(call, accept).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            attempt += 1;
            // a wait of hours is no business of a request
            let hopeless = lasts && error.retry_after.is_none_or(|asked| asked > self.inner.retry.patience);
            let wait = if hopeless { None } else { self.inner.retry.next_wait(attempt, &error, rand::random()) };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(side = self.side().word(), operation = call.operation, code = %error.code, attempt, ?wait, "request repeated");
            tokio::time::sleep(wait).await;
            self.inner.counters.retries.fetch_add(1, Relaxed);
        }
    }

    /// Sends a request whose body comes while it is sent; never repeated. What the registry wants to see is known or fetched before. Where
    /// it turns out that it wants something else, the failure is transient: the next one will show it. When the answer comes before the
    /// body is complete, whoever feeds the body hears that it is [`Gone`](crate::http::Gone).
    ///
    /// # Errors
    /// [`TransferError`] with the registry's code, or ours.
    pub(super) async fn call_flow(&self, call: &Call<'_>, flow: Flow) -> Result<Response<Incoming>, TransferError> {
        let operation = call.operation;
        let shown = self.authorization(call).await?;
        let to = self.target(call)?;
        let home = self.home()?;
        let client = self.client_for(operation, &home, &to).await?;
        let header = shown.header().filter(|_| redirect::is_same_place(&home, &to));
        self.permit(operation).await;
        // its turn is over when it begins: it waits for the other end, which may wait for a turn at this one
        drop(self.turn(operation).await);
        self.count_request();
        let (length, watch) = (flow.length(), flow.watch());
        let request = self.head(call, &to, length, header).body(flow);
        let request = request.map_err(|error| self.unsent(operation, &to, SendError::Request(error.to_string())))?;
        let answer = watched(client.send_flow(request), &watch).await;
        let response = match answer {
            Some(answer) => answer.map_err(|error| self.unsent(operation, &to, error))?,
            None => return Err(self.silent(operation, &to, QUIET)),
        };
        if response.status().is_success() {
            if !watch.is_complete() {
                let why = format!("{} answered after {} of {length} bytes", self.host(), watch.taken());
                return Err(self.error(FailureClass::Transient, operation, "EarlyAnswer", why));
            }
            self.inner.sign_in.answered();
            self.inner.counters.sent.fetch_add(length, Relaxed);
            return Ok(response);
        }
        let (head, refusal) = self.refusal(operation, response).await;
        let mut error = self.refused(operation, &refusal, header.is_none().then_some(&to).filter(|to| !redirect::is_same_place(&home, to)));
        match self.remedy(&shown, &head.headers, &refusal).await {
            Remedy::SignIn | Remedy::Renew { was_old: true } => error.class = FailureClass::Transient,
            Remedy::Renew { was_old: false } if refusal.is_expired() => self.expired_at_once(&mut error),
            Remedy::Renew { was_old: false } | Remedy::None => self.explain(&mut error, &shown, call, &refusal),
        }
        self.note_load(operation, &error);
        Err(error)
    }

    /// One attempt: at most once to find out how to sign in, and once to renew what was shown. An error comes with whether its reason lasts
    /// longer than any repetition.
    async fn signed_in(&self, call: &Call<'_>, accept: &[StatusCode]) -> Result<Response<Incoming>, (TransferError, bool)> {
        let passing = |error: TransferError| (error, false);
        let (home, to) = (self.home().map_err(passing)?, self.target(call).map_err(passing)?);
        let (mut asked, mut renewed) = (false, false);
        loop {
            let first = self.inner.sign_in.first().await;
            let shown = self.authorization(call).await.map_err(passing)?;
            let header = shown.header().filter(|_| redirect::is_same_place(&home, &to));
            self.permit(call.operation).await;
            let turn = self.turn(call.operation).await;
            let Sent { response, by } = match self.send(call, to.clone(), header).await {
                Ok(sent) => sent,
                Err(error) => {
                    self.inner.sign_in.answered();
                    turn.answered(0, Some(&error));
                    return Err((error, false));
                }
            };
            if is_good(response.status(), accept) {
                self.inner.sign_in.answered();
                let bytes = call.body.len() as u64;
                turn.answered(bytes, None);
                self.inner.counters.sent.fetch_add(bytes, Relaxed);
                return Ok(response);
            }
            let (head, refusal) = self.refusal(call.operation, response).await;
            let by_registry = redirect::is_same_place(&home, &by);
            let mut error = self.refused(call.operation, &refusal, (!by_registry).then_some(&by));
            let remedy = if by_registry { self.remedy(&shown, &head.headers, &refusal).await } else { Remedy::None };
            self.inner.sign_in.answered();
            drop(first);
            turn.answered(0, Some(&error));
            match remedy {
                Remedy::SignIn if !asked => asked = true,
                Remedy::Renew { .. } if !renewed => renewed = true,
                Remedy::Renew { .. } if refusal.is_expired() => {
                    self.expired_at_once(&mut error);
                    return Err((error, false));
                }
                _ => {
                    self.note_load(call.operation, &error);
                    if by_registry {
                        self.explain(&mut error, &shown, call, &refusal);
                    }
                    return Err((error, refusal.lasts()));
                }
            }
        }
    }

    /// A token that was new is said to have expired: the credential is good, or there would be none. Later there may be one that lives longer.
    fn expired_at_once(&self, error: &mut TransferError) {
        error.class = FailureClass::Transient;
        error.message = format!(
            "{}; it says so of a token that was fetched for this request: compare the clocks of {} and of its token server, or give its tokens \
             a longer life",
            error.message,
            self.host()
        );
    }

    /// Adds to a refusal about who asks what the way out is.
    fn explain(&self, error: &mut TransferError, shown: &Authorization, call: &Call<'_>, refusal: &Refusal) {
        if error.class != FailureClass::Auth {
            return;
        }
        let what = call.repository.map_or_else(
            || "list the repositories".to_owned(),
            |repository| format!("{} {repository}", if call.push { "push to" } else { "pull from" }),
        );
        let hint = match shown {
            Authorization::Nothing => {
                format!("{} was asked as nobody: name a credential of type registry or docker in the task", self.host())
            }
            _ if refusal.status == StatusCode::UNAUTHORIZED => {
                format!("{} does not take the credential, or it may not {what}: correct it", self.host())
            }
            _ => format!("the credential may not {what} at {}: allow it", self.host()),
        };
        error.message = format!("{}; {hint}", error.message);
    }

    /// Waits until the registry can take another request.
    async fn turn(&self, operation: &str) -> Turn {
        let kind = Kind::of(operation);
        match self.window(kind) {
            Some(window) => Turn { pass: Some(window.enter().await), listing: kind == Kind::List },
            None => Turn { pass: None, listing: false },
        }
    }
}

/// A request that may be sent. Its turn ends with the head of the answer: bodies wait for the other end of the copy, which may wait for a
/// turn at this one.
struct Turn {
    pass: Option<Pass>,
    listing: bool,
}

impl Turn {
    fn answered(self, bytes: u64, error: Option<&TransferError>) {
        let Some(pass) = self.pass else { return };
        // every page of a listing is as large as the others
        let bytes = if self.listing { 0 } else { bytes };
        let answer = Answer { latency: pass.elapsed(), bytes, verdict: Verdict::of(error) };
        pass.done(answer);
    }
}

/// Waits for the answer to a flow as long as the connection takes what there is; `None`: it does not, or gives no answer to the whole.
async fn watched<T>(answer: impl Future<Output = T>, watch: &FlowWatch) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let (mut taken, mut since) = (watch.taken(), Instant::now());
    loop {
        if let Ok(answer) = tokio::time::timeout(QUIET, answer.as_mut()).await {
            return Some(answer);
        }
        if watch.taken() != taken {
            (taken, since) = (watch.taken(), Instant::now());
        } else if watch.is_waiting() || (watch.is_complete() && since.elapsed() >= STORING) {
            return None;
        }
    }
}
