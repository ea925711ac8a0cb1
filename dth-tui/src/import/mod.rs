//! Definitions of AWS Data Transfer Hub, made into tasks: every parameter is taken over, or named with the reason why it is not.
//!
//! | file | holds |
//! |---|---|
//! | `definition` | what a file of definitions may look like |
//! | [`s3`], [`ecr`] | the parameters of the two plugins, and what each becomes |
//! | `credential` | from secrets of Secrets Manager to credentials of `dthd.toml` |
//!
//! The names and defaults of parameters are those of the CloudFormation templates `DataTransferS3Stack` and `DataTransferECRStack`, version
//! 2.6.

mod credential;
mod definition;
pub mod ecr;
pub mod s3;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use dth_proto::{document::BadDocument, document::nearest, id::TaskName, spec::TaskSpec};
use serde::Serialize;

use self::definition::{Definition, Plugin};

/// What has become of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate", content = "note")]
pub enum Fate {
    /// It is in the task, there.
    Becomes(String),
    /// The task needs it in no form, for this reason.
    NotNeeded(String),
    /// It cannot be taken over without something that only a person knows.
    ToDo(String),
    /// Nobody knows it.
    Unknown(String),
}

/// One parameter of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value; the template's default where the definition says nothing.
    pub value: String,
    /// The value is the template's default.
    pub is_default: bool,
    /// See there.
    #[serde(flatten)]
    pub fate: Fate,
}

/// A task that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Valid, as [`TaskSpec::from_toml`] reads it.
    pub spec: TaskSpec,
    /// Its file.
    pub toml: String,
}

/// Everything that one definition has become.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What the definition calls itself, or which it is in its file.
    pub definition: String,
    /// Usually one; images of several public registries are one task each.
    pub tasks: Vec<Imported>,
    /// In the order of the template, unknown ones last.
    pub parameters: Vec<Parameter>,
    /// For `dthd.toml`; empty when there is nothing.
    pub snippet: String,
}

/// Why a definition is no use.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("{file}:{line}: this is not JSON: {why}")]
    NotJson {
        /// Its name.
        file: String,
        /// From 1.
        line: usize,
        /// The parser's words.
        why: String,
    },
    /// JSON without parameters.
    #[error(
        "{0}: there are no parameters in it: it must be a list of {{\"ParameterKey\": …, \"ParameterValue\": …}}, an object with \
         \"Parameters\", or tasks of the hub's API"
    )]
    NoParameters(String),
    /// Parameters of neither plugin.
    #[error(
        "{0}: these are parameters of neither the S3 nor the ECR plugin: srcBucket and destBucket, or srcList and destRegion are missing"
    )]
    NoPlugin(String),
    /// What came out is no task.
    #[error("{definition} cannot be made into a task:\n{bad}")]
    NoTask {
        /// Which.
        definition: String,
        /// What is missing or wrong.
        bad: BadDocument,
    },
}

/// What a person adds to a definition.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The SQS queue that receives the bucket's notifications.
    pub queue: Option<String>,
}

/// Makes tasks of the text of a file; `file` names it in messages. The names of all tasks are different.
///
/// # Errors
/// [`ImportError`] for the first definition that is no use.
pub fn import(file: &str, text: &str, extra: &Extra) -> Result<Vec<Outcome>, ImportError> {
    let mut names = Vec::new();
    let definitions = definition::read(file, text)?;
    definitions.into_iter().map(|definition| one(&definition, extra, &mut names)).collect()
}

fn one(definition: &Definition, extra: &Extra, names: &mut Vec<String>) -> Result<Outcome, ImportError> {
    let mut taken = Taken::new(definition);
    let mut credentials = credential::Credentials::default();
    let specs = match definition.plugin {
        Plugin::S3 => vec![s3::task(&mut taken, &mut credentials, extra)],
        Plugin::Ecr => ecr::tasks(&mut taken, &mut credentials),
    };
    let mut tasks = Vec::new();
    for mut spec in specs {
        definition.description.clone_into(&mut spec.description);
        spec.name = unused(&spec.name, names);
        let toml = spec.to_toml();
        let file = format!("{}.toml", spec.name);
        // what it is made of came from elsewhere: it must be what a person could have written
        let spec = TaskSpec::from_toml(&file, &toml).map_err(|bad| ImportError::NoTask { definition: definition.name.clone(), bad })?;
        tasks.push(Imported { spec, toml });
    }
    Ok(Outcome { definition: definition.name.clone(), tasks, parameters: taken.finish(), snippet: credentials.snippet() })
}

/// A name that no task of the file has yet.
fn unused(name: &TaskName, names: &mut Vec<String>) -> TaskName {
    let mut candidate = name.as_str().to_owned();
    let mut number = 2;
    while names.contains(&candidate) {
        candidate = format!("{}-{number}", &name.as_str()[..name.as_str().len().min(60)]);
        number += 1;
    }
    names.push(candidate.clone());
    TaskName::new(candidate).unwrap_or_else(|_| name.clone())
}

/// A task's name from words that may have any characters.
fn task_name(text: &str) -> TaskName {
    let known = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(known).take(60).collect();
    let name = name.trim_matches(['-', '.', '_']);
    // letters, digits and the three characters are what a name has; an empty one is replaced
    TaskName::new(name).or_else(|_| TaskName::new("imported")).expect("a good name")
}

/// The parameters of a definition, while they are taken over.
pub(crate) struct Taken<'d> {
    given: BTreeMap<&'d str, &'d str>,
    /// Name, default.
    known: &'static [(&'static str, &'static str)],
    fates: BTreeMap<&'static str, Fate>,
    /// The hub says that the task runs once.
    once: bool,
}

impl<'d> Taken<'d> {
    fn new(definition: &'d Definition) -> Self {
        let known: &'static [(&'static str, &'static str)] = match definition.plugin {
            Plugin::S3 => &s3::PARAMETERS,
            Plugin::Ecr => &ecr::PARAMETERS,
        };
        let given = definition.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self { given, known, fates: BTreeMap::new(), once: definition.once }
    }

    /// The value of a parameter, trimmed; the template's default where the definition says nothing.
    pub(crate) fn value(&self, name: &str) -> &str {
        let default = self.known.iter().find(|(known, _)| *known == name).map_or("", |(_, default)| default);
        self.given.get(name).map_or(default, |value| value.trim())
    }

    /// The value, unless it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<String> {
        Some(self.value(name)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.value(name).eq_ignore_ascii_case(value)
    }

    pub(crate) fn becomes(&mut self, name: &'static str, what: impl Into<String>) {
        self.fates.insert(name, Fate::Becomes(what.into()));
    }

    pub(crate) fn not_needed(&mut self, name: &'static str, why: impl Into<String>) {
        self.fates.insert(name, Fate::NotNeeded(why.into()));
    }

    pub(crate) fn left_to_do(&mut self, name: &'static str, what: impl Into<String>) {
        self.fates.insert(name, Fate::ToDo(what.into()));
    }

    fn finish(mut self) -> Vec<Parameter> {
        let mut all: Vec<Parameter> = Vec::new();
        for (name, _) in self.known {
            let fate = self.fates.remove(name).unwrap_or_else(|| Fate::NotNeeded("it is empty".to_owned()));
            let value = self.value(name).to_owned();
            all.push(Parameter { name: (*name).to_owned(), value, is_default: !self.given.contains_key(name), fate });
        }
        let names: Vec<&str> = self.known.iter().map(|(name, _)| *name).collect();
        for (name, value) in self.given.iter().filter(|(name, _)| !names.contains(name)) {
            let hint = nearest(name, &names).map_or_else(String::new, |near| format!(": did you mean {near:?}?"));
            let fate = Fate::Unknown(format!("the template has no such parameter{hint}"));
            all.push(Parameter { name: (*name).to_owned(), value: (*value).to_owned(), is_default: false, fate });
        }
        all
    }
}
