//! What a file of definitions may look like: CloudFormation parameters in three forms, stacks, tasks of the hub's API.

use serde_json::Value;

use super::{ImportError, ecr, s3};

/// Which plugin a definition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plugin {
    S3,
    Ecr,
}

/// One task of the hub, or one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// For messages.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) plugin: Plugin,
    /// `scheduleType` is `ONE_TIME`.
    pub(super) once: bool,
    pub(super) parameters: Vec<(String, String)>,
}

/// Lists and objects in which others are wrapped: answers of `describe-stacks` and of the hub's GraphQL API.
const WRAPPERS: [&str; 7] = ["Stacks", "data", "listTasks", "listTasksV2", "getTask", "createTask", "items"];

/// Every definition of a file.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Definition>, ImportError> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| ImportError::NotJson {
        file: file.to_owned(),
        line: error.line(),
        why: error.to_string(),
    })?;
    let mut found = Vec::new();
    collect(&value, &mut found);
    if found.is_empty() {
        return Err(ImportError::NoParameters(file.to_owned()));
    }
    let several = found.len() > 1;
    let named = |(number, raw): (usize, Raw<'_>)| {
        let name = if several { format!("{file}, number {}", number + 1) } else { file.to_owned() };
        raw.definition(name)
    };
    found.into_iter().enumerate().map(named).collect()
}

/// Parameters as they were found, and what stands around them.
struct Raw<'v> {
    around: Option<&'v Value>,
    parameters: Vec<(String, String)>,
}

fn collect<'v>(value: &'v Value, found: &mut Vec<Raw<'v>>) {
    match value {
        Value::Array(items) => match pairs(items) {
            Some(parameters) => found.push(Raw { around: None, parameters }),
            None => items.iter().for_each(|item| collect(item, found)),
        },
        Value::Object(object) => {
            let inner = object.get("Parameters").or_else(|| object.get("parameters"));
            if let Some(parameters) = inner.and_then(parameters) {
                found.push(Raw { around: Some(value), parameters });
                return;
            }
            let wrapped: Vec<&Value> = WRAPPERS.iter().filter_map(|name| object.get(*name)).collect();
            if wrapped.is_empty() {
                let flat = flat(value).filter(|all| all.iter().any(|(name, _)| is_parameter(name)));
                found.extend(flat.map(|parameters| Raw { around: None, parameters }));
            }
            wrapped.into_iter().for_each(|inner| collect(inner, found));
        }
        _ => {}
    }
}

fn is_parameter(name: &str) -> bool {
    s3::PARAMETERS.iter().chain(&ecr::PARAMETERS).any(|(known, _)| *known == name)
}

fn parameters(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Array(items) => pairs(items),
        Value::Object(_) => flat(value),
        _ => None,
    }
}

/// `[{"ParameterKey": …, "ParameterValue": …}, …]`, not empty.
fn pairs(items: &[Value]) -> Option<Vec<(String, String)>> {
    let pair =
        |item: &Value| Some((item.get("ParameterKey")?.as_str()?.to_owned(), scalar(item.get("ParameterValue").unwrap_or(&Value::Null))?));
    let all: Option<Vec<_>> = items.iter().map(pair).collect();
    all.filter(|all| !all.is_empty())
}

/// `{"srcBucket": …, …}`; what is no parameter's value is left out.
fn flat(value: &Value) -> Option<Vec<(String, String)>> {
    let all: Vec<_> = value.as_object()?.iter().filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect();
    (!all.is_empty()).then_some(all)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some(String::new()),
        // List<Subnet::Id>
        Value::Array(items) => Some(items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(",")),
        Value::Object(_) => None,
    }
}

impl Raw<'_> {
    fn definition(self, file: String) -> Result<Definition, ImportError> {
        let text = |name: &str| self.around.and_then(|around| around.get(name)).and_then(Value::as_str).unwrap_or_default();
        let has = |name: &str| self.parameters.iter().any(|(known, _)| known == name);
        let plugin = match text("type") {
            "S3EC2" => Plugin::S3,
            "ECR" => Plugin::Ecr,
            _ if has("srcBucket") || has("destBucket") => Plugin::S3,
            _ if has("srcList") || has("srcImageList") || has("sourceType") || has("ecsClusterName") => Plugin::Ecr,
            _ => return Err(ImportError::NoPlugin(file)),
        };
        let called = [text("stackName"), text("StackName"), text("id")].into_iter().find(|name| !name.is_empty());
        Ok(Definition {
            name: called.map_or(file.clone(), |called| format!("{called} of {file}")),
            // that of a stack is its template's
            description: text("description").to_owned(),
            plugin,
            once: text("scheduleType") == "ONE_TIME",
            parameters: self.parameters,
        })
    }
}
