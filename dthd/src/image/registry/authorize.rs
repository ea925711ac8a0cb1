//! What a registry wants to see before it answers: found out by the first request, then shown with every other.

use std::sync::{Arc, PoisonError, RwLock};

use dth_proto::{failure::FailureClass, time::Timestamp};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Call, Login, Registry,
    challenge::{self, Bearer, Challenge},
    login::Secret,
    redirect,
    refusal::Refusal,
    send::Sent,
    token::{Given, Scopes, Tokens},
};
use crate::{clock, transfer::TransferError};

/// The request that fetches a token, in errors.
const GET_TOKEN: &str = "GetToken";
/// Who asks ("Docker Registry v2 authentication using OAuth2", `client_id`).
const CLIENT: &str = "dthd";
/// Characters of a query's value that stay as they are: the unreserved ones (RFC 3986, section 2.3), and those that scopes are made of.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/').remove(b',');

/// How to sign in, and what is known about it by now.
pub struct SignIn {
    login: Login,
    known: RwLock<Known>,
    /// Held by the request that finds out.
    asking: Arc<Mutex<()>>,
    tokens: Tokens,
}

#[derive(Clone)]
enum Known {
    Nothing,
    /// A request was answered without.
    Open,
    Challenge(Challenge),
}

/// What a request shows.
pub(super) enum Authorization {
    Nothing,
    Basic(HeaderValue),
    Bearer(Scopes, HeaderValue),
}

impl Authorization {
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Basic(header) | Self::Bearer(_, header) => Some(header),
        }
    }
}

/// What may help after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The registry has said how to sign in: again, with that.
    SignIn,
    /// What was shown was good once: again, with what is current. Carries whether it can have expired meanwhile.
    Renew { was_old: bool },
    /// Nothing.
    None,
}

/// A token that is younger was not refused because of its age.
const OLD: std::time::Duration = std::time::Duration::from_secs(5);

impl SignIn {
    pub(super) fn new(login: Login) -> Self {
        Self { login, known: RwLock::new(Known::Nothing), asking: Arc::default(), tokens: Tokens::default() }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// A request was answered, or could not be sent: whatever is to be known will be told when it is needed.
    pub(super) fn answered(&self) {
        if matches!(self.known(), Known::Nothing) {
            self.learn(Known::Open);
        }
    }

    /// Nobody knows yet how to sign in: the one who gets this finds out, and the others wait.
    pub(super) async fn first(&self) -> Option<OwnedMutexGuard<()>> {
        if self.login.is_basic() || !matches!(self.known(), Known::Nothing) {
            return None;
        }
        let asking = Arc::clone(&self.asking).lock_owned().await;
        matches!(self.known(), Known::Nothing).then_some(asking)
    }
}

impl Registry {
    /// What a request shows, by what is known now.
    pub(super) async fn authorization(&self, call: &Call<'_>) -> Result<Authorization, TransferError> {
        let sign_in = &self.inner.sign_in;
        let known = match sign_in.known() {
            Known::Challenge(challenge) => Some(challenge),
            Known::Nothing | Known::Open => sign_in.login.is_basic().then_some(Challenge::Basic),
        };
        match known {
            None => Ok(Authorization::Nothing),
            Some(Challenge::Basic) => self.basic(call.operation).await,
            Some(Challenge::Bearer(bearer)) => {
                // at the destination everything read is also written, and one token does for both
                let push = call.push || self.side() == dth_proto::failure::Side::Destination;
                let scopes = Scopes::of(call.repository, push, call.also);
                let header = sign_in.tokens.get(&scopes, |all| self.fetch_token(bearer, all)).await?;
                Ok(Authorization::Bearer(scopes, header))
            }
        }
    }

    async fn basic(&self, operation: &'static str) -> Result<Authorization, TransferError> {
        match &self.inner.sign_in.login {
            Login::Anonymous => Ok(Authorization::Nothing),
            Login::Password(basic) => Ok(Authorization::Basic(basic.header())),
            Login::Renewed(renew) => Ok(Authorization::Basic(renew.basic().await?.header())),
            Login::IdentityToken(_) => {
                let why = format!("{} wants a name and a password; the credential has an identity token", self.host());
                Err(self.error(FailureClass::Auth, operation, "UNAUTHORIZED", why))
            }
        }
    }

    /// What may help after the registry has refused a request with `shown`; what it said is remembered.
    pub(super) async fn remedy(&self, shown: &Authorization, headers: &HeaderMap, refusal: &Refusal) -> Remedy {
        let sign_in = &self.inner.sign_in;
        let challenge = (refusal.status == StatusCode::UNAUTHORIZED).then(|| challenge::best(headers)).flatten();
        if let Some(challenge) = &challenge {
            sign_in.learn(Known::Challenge(challenge.clone()));
        }
        match (shown, challenge) {
            (Authorization::Nothing, Some(Challenge::Bearer(_))) => Remedy::SignIn,
            (Authorization::Nothing, Some(Challenge::Basic)) if !matches!(sign_in.login, Login::Anonymous) => Remedy::SignIn,
            (Authorization::Basic(_), Some(Challenge::Bearer(_))) => Remedy::SignIn,
            (Authorization::Bearer(..), Some(Challenge::Basic)) => Remedy::SignIn,
            (Authorization::Bearer(scopes, header), challenge) if challenge.is_some() || refusal.is_expired() => {
                let wanted = challenge.and_then(|c| if let Challenge::Bearer(bearer) = c { Some(bearer.scope) } else { None });
                let age = sign_in.tokens.forget(scopes, header, &wanted.unwrap_or_default()).await;
                Remedy::Renew { was_old: age.is_none_or(|age| age > OLD) }
            }
            (Authorization::Basic(header), _) if refusal.status == StatusCode::UNAUTHORIZED || refusal.is_expired() => match &sign_in.login
            {
                Login::Renewed(renew) => {
                    // of many requests that are refused at once, the first has it renewed for all
                    let is_shown = |current: &super::Basic| current.header() == *header;
                    if renew.basic().await.is_ok_and(|current| is_shown(&current)) {
                        renew.refused();
                    }
                    // where nothing else can be had, the next request says why
                    let unchanged = renew.basic().await.is_ok_and(|current| is_shown(&current));
                    if unchanged { Remedy::None } else { Remedy::Renew { was_old: true } }
                }
                _ => Remedy::None,
            },
            _ => Remedy::None,
        }
    }

    /// Asks the registry's token server.
    async fn fetch_token(&self, bearer: Bearer, scopes: Scopes) -> Result<Given, TransferError> {
        let home = self.home()?;
        let realm = redirect::resolve(&home, &bearer.realm);
        let refused = |why: redirect::Refused| {
            let why = format!("{} wants a token from a place that {why}: it is not asked", self.host());
            self.error(FailureClass::Permanent, GET_TOKEN, "RealmRefused", why)
        };
        let realm = realm.map_err(refused)?;
        let login = &self.inner.sign_in.login;
        let mut renewed = false;
        loop {
            let (status, error) = match self.ask_for_token(&realm, &bearer, &scopes).await? {
                Ok(given) => return Ok(given),
                Err(refused) => refused,
            };
            // 403 is about what the token should allow, 401 about who asks; or, to somebody who is nobody, about anything
            if status == StatusCode::UNAUTHORIZED && !matches!(login, Login::Anonymous) {
                if let (Login::Renewed(renew), false) = (login, renewed) {
                    renew.refused();
                    renewed = true;
                    continue;
                }
                self.inner.sign_in.tokens.refuse(&error);
            }
            return Err(error);
        }
    }

    /// One request to the token server: what it gave, or how it refused.
    async fn ask_for_token(
        &self,
        realm: &Uri,
        bearer: &Bearer,
        scopes: &Scopes,
    ) -> Result<Result<Given, (StatusCode, TransferError)>, TransferError> {
        let mut call = Call { operation: GET_TOKEN, ..Call::default() };
        let mut shown = None;
        let target = match &self.inner.sign_in.login {
            Login::IdentityToken(token) => {
                call.method = Method::POST;
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                call.headers.push((header::CONTENT_TYPE, kind));
                call.body = form(bearer, scopes, token).into();
                realm.clone()
            }
            login => {
                let basic = match login {
                    Login::Password(basic) => Some(basic.as_ref().clone()),
                    Login::Renewed(renew) => Some(renew.basic().await?),
                    Login::Anonymous | Login::IdentityToken(_) => None,
                };
                shown = basic.as_ref().map(super::Basic::header);
                let target = with_query(realm, bearer, scopes, basic.as_ref().map(super::Basic::user));
                target
                    .parse()
                    .map_err(|_| self.error(FailureClass::Permanent, GET_TOKEN, "RealmRefused", "the token server has no address"))?
            }
        };
        let Sent { response, .. } = self.send(&call, target, shown.as_ref()).await?;
        let (head, body) = response.into_parts();
        let body = self.read_some(GET_TOKEN, body).await?;
        let server = redirect::host(realm);
        if !head.status.is_success() {
            let refusal = Refusal::read(head.status, &head.headers, &body);
            let mut error = self.refused(GET_TOKEN, &refusal, None);
            error.message = match error.class {
                FailureClass::Auth => format!(
                    "the token server {server} does not take who asks ({}): {}; correct the credential",
                    self.inner.sign_in.login.describe(),
                    error.message
                ),
                _ => format!("the token server {server}: {}", error.message),
            };
            return Ok(Err((head.status, error)));
        }
        let date = head.headers.get(header::DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
        let given = Given::read(&body, date.map_or_else(clock::now, Timestamp::from_system));
        let unusable = || {
            let why = format!("the token server {server} gave an answer without a token that can be used");
            self.error(FailureClass::Transient, GET_TOKEN, "BadToken", why)
        };
        given.map(Ok).ok_or_else(unusable)
    }
}

/// "Docker Registry v2 authentication specification", "Requesting a Token".
fn with_query(realm: &Uri, bearer: &Bearer, scopes: &Scopes, account: Option<&str>) -> String {
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    parameters.extend(account.map(|account| ("account", account)));
    parameters.extend(bearer.service.as_deref().map(|service| ("service", service)));
    parameters.extend(scopes.words().iter().map(|scope| ("scope", scope.as_str())));
    let mut url = realm.to_string();
    for (name, value) in parameters {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("{name}={}", utf8_percent_encode(value, QUERY)));
    }
    url
}

/// "Docker Registry v2 authentication using OAuth2", "Refreshing a token".
fn form(bearer: &Bearer, scopes: &Scopes, token: &Secret) -> Vec<u8> {
    let scope = scopes.words().join(" ");
    let service = bearer.service.as_deref().unwrap_or_default();
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("service", service),
        ("scope", &scope),
        ("refresh_token", token.reveal()),
    ];
    let fields = fields.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    fields.join("&").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_tokens() {
        let bearer = Bearer { realm: String::new(), service: Some("my registry".to_owned()), scope: Vec::new() };
        let scopes = Scopes::of(Some("b"), true, Some("a/x"));
        let realm: Uri = "https://auth.example/token?x=1".parse().expect("an address");
        assert_eq!(
            with_query(&realm, &bearer, &scopes, Some("me+you")),
            "https://auth.example/token?x=1&account=me%2Byou&service=my%20registry&scope=repository:a/x:pull&scope=repository:b:pull,push"
        );
        let text = String::from_utf8(form(&bearer, &scopes, &Secret::new("a&b="))).expect("text");
        assert_eq!(
            text,
            "grant_type=refresh%5Ftoken&client_id=dthd&service=my%20registry&scope=repository%3Aa%2Fx%3Apull%20repository%3Ab%3Apull%2Cpush\
             &refresh_token=a%26b%3D"
        );
    }
}
