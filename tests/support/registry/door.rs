//! Who may ask a registry, and for what.

use super::{
    operation::Operation,
    refusal::Refusal,
    route::Call,
    token::{Bearer, Grant, Shown, Tokens, basic, expired},
};

/// How a registry wants its clients to sign in.
#[derive(Clone, Debug)]
pub(super) enum Door {
    Open,
    Basic {
        user: String,
        password: String,
    },
    Bearer(Bearer),
    /// Basic with the user `AWS` and a token of `GetAuthorizationToken` for a password.
    Ecr,
}

impl Door {
    /// Lets a request in, or says what it lacks. `base`: address of the server.
    pub fn admit(&self, call: &Call, tokens: &Tokens, base: &str) -> Result<(), Refusal> {
        match self {
            Self::Open => Ok(()),
            Self::Basic { user, password } => {
                let right = basic(call).is_some_and(|shown| shown == (user.clone(), password.clone()));
                if right { Ok(()) } else { Err(Refusal::unauthorized().header("www-authenticate", "Basic realm=\"embedded\"")) }
            }
            Self::Bearer(_) => bearer(call, tokens, base),
            Self::Ecr if call.operation.is_api() => signed(call),
            Self::Ecr => {
                let challenge = || {
                    let realm = format!("Basic realm=\"{base}/\",service=\"ecr.amazonaws.com\"");
                    Refusal { message: "Not Authorized\n".to_owned(), ..Refusal::unauthorized() }
                        .in_words()
                        .header("www-authenticate", realm)
                };
                let (user, password) = basic(call).ok_or_else(challenge)?;
                match tokens.show(&password) {
                    Shown::Good(_) if user == "AWS" => Ok(()),
                    Shown::Expired => Err(expired()),
                    Shown::Good(_) | Shown::Unknown => Err(challenge()),
                }
            }
        }
    }
}

/// ECR's API wants a signature for its service. Its value is not computed again: that aws-sdk-ecr signs rightly is not in question.
fn signed(call: &Call) -> Result<(), Refusal> {
    let scope = call.header("authorization").and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256 Credential="));
    if scope.is_some_and(|scope| scope.contains("/ecr/aws4_request")) { Ok(()) } else { Err(Refusal::unauthorized()) }
}

fn bearer(call: &Call, tokens: &Tokens, base: &str) -> Result<(), Refusal> {
    if call.operation == Operation::GetToken {
        return Ok(());
    }
    let needed = needed(call);
    let scope = needed.join(" ");
    let Some(token) = call.header("authorization").and_then(|text| text.strip_prefix("Bearer ")) else {
        return Err(Bearer::challenge(base, &scope, None));
    };
    match tokens.show(token) {
        Shown::Good(grants) => {
            let asked = needed.iter().filter_map(|scope| Grant::parse(scope));
            let mut lacking = asked.filter(|asked| !grants.iter().any(|grant| grant.covers(asked)));
            lacking.next().map_or(Ok(()), |_| Err(Bearer::challenge(base, &scope, Some("insufficient_scope"))))
        }
        Shown::Expired | Shown::Unknown => Err(Bearer::challenge(base, &scope, Some("invalid_token"))),
    }
}

/// The scopes a request needs.
fn needed(call: &Call) -> Vec<String> {
    if call.repository.is_empty() {
        return if call.operation == Operation::ListRepositories { vec!["registry:catalog:*".to_owned()] } else { Vec::new() };
    }
    let pushes = call.operation.writes() || call.operation == Operation::UploadStatus;
    let mut scopes = vec![format!("repository:{}:{}", call.repository, if pushes { "pull,push" } else { "pull" })];
    if let Some(from) = call.query.get("from").filter(|_| call.operation == Operation::MountBlob) {
        scopes.push(format!("repository:{from}:pull"));
    }
    scopes
}
