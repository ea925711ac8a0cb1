//! Repositories, their policies and tags, and settings of the account, by ECR's API.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Attributes,
    api::{Ask, Fault, strings},
};
use crate::registry::{route::is_name, store::Repository};

fn described(ask: &Ask<'_>, name: &str, repository: &Repository) -> Value {
    let (settings, attributes) = (ask.settings, &repository.attributes);
    let (kind, key) = attributes.encryption.clone().unwrap_or_else(|| ("AES256".to_owned(), None));
    let mut encryption = json!({"encryptionType": kind});
    if let Some(key) = key {
        encryption["kmsKey"] = key.into();
    }
    let mutability = match (attributes.immutable, attributes.tag_exclusions.is_empty()) {
        (false, _) => "MUTABLE",
        (true, true) => "IMMUTABLE",
        (true, false) => "IMMUTABLE_WITH_EXCLUSION",
    };
    let exclusions = attributes.tag_exclusions.iter().map(|filter| json!({"filterType": "WILDCARD", "filter": filter}));
    json!({
        "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", settings.region, settings.account),
        "registryId": settings.account,
        "repositoryName": name,
        "repositoryUri": format!("{}/{name}", ask.shared.address),
        "createdAt": Timestamp::now().as_second(),
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": exclusions.collect::<Vec<_>>(),
        "imageScanningConfiguration": {"scanOnPush": attributes.scan_on_push},
        "encryptionConfiguration": encryption,
    })
}

/// `DescribeRepositories`: those named (at most 100), or all.
pub(super) fn describe(ask: &Ask<'_>) -> Result<Value, Fault> {
    let state = ask.shared.store.lock();
    let named = strings(&ask.input, "repositoryNames");
    if named.len() > 100 {
        return Err(Fault::invalid("'repositoryNames' failed to satisfy constraint: 'Member must have length less than or equal to 100'"));
    }
    if named.is_empty() {
        let all = state.repositories.iter().map(|(name, repository)| described(ask, name, repository)).collect();
        return ask.page("repositories", all);
    }
    let found = named.iter().map(|name| {
        let repository = state.repositories.get(name).ok_or_else(|| Fault::no_repository(ask.settings, name))?;
        Ok(described(ask, name, repository))
    });
    Ok(json!({"repositories": found.collect::<Result<Vec<_>, Fault>>()?}))
}

/// `CreateRepository`.
pub(super) fn create(ask: &Ask<'_>) -> Result<Value, Fault> {
    let name = ask.text("repositoryName")?;
    if !is_name(name) || name.len() < 2 {
        return Err(Fault::invalid(format!("Invalid parameter at 'repositoryName': {name}")));
    }
    let mut state = ask.shared.store.lock();
    if state.repositories.contains_key(name) {
        let message = format!("The repository with name '{name}' already exists in the registry with id '{}'", ask.settings.account);
        return Err(Fault::new("RepositoryAlreadyExistsException", message));
    }
    let encryption = &ask.input["encryptionConfiguration"];
    let tags = ask.input["tags"].as_array().into_iter().flatten();
    let exclusions = ask.input["imageTagMutabilityExclusionFilters"].as_array().into_iter().flatten();
    let attributes = Attributes {
        immutable: ask.input["imageTagMutability"].as_str().is_some_and(|word| word.starts_with("IMMUTABLE")),
        tag_exclusions: exclusions.filter_map(|one| one["filter"].as_str().map(str::to_owned)).collect(),
        scan_on_push: ask.input["imageScanningConfiguration"]["scanOnPush"].as_bool().unwrap_or_default(),
        encryption: encryption["encryptionType"]
            .as_str()
            .filter(|kind| *kind != "AES256")
            .map(|kind| (kind.to_owned(), encryption["kmsKey"].as_str().map(str::to_owned))),
        tags: tags.filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()))).collect(),
        ..Attributes::default()
    };
    let repository = Repository { attributes, ..Repository::default() };
    let answer = json!({"repository": described(ask, name, &repository)});
    state.repositories.insert(name.to_owned(), repository);
    Ok(answer)
}

fn named(ask: &Ask<'_>, field: &str, text: &str) -> Result<Value, Fault> {
    Ok(json!({"registryId": ask.settings.account, "repositoryName": ask.text("repositoryName")?, field: text}))
}

/// `GetRepositoryPolicy`.
pub(super) fn policy(ask: &Ask<'_>) -> Result<Value, Fault> {
    let found = ask.repository(|repository| Ok(repository.attributes.policy.clone()))?;
    named(ask, "policyText", &found.ok_or_else(|| Fault::new("RepositoryPolicyNotFoundException", "Repository policy does not exist"))?)
}

/// `SetRepositoryPolicy`.
pub(super) fn set_policy(ask: &Ask<'_>) -> Result<Value, Fault> {
    let text = json_text(ask, "policyText")?;
    ask.repository(|repository| {
        repository.attributes.policy = Some(text.clone());
        Ok(())
    })?;
    named(ask, "policyText", &text)
}

/// `GetLifecyclePolicy`.
pub(super) fn lifecycle(ask: &Ask<'_>) -> Result<Value, Fault> {
    let found = ask.repository(|repository| Ok(repository.attributes.lifecycle_policy.clone()))?;
    named(
        ask,
        "lifecyclePolicyText",
        &found.ok_or_else(|| Fault::new("LifecyclePolicyNotFoundException", "Lifecycle policy does not exist"))?,
    )
}

/// `PutLifecyclePolicy`.
pub(super) fn set_lifecycle(ask: &Ask<'_>) -> Result<Value, Fault> {
    let text = json_text(ask, "lifecyclePolicyText")?;
    ask.repository(|repository| {
        repository.attributes.lifecycle_policy = Some(text.clone());
        Ok(())
    })?;
    named(ask, "lifecyclePolicyText", &text)
}

fn json_text(ask: &Ask<'_>, field: &str) -> Result<String, Fault> {
    let text = ask.text(field)?;
    if serde_json::from_str::<Value>(text).is_err() {
        return Err(Fault::invalid(format!("Invalid parameter at '{field}': not JSON")));
    }
    Ok(text.to_owned())
}

/// `ListTagsForResource`.
pub(super) fn resource_tags(ask: &Ask<'_>) -> Result<Value, Fault> {
    let name = ask.text("resourceArn")?.split_once(":repository/").map_or("", |(_, name)| name);
    let state = ask.shared.store.lock();
    let repository = state.repositories.get(name).ok_or_else(|| Fault::no_repository(ask.settings, name))?;
    let tags: Vec<Value> = repository.attributes.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"tags": tags}))
}

/// `GetAccountSetting`.
pub(super) fn account(ask: &Ask<'_>) -> Result<Value, Fault> {
    let name = ask.text("name")?;
    let value = ask.shared.store.lock().account.get(name).cloned();
    let value = value.ok_or_else(|| Fault::invalid(format!("Invalid parameter at 'name': {name}")))?;
    Ok(json!({"name": name, "value": value}))
}

/// `PutAccountSetting`.
pub(super) fn set_account(ask: &Ask<'_>) -> Result<Value, Fault> {
    let (name, value) = (ask.text("name")?, ask.text("value")?);
    let known = ask.shared.store.lock().account.contains_key(name);
    if !known || !["ENABLED", "DISABLED"].contains(&value) {
        return Err(Fault::invalid(format!("Invalid parameter at 'value': {name} = {value}")));
    }
    ask.shared.store.set_account(name, value);
    Ok(json!({"name": name, "value": value}))
}
