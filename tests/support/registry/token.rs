//! Tokens a server gives out and asks for: what each is good for, how long, how often.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    reply::Reply,
    route::{Call, Query},
};

/// A token service: `Bearer` challenges, and `/token` on the same server (distribution, "Token Authentication Specification" and
/// "OAuth2 Token Authentication").
#[derive(Clone, Debug)]
pub struct Bearer {
    user: Option<(String, String)>,
    identity: Option<String>,
    anonymous_pull: bool,
    lifetime: Duration,
    uses: Option<u64>,
}

impl Default for Bearer {
    fn default() -> Self {
        Self { user: None, identity: None, anonymous_pull: true, lifetime: Duration::from_mins(5), uses: None }
    }
}

impl Bearer {
    /// Who signs in with these gets whatever is asked for; everyone else no more than to read, unless [`Bearer::no_anonymous`].
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// The same for who shows this as an identity token (`grant_type=refresh_token`).
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.identity = Some(token.to_owned());
        self
    }

    /// Who does not sign in gets no token.
    #[must_use]
    pub fn no_anonymous(mut self) -> Self {
        self.anonymous_pull = false;
        self
    }

    /// A token is good for this long; it is told in whole seconds.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A token is good for so many requests, of which nothing is told.
    #[must_use]
    pub fn uses(mut self, uses: u64) -> Self {
        self.uses = Some(uses);
        self
    }

    /// Answers a request for a token, from its query or from a form.
    pub(super) fn answer(&self, call: &Call, form: &[u8], tokens: &Tokens) -> Result<Reply, Refusal> {
        let form = Query::parse(&String::from_utf8_lossy(form));
        let asked = if call.method == "POST" { &form } else { &call.query };
        let known = self.knows(call, &form)?;
        let scopes = asked.all("scope").flat_map(|scope| scope.split(' '));
        let grants = scopes.filter_map(Grant::parse).map(|grant| if known { grant } else { grant.only_pull() }).collect();
        let token = tokens.issue(grants, self.lifetime, self.uses);
        let mut answer: Value = json!({
            "token": token, "access_token": token, "expires_in": self.lifetime.as_secs(), "issued_at": Timestamp::now().to_string(),
        });
        if known && let Some(identity) = self.identity.as_ref().filter(|_| call.method == "POST") {
            answer["refresh_token"] = identity.as_str().into();
        }
        Ok(Reply::json(&answer))
    }

    /// Whether somebody known asks; an error when it is somebody with wrong credentials, or nobody where that is not enough.
    fn knows(&self, call: &Call, form: &Query) -> Result<bool, Refusal> {
        let shown = match form.get("grant_type") {
            Some("refresh_token") => {
                let right = form.get("refresh_token").is_some_and(|token| self.identity.as_deref() == Some(token));
                return if right { Ok(true) } else { Err(Refusal::unauthorized()) };
            }
            Some(_) => form.get("username").zip(form.get("password")).map(|(user, password)| (user.to_owned(), password.to_owned())),
            None => basic(call),
        };
        match shown {
            Some(shown) if self.user.as_ref() == Some(&shown) => Ok(true),
            None if self.anonymous_pull => Ok(false),
            _ => Err(Refusal::unauthorized()),
        }
    }

    /// The refusal that tells where to get a token and for what.
    pub(super) fn challenge(base: &str, scope: &str, error: Option<&str>) -> Refusal {
        let mut text = format!("Bearer realm=\"{base}/token\",service=\"embedded\"");
        if !scope.is_empty() {
            text.push_str(&format!(",scope=\"{scope}\""));
        }
        if let Some(error) = error {
            text.push_str(&format!(",error=\"{error}\""));
        }
        Refusal::unauthorized().header("www-authenticate", text)
    }
}

/// User and password of `Authorization: Basic`.
pub(super) fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// What a token allows: `repository:team/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Grant {
    pub fn parse(scope: &str) -> Option<Self> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(Self { kind: kind.to_owned(), name: name.to_owned(), actions: actions.split(',').map(str::to_owned).collect() })
    }

    fn only_pull(mut self) -> Self {
        self.actions.retain(|action| action == "pull");
        self
    }

    /// Whether this allows all of `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        let allowed = |action: &String| self.actions.iter().any(|one| one == action || one == "*");
        self.kind == asked.kind && self.name == asked.name && asked.actions.iter().all(allowed)
    }
}

/// What became of a token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Good(Vec<Grant>),
    Expired,
    Unknown,
}

/// The tokens a server has given out.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Token>>);

#[derive(Debug)]
struct Token {
    grants: Vec<Grant>,
    until: Instant,
    uses: Option<u64>,
}

impl Tokens {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Token>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new token.
    pub fn issue(&self, grants: Vec<Grant>, lifetime: Duration, uses: Option<u64>) -> String {
        let text = format!("token-{:032x}", rand::random::<u128>());
        self.with(|tokens| tokens.insert(text.clone(), Token { grants, until: Instant::now() + lifetime, uses }));
        text
    }

    /// Uses a token once.
    pub fn show(&self, text: &str) -> Shown {
        self.with(|tokens| match tokens.get_mut(text) {
            None => Shown::Unknown,
            Some(token) if token.until <= Instant::now() || token.uses == Some(0) => Shown::Expired,
            Some(token) => {
                token.uses = token.uses.map(|left| left - 1);
                Shown::Good(token.grants.clone())
            }
        })
    }

    /// None of those given out so far is good any longer.
    pub fn expire(&self) {
        self.with(|tokens| tokens.values_mut().for_each(|token| token.uses = Some(0)));
    }
}

/// 403 of ECR for a token that has expired.
pub(super) fn expired() -> Refusal {
    let message = "Your authorization token has expired. Reauthenticate and try again.";
    Refusal::new(StatusCode::FORBIDDEN, "DENIED", message).in_words()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_by_time_by_use_and_by_force() {
        let tokens = Tokens::default();
        let long = tokens.issue(Vec::new(), Duration::from_mins(1), None);
        let twice = tokens.issue(Vec::new(), Duration::from_mins(1), Some(2));
        let late = tokens.issue(Vec::new(), Duration::ZERO, None);
        let good = Shown::Good(Vec::new());
        assert_eq!([tokens.show(&twice), tokens.show(&twice), tokens.show(&twice)], [good.clone(), good.clone(), Shown::Expired]);
        assert_eq!([tokens.show(&late), tokens.show("other"), tokens.show(&long)], [Shown::Expired, Shown::Unknown, good]);
        tokens.expire();
        assert_eq!(tokens.show(&long), Shown::Expired);
    }

    #[test]
    fn grants_cover_what_they_name() {
        let grant = |text: &str| Grant::parse(text).expect("a scope");
        let both = grant("repository:a/b:pull,push");
        assert!(both.covers(&grant("repository:a/b:pull")) && both.covers(&both));
        assert!(!both.covers(&grant("repository:a:pull")) && !grant("repository:a/b:pull").covers(&both));
        assert!(grant("registry:catalog:*").covers(&grant("registry:catalog:*")));
        assert!(!both.only_pull().covers(&grant("repository:a/b:push")));
        assert!(Grant::parse("repository").is_none());
    }
}
