//! A key of ours with which a store encrypts objects and that it does not keep (SSE-C).

use std::{fmt, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use md5::{Digest, Md5};

use super::file::BadCredentialFile;

/// Bytes of a key: SSE-C is AES-256 (AWS: "Using server-side encryption with customer-provided keys").
const LENGTH: usize = 32;

/// See the module. Holds a secret: it is not shown, and its bytes are nowhere but here and in requests. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    key: Arc<str>,
    md5: Arc<str>,
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey")
    }
}

impl CustomerKey {
    fn of(bytes: &[u8; LENGTH]) -> Self {
        Self { key: BASE64.encode(bytes).into(), md5: BASE64.encode(Md5::digest(bytes)).into() }
    }

    /// In base64, as in `…-customer-key`. A secret.
    #[must_use]
    pub(crate) fn base64(&self) -> &str {
        &self.key
    }

    /// Its MD5 in base64, as in `…-customer-key-MD5`, by which the store sees that the key arrived as it was sent.
    #[must_use]
    pub(crate) fn md5(&self) -> &str {
        &self.md5
    }

    /// Reads a file with the 32 bytes of a key, as they are or in base64.
    ///
    /// # Errors
    /// [`BadCredentialFile`] with every problem: not there, readable by others, no key of this length. Never quotes the file.
    pub fn read(path: &Path) -> Result<Self, BadCredentialFile> {
        let meta = std::fs::metadata(path).map_err(|e| BadCredentialFile::new(path, vec![format!("cannot be read: {e}")]))?;
        let mut problems = Vec::new();
        if meta.mode() & 0o077 != 0 {
            problems.push(format!("others can read it (mode {:04o}): chmod 600 {}", meta.mode() & 0o7777, path.display()));
        }
        let key = match std::fs::read(path) {
            Ok(bytes) => key(&bytes),
            Err(e) => Err(format!("cannot be read: {e}")),
        };
        match key {
            Ok(key) if problems.is_empty() => Ok(Self::of(&key)),
            Ok(_) => Err(BadCredentialFile::new(path, problems)),
            Err(problem) => {
                problems.push(problem);
                Err(BadCredentialFile::new(path, problems))
            }
        }
    }
}

fn key(bytes: &[u8]) -> Result<[u8; LENGTH], String> {
    if let Ok(key) = bytes.try_into() {
        return Ok(key);
    }
    let decoded = BASE64.decode(bytes.trim_ascii()).unwrap_or_default();
    decoded.try_into().map_err(|_| {
        format!("has no key: it must be {LENGTH} bytes, as they are or in base64 (head -c {LENGTH} /dev/urandom | base64 makes one)")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn with(mode: u32, content: &[u8]) -> Result<CustomerKey, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        fs::write(&path, content).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        CustomerKey::read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn raw_and_base64_are_the_same_key() {
        let raw = with(0o600, &[7; 32]).expect("good");
        assert_eq!(with(0o400, format!("{}\n", BASE64.encode([7; 32])).as_bytes()), Ok(raw.clone()));
        assert_eq!((raw.base64(), raw.md5()), (BASE64.encode([7; 32]).as_str(), BASE64.encode(Md5::digest([7; 32])).as_str()));
        assert_eq!(format!("{raw:?}"), "CustomerKey");
    }

    #[test]
    fn everything_wrong_is_named_and_nothing_quoted() {
        let error = with(0o640, b"SECRET").expect_err("short");
        for part in ["mode 0640", "chmod 600", "has no key: it must be 32 bytes"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains("SECRET"));
        assert!(with(0o644, &[7; 32]).expect_err("readable").contains("others can read it"));
        assert!(with(0o600, BASE64.encode([7; 31]).as_bytes()).is_err());
        assert!(CustomerKey::read(Path::new("/nowhere/key")).expect_err("missing").to_string().contains("cannot be read"));
    }
}
