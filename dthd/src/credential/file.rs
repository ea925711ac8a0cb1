//! JSON files with secrets, that only their owner can read; and the keys for AWS in one.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use serde_json::{Map, Value};

const FIELDS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];

/// Reads `{"access_key_id", "secret_access_key"[, "session_token"]}`, again each time it is asked.
#[derive(Clone, Debug)]
pub(super) struct FileProvider {
    path: PathBuf,
}

/// Everything that is wrong with a credential file. Never quotes its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credential file {}: {}", path.display(), problems.join("; "))]
pub struct BadCredentialFile {
    path: PathBuf,
    problems: Vec<String>,
}

impl BadCredentialFile {
    pub(super) fn new(path: &Path, problems: Vec<String>) -> Self {
        Self { path: path.to_owned(), problems }
    }
}

impl FileProvider {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl ProvideCredentials for FileProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let path = self.path.clone();
        future::ProvideCredentials::new(async move {
            let read = tokio::task::spawn_blocking(move || read(&path)).await.map_err(CredentialsError::unhandled)?;
            read.map_err(CredentialsError::invalid_configuration)
        })
    }
}

/// Reads a credential file.
///
/// # Errors
/// [`BadCredentialFile`] with every problem: not there, readable by others, not JSON, fields missing, unknown or of the wrong kind.
fn read(path: &Path) -> Result<Credentials, BadCredentialFile> {
    read_fields(path, &FIELDS, |fields| keys(fields, "file"))
}

/// The keys in a text of the form of a credential file; `source` is for the SDK.
///
/// # Errors
/// Every problem: not JSON, fields missing, unknown or of the wrong kind. Never quotes the text.
pub(super) fn parse(text: &str, source: &'static str) -> Result<Credentials, Vec<String>> {
    fields_of(text, &FIELDS, Vec::new(), |fields| keys(fields, source))
}

fn keys(fields: &mut Fields, source: &'static str) -> Option<Credentials> {
    let (id, secret, token) = (fields.needed(FIELDS[0]), fields.needed(FIELDS[1]), fields.given(FIELDS[2]));
    Some(Credentials::new(id?, secret?, token, None, source))
}

/// Reads a JSON object of texts that others cannot read; `take` makes something of its fields.
///
/// # Errors
/// [`BadCredentialFile`] with every problem, also those that `take` has found.
pub(super) fn read_fields<T>(path: &Path, known: &[&str], take: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T, BadCredentialFile> {
    let bad = |problems: Vec<String>| BadCredentialFile { path: path.to_owned(), problems };
    let mut problems = Vec::new();
    match std::fs::metadata(path) {
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            problems.push(format!("others can read it (mode {:04o}): chmod 600 {}", meta.mode() & 0o7777, path.display()));
        }
        Ok(_) => {}
        Err(e) => return Err(bad(vec![format!("cannot be read: {e}")])),
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            problems.push(format!("cannot be read: {e}"));
            return Err(bad(problems));
        }
    };
    fields_of(&text, known, problems, take).map_err(bad)
}

/// Reads a JSON object of texts; `problems` are those that are known of it already.
fn fields_of<T>(
    text: &str,
    known: &[&str],
    mut problems: Vec<String>,
    take: impl FnOnce(&mut Fields) -> Option<T>,
) -> Result<T, Vec<String>> {
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            problems.push(format!("is not a JSON object with {}", known.join(", ")));
            return Err(problems);
        }
        // serde_json's message would quote what it found.
        Err(e) => {
            problems.push(format!("is not JSON: line {}, column {}", e.line(), e.column()));
            return Err(problems);
        }
    };
    let odd = object.keys().filter(|key| !known.contains(&key.as_str()));
    problems.extend(odd.map(|key| format!("{} has no meaning here (known: {})", shown(key), known.join(", "))));
    let mut fields = Fields { object, problems };
    match (take(&mut fields), fields.problems) {
        (Some(taken), problems) if problems.is_empty() => Ok(taken),
        (_, problems) => Err(problems),
    }
}

/// A name as it may be shown: who has put a key in its place made it something that nobody may see.
fn shown(name: &str) -> String {
    let is_word = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { format!("{name:?}") } else { "a field whose name is no word".to_owned() }
}

/// The fields of a credential file, and what is wrong with them.
pub(super) struct Fields {
    object: Map<String, Value>,
    problems: Vec<String>,
}

impl Fields {
    /// A text that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Option<String> {
        if self.is_absent(name) {
            self.problem(format!("{name} is missing"));
        }
        self.given(name)
    }

    /// A text that may be there.
    pub(super) fn given(&mut self, name: &str) -> Option<String> {
        match self.object.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Null) | None => None,
            Some(_) => {
                self.problem(format!("{name} is not a text, or empty"));
                None
            }
        }
    }

    pub(super) fn is_absent(&self, name: &str) -> bool {
        matches!(self.object.get(name), None | Some(Value::Null))
    }

    pub(super) fn problem(&mut self, why: String) {
        self.problems.push(why);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn with(mode: u32, text: &str) -> Result<Credentials, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        fs::write(&path, text).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_good_file() {
        let read = with(0o600, r#"{"access_key_id": "AK", "secret_access_key": "SK", "session_token": "T"}"#).expect("good");
        assert_eq!((read.access_key_id(), read.secret_access_key(), read.session_token()), ("AK", "SK", Some("T")));
        assert_eq!(with(0o400, r#"{"access_key_id": "AK", "secret_access_key": "SK"}"#).expect("good").session_token(), None);
    }

    #[test]
    fn everything_wrong_is_named_and_nothing_quoted() {
        let error = with(0o644, r#"{"access_key": "AKSECRET", "secret_access_key": 5}"#).expect_err("bad");
        for part in
            ["mode 0644", "chmod 600", "\"access_key\" has no meaning", "access_key_id is missing", "secret_access_key is not a text"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
        let broken = with(0o600, r#"{"access_key_id": AKSECRET"#).expect_err("bad");
        assert!(broken.contains("is not JSON: line 1"), "{broken}");
        assert!(!error.contains("AKSECRET") && !broken.contains("AKSECRET"));
        let turned = with(0o600, r#"{"AKSECRET": "access_key_id"}"#).expect_err("bad");
        assert!(turned.contains("a field whose name is no word has no meaning here") && !turned.contains("AKSECRET"), "{turned}");
        assert!(with(0o600, "[]").expect_err("bad").contains("is not a JSON object"));
        assert!(read(Path::new("/nowhere/key")).expect_err("missing").to_string().contains("cannot be read"));
    }
}
