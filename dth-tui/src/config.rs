//! What `tui.toml` says: the daemons a person gave names to.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use dth_proto::{
    address::Address,
    document::{BadDocument, Document, suggestion},
};

/// The client's own settings. Without a file: all empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[contexts.NAME] host = "…"`: addresses by name, for `--context`.
    pub contexts: BTreeMap<String, Address>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can be read and is wrong.
    #[error(transparent)]
    Bad(#[from] BadDocument),
    /// No context of that name.
    #[error("there is no context {name:?} in {file}{}", known(name, names))]
    NoContext {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        file: String,
        /// What there is.
        names: Vec<String>,
    },
}

fn known(name: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!(": add it as [contexts.{name}] with host = \"ssh://…\"");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    suggestion(name, &names, "there are ")
}

/// `$XDG_CONFIG_HOME/dth/tui.toml`, else `~/.config/dth/tui.toml`; `None` without a home.
#[must_use]
pub fn path() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("dth/tui.toml"))
}

impl Config {
    /// Reads the file; no file is an empty one.
    ///
    /// # Errors
    /// [`ConfigError::Read`] and [`ConfigError::Bad`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&path.to_string_lossy(), &text)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`BadDocument`] with every problem in it.
    pub fn parse(file: &str, text: &str) -> Result<Self, BadDocument> {
        Document::parse(file, text, |t| {
            let contexts = t.tables("contexts", |name, t| {
                if !t.has("host") {
                    t.required("host", "where the daemon is, like ssh://user@host");
                    return None;
                }
                Some((name.to_owned(), t.parsed::<Address>("host")?))
            });
            Self { contexts: contexts.into_iter().flatten().collect() }
        })
    }

    /// The address of a context; `file` is where it was looked for.
    ///
    /// # Errors
    /// [`ConfigError::NoContext`] with the names there are.
    pub fn context(&self, name: &str, file: &str) -> Result<Address, ConfigError> {
        self.contexts.get(name).cloned().ok_or_else(|| ConfigError::NoContext {
            name: name.to_owned(),
            file: file.to_owned(),
            names: self.contexts.keys().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_by_name() {
        let config = Config::parse("tui.toml", "[contexts.prod-cn]\nhost = 'ssh://mli@xfer-bj-01'\n[contexts.lab]\nhost = 'unix:/tmp/s'\n")
            .expect("good");
        assert_eq!(config.context("lab", "tui.toml").expect("there"), Address::Unix("/tmp/s".into()));
        assert_eq!(config.contexts["prod-cn"].to_string(), "ssh://mli@xfer-bj-01");
        let error = |name| config.context(name, "tui.toml").expect_err(name).to_string();
        assert_eq!(error("prod-cm"), "there is no context \"prod-cm\" in tui.toml: did you mean \"prod-cn\"?");
        assert_eq!(error("x"), "there is no context \"x\" in tui.toml: there are lab, prod-cn");
        let empty = Config::default().context("x", "tui.toml").expect_err("empty").to_string();
        assert_eq!(empty, "there is no context \"x\" in tui.toml: add it as [contexts.x] with host = \"ssh://…\"");
    }

    #[test]
    fn every_mistake_is_named() {
        let bad = Config::parse("tui.toml", "[contexts.a]\nhots = 'x'\n[contexts.b]\nhost = 'ftp://x'\n[context]\n").expect_err("bad");
        assert_eq!(
            bad.lines(),
            [
                "tui.toml:1: contexts.a.host is missing: where the daemon is, like ssh://user@host",
                "tui.toml:2: contexts.a.hots is not a known key: did you mean \"host\"?",
                "tui.toml:4: contexts.b.host: \"ftp://x\" is not an address: the scheme is not known; use unix:/path or ssh://[user@]host[:port][/socket]",
                "tui.toml:5: context is not a known key: did you mean \"contexts\"?",
            ]
        );
    }

    #[test]
    fn no_file_is_no_mistake() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Config::load(&dir.path().join("tui.toml")).expect("empty"), Config::default());
        let error = Config::load(dir.path()).expect_err("a directory is not a file").to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }
}
