//! ECR's JSON API (AWS JSON 1.1): from a request to the operation, from its errors to answers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Ecr, image, layer, repository};
use crate::registry::{operation::Operation, reply::Reply, route::Call, server::Shared, store::Repository};

/// Largest request: a layer part of 10 MiB in base64, and a manifest beside it.
pub(crate) const MOST: u64 = 32 * 1024 * 1024;

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    kind: &'static str,
    message: String,
    /// What some errors carry besides.
    more: Map<String, Value>,
}

impl Fault {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), more: Map::new() }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// The rate of requests is too high.
    pub fn throttled() -> Self {
        Self::new("ThrottlingException", "Rate exceeded")
    }

    /// There is no signature, or one for another service.
    pub fn unsigned() -> Self {
        Self::new("MissingAuthenticationTokenException", "Missing Authentication Token")
    }

    /// The signature is by a key that nobody has.
    pub fn unknown_key() -> Self {
        Self::new("UnrecognizedClientException", "The security token included in the request is invalid.")
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub fn no_repository(settings: &Ecr, name: &str) -> Self {
        let message = format!("The repository with name '{name}' does not exist in the registry with id '{}'", settings.account);
        Self::new("RepositoryNotFoundException", message)
    }

    /// The answer that tells it.
    pub fn reply(&self) -> Reply {
        let mut body = self.more.clone();
        body.insert("__type".to_owned(), self.kind.into());
        body.insert("message".to_owned(), self.message.as_str().into());
        let reply = Reply::json(&Value::Object(body)).with("content-type", "application/x-amz-json-1.1");
        Reply { status: StatusCode::BAD_REQUEST, ..reply }.with("x-amzn-requestid", "embedded")
    }
}

/// A request, understood.
pub(super) struct Ask<'a> {
    pub shared: &'a Shared,
    pub settings: &'a Ecr,
    pub input: Value,
}

impl Ask<'_> {
    /// A field that must be text.
    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        self.input[name].as_str().ok_or_else(|| Fault::invalid(format!("'{name}' failed to satisfy constraint: 'Member must not be null'")))
    }

    /// A field that must be a number.
    pub fn number(&self, name: &str) -> Result<u64, Fault> {
        self.input[name].as_u64().ok_or_else(|| Fault::invalid(format!("'{name}' failed to satisfy constraint: 'Member must not be null'")))
    }

    /// Does something with the repository that the request names.
    pub fn repository<T>(&self, f: impl FnOnce(&mut Repository) -> Result<T, Fault>) -> Result<T, Fault> {
        let name = self.text("repositoryName")?;
        let mut state = self.shared.store.lock();
        f(state.repositories.get_mut(name).ok_or_else(|| Fault::no_repository(self.settings, name))?)
    }

    /// One page of `all`, under `field`, with a token for the next: the number of those before it.
    pub fn page<T: Into<Value>>(&self, field: &str, all: Vec<T>) -> Result<Value, Fault> {
        let most = self.input["maxResults"].as_u64().unwrap_or(100);
        if !(1..=1_000).contains(&most) {
            return Err(Fault::invalid("'maxResults' failed to satisfy constraint: 'Member must have value between 1 and 1000'"));
        }
        let from = match self.input["nextToken"].as_str() {
            None => 0,
            Some(token) => token.parse::<usize>().map_err(|_| Fault::invalid("Invalid nextToken"))?,
        };
        let count = all.len();
        let next = from + most as usize;
        let page: Vec<Value> = all.into_iter().skip(from).take(most as usize).map(Into::into).collect();
        let mut answer = json!({ field: page });
        if next < count {
            answer["nextToken"] = next.to_string().into();
        }
        Ok(answer)
    }
}

/// The repository a request names; empty: none.
pub(crate) fn repository(input: &[u8]) -> String {
    let value: Value = serde_json::from_slice(input).unwrap_or_default();
    value["repositoryName"].as_str().unwrap_or_default().to_owned()
}

/// The texts of a list.
pub(super) fn strings(value: &Value, name: &str) -> Vec<String> {
    value[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Answers a request.
pub(crate) fn answer(shared: &Shared, settings: &Ecr, call: &Call, input: &[u8]) -> Reply {
    let is_known = |key: &String| call.header("authorization").is_some_and(|text| text.contains(&format!("Credential={key}/")));
    if !settings.access_key.as_ref().is_none_or(is_known) {
        return Fault::unknown_key().reply();
    }
    let Ok(input) = serde_json::from_slice(input) else {
        return Fault::new("SerializationException", "the request is not JSON").reply();
    };
    let ask = Ask { shared, settings, input };
    match carry_out(&ask, call.operation) {
        Ok(value) => Reply::json(&value).with("content-type", "application/x-amz-json-1.1"),
        Err(fault) => fault.reply(),
    }
}

fn carry_out(ask: &Ask<'_>, operation: Operation) -> Result<Value, Fault> {
    use Operation as O;
    if ask.input["registryId"].as_str().is_some_and(|account| account != ask.settings.account) {
        return Err(Fault::no_repository(ask.settings, ask.input["repositoryName"].as_str().unwrap_or_default()));
    }
    match operation {
        O::GetAuthorizationToken => Ok(token(ask)),
        O::DescribeRepositories => repository::describe(ask),
        O::CreateRepository => repository::create(ask),
        O::GetRepositoryPolicy => repository::policy(ask),
        O::SetRepositoryPolicy => repository::set_policy(ask),
        O::GetLifecyclePolicy => repository::lifecycle(ask),
        O::PutLifecyclePolicy => repository::set_lifecycle(ask),
        O::ListTagsForResource => repository::resource_tags(ask),
        O::GetAccountSetting => repository::account(ask),
        O::PutAccountSetting => repository::set_account(ask),
        O::ListImages => image::list(ask),
        O::DescribeImages => image::describe(ask),
        O::BatchGetImage => image::get(ask),
        O::BatchCheckLayerAvailability => layer::check(ask),
        O::InitiateLayerUpload => layer::initiate(ask),
        O::UploadLayerPart => layer::part(ask),
        O::CompleteLayerUpload => layer::complete(ask),
        _ => Err(Fault::new("UnknownOperationException", operation.name())),
    }
}

fn token(ask: &Ask<'_>) -> Value {
    let settings = ask.settings;
    let token = ask.shared.tokens.issue(Vec::new(), settings.token_lifetime, settings.token_uses);
    let until = Timestamp::now() + SignedDuration::try_from(settings.token_lifetime).unwrap_or(SignedDuration::from_hours(12));
    json!({"authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:{token}")),
        "expiresAt": until.as_millisecond() as f64 / 1_000.0,
        "proxyEndpoint": ask.shared.base(),
    }]})
}
