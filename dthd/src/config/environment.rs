//! The environment as far as it configures the daemon, taken once so that merging is pure.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf, absolute},
    str::FromStr,
};

use dth_proto::document::{nearest, suggestion};
use jiff::tz::TimeZone;

use super::{
    Principal,
    file::Values,
    validate::{self, Rule},
};

/// Variables that configure the daemon: `DTHD_` and the key of dthd.toml in capitals, dots as `_`.
pub(super) const VARIABLES: [&str; 14] = [
    "DTHD_CONFIG",
    "DTHD_STATE",
    "DTHD_SOCKET",
    "DTHD_DRAIN",
    "DTHD_LIMITS_MEMORY",
    "DTHD_LIMITS_BANDWIDTH",
    "DTHD_LIMITS_TIMEZONE",
    "DTHD_LIMITS_RUNS",
    "DTHD_LIMITS_OBJECTS",
    "DTHD_LIMITS_PARTS",
    "DTHD_ACCESS_OPERATORS",
    "DTHD_ACCESS_VIEWERS",
    "DTHD_LOG_FILTER",
    "DTHD_LOG_FORMAT",
];

/// Directories that the service manager and the session give.
const DIRECTORIES: [&str; 5] = ["STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME"];

/// Variables that matter here and nothing else, so that no secret of the environment is ever held or shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    root: bool,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self::of(variables, nix::unistd::geteuid().is_root())
    }

    /// An environment from names and values; `root`: the process may write below /run and /var. Empty values count as
    /// absent.
    pub fn of(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<OsString>)>, root: bool) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(name, value)| (name.starts_with("DTHD_") || DIRECTORIES.contains(&name.as_str())) && !value.is_empty())
            .collect();
        Self { variables, root }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// Where state is kept when nobody says otherwise.
    #[must_use]
    pub fn default_state(&self) -> PathBuf {
        self.first_of("STATE_DIRECTORY").unwrap_or_else(|| dth_proto::address::user_state(|name| self.get(name).map(OsStr::to_owned)))
    }

    /// Where the socket is when nobody says otherwise; the same place where a client looks.
    #[must_use]
    pub fn default_socket(&self) -> PathBuf {
        match self.first_of("RUNTIME_DIRECTORY") {
            Some(directory) => directory.join("dthd.sock"),
            None => dth_proto::address::user_socket(|name| self.get(name).map(OsStr::to_owned), self.root),
        }
    }

    /// systemd gives several directories separated by colons.
    fn first_of(&self, name: &str) -> Option<PathBuf> {
        env::split_paths(self.get(name)?).next().filter(|p| !p.as_os_str().is_empty())
    }

    /// What the variables say, and what is wrong with them.
    pub(super) fn values(&self) -> (Values, Vec<String>) {
        let mut reader = Reader { environment: self, problems: Vec::new() };
        let values = Values {
            state: reader.path("DTHD_STATE", &|_| Ok(())),
            socket: reader.path("DTHD_SOCKET", &|path: &PathBuf| validate::socket(path)),
            drain: reader.parsed("DTHD_DRAIN", &validate::drain),
            memory: reader.parsed("DTHD_LIMITS_MEMORY", &validate::memory),
            bandwidth: reader.parsed("DTHD_LIMITS_BANDWIDTH", &|_| Ok(())),
            timezone: reader.timezone("DTHD_LIMITS_TIMEZONE"),
            runs: reader.parsed("DTHD_LIMITS_RUNS", &|n| validate::number(*n, &validate::RUNS)),
            objects: reader.parsed("DTHD_LIMITS_OBJECTS", &|n| validate::number(*n, &validate::OBJECTS)),
            parts: reader.parsed("DTHD_LIMITS_PARTS", &|n| validate::number(*n, &validate::PARTS)),
            operators: reader.principals("DTHD_ACCESS_OPERATORS"),
            viewers: reader.principals("DTHD_ACCESS_VIEWERS"),
            log_filter: reader.parsed("DTHD_LOG_FILTER", &validate::log_filter),
            log_format: reader.parsed("DTHD_LOG_FORMAT", &|_| Ok(())),
            ..Values::default()
        };
        for name in self.variables.keys().filter(|n| n.starts_with("DTHD_") && !VARIABLES.contains(&n.as_str())) {
            let hint = if nearest(name, &VARIABLES).is_some() { suggestion(name, &VARIABLES, "") } else { String::new() };
            reader.problems.push(format!("environment: {name} is not a known variable{hint}"));
        }
        (values, reader.problems)
    }
}

struct Reader<'e> {
    environment: &'e Environment,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        let text = value.to_str().map(str::to_owned);
        if text.is_none() {
            self.problems.push(format!("environment: {name} is not UTF-8"));
        }
        text
    }

    fn checked<T>(&mut self, name: &str, value: Result<T, String>, rule: &Rule<'_, T>) -> Option<T> {
        match value.and_then(|v| rule(&v).map(|()| v)) {
            Ok(value) => Some(value),
            Err(why) => {
                self.problems.push(format!("environment: {name} {why}"));
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: ToString>>(&mut self, name: &str, rule: &Rule<'_, T>) -> Option<T> {
        let text = self.text(name)?;
        self.checked(name, text.trim().parse().map_err(|e: T::Err| e.to_string()), rule)
    }

    /// A relative path counts from the working directory, as it would for a flag.
    fn path(&mut self, name: &str, rule: &Rule<'_, PathBuf>) -> Option<PathBuf> {
        let value = self.environment.get(name)?;
        let path = absolute(Path::new(value)).map_err(|e| e.to_string());
        self.checked(name, path, rule)
    }

    fn timezone(&mut self, name: &str) -> Option<TimeZone> {
        let text = self.text(name)?;
        self.checked(name, validate::timezone(text.trim()), &|_| Ok(()))
    }

    fn principals(&mut self, name: &str) -> Option<Vec<Principal>> {
        let text = self.text(name)?;
        let all = text.split(',').map(|one| one.trim().parse::<Principal>()).collect::<Result<Vec<_>, _>>();
        self.checked(name, all, &|_| Ok(()))
    }
}
