//! A name and password, or a token, for registries, from a JSON file that only its owner can read.

use std::{fmt, path::Path};

use super::file::{BadCredentialFile, read_fields};

const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const IDENTITY_TOKEN: &str = "identity_token";

/// What a file holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// A user.
    Password {
        /// Name.
        username: String,
        /// Password, or a token that is used like one.
        password: String,
    },
    /// A token that is exchanged for others (OAuth2 `refresh_token`).
    IdentityToken(String),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

/// Reads `{"username", "password"}` or `{"identity_token"}`.
///
/// # Errors
/// [`BadCredentialFile`] with every problem; never quotes the file.
pub fn read(path: &Path) -> Result<Found, BadCredentialFile> {
    read_fields(path, &[USERNAME, PASSWORD, IDENTITY_TOKEN], |fields| {
        if fields.is_absent(IDENTITY_TOKEN) {
            let (username, password) = (fields.needed(USERNAME), fields.needed(PASSWORD));
            return Some(Found::Password { username: username.filter(|name| is_name(name, fields))?, password: password? });
        }
        let more: Vec<&str> = [USERNAME, PASSWORD].into_iter().filter(|name| !fields.is_absent(name)).collect();
        if !more.is_empty() {
            fields.problem(format!("{} beside {IDENTITY_TOKEN}: keep one or the other", more.join(" and ")));
        }
        fields.given(IDENTITY_TOKEN).map(Found::IdentityToken)
    })
}

/// RFC 7617, section 2: a `:` would end the name.
fn is_name(name: &str, fields: &mut super::file::Fields) -> bool {
    let good = !name.contains(':');
    if !good {
        fields.problem(format!("{USERNAME} has a \":\", which no name can have"));
    }
    good
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn with(mode: u32, text: &str) -> Result<Found, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        fs::write(&path, text).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn names_and_tokens() {
        let user = Found::Password { username: "mli".to_owned(), password: "s3cr3t".to_owned() };
        assert!(!format!("{user:?}").contains("s3cr3t"));
        assert_eq!(with(0o600, r#"{"username": "mli", "password": "s3cr3t"}"#), Ok(user));
        assert_eq!(with(0o400, r#"{"identity_token": "t"}"#), Ok(Found::IdentityToken("t".to_owned())));
    }

    #[test]
    fn everything_wrong_is_named_and_nothing_quoted() {
        for (mode, text, words) in [
            (0o640, r#"{"user": "x", "password": "s3cr3t"}"#, &["mode 0640", "\"user\" has no meaning", "username is missing"][..]),
            (0o600, r#"{"identity_token": "t", "password": "s3cr3t"}"#, &["password beside identity_token"]),
            (0o600, r#"{"identity_token": 5}"#, &["identity_token is not a text"]),
            (0o600, r#"{"username": "a:b", "password": ""}"#, &["username has a \":\"", "password is not a text, or empty"]),
            (0o600, r#"{"username": s3cr3t"#, &["is not JSON: line 1"]),
        ] {
            let error = with(mode, text).expect_err(text);
            assert!(words.iter().all(|word| error.contains(word)) && !error.contains("s3cr3t"), "{error}");
        }
    }
}
