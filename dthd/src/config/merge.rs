//! Precedence: flag over environment over file over built-in, with the origin of every value.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{
    Access, Config, DEFAULT_DRAIN, DEFAULT_LOG_FILTER, Environment, Limits, Providers,
    file::{self, Values},
    validate,
};
use crate::s3::provider::{self, Profile};

/// Read when it exists and nobody names another file.
pub const DEFAULT_FILE: &str = "/etc/dth/dthd.toml";

/// What the command line says. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A `DTHD_*` variable.
    Environment,
    /// The file.
    File,
    /// Nobody said anything.
    BuiltIn,
}

/// The configuration in force and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The values.
    pub config: Config,
    /// By key of dthd.toml (`limits.memory`), and `config` for the file itself.
    pub origins: BTreeMap<&'static str, Origin>,
}

/// The configuration cannot be used; displays as one line per problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    /// Everything wrong, in words, each with its place; never empty.
    pub problems: Vec<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::BuiltIn => "built-in",
        })
    }
}

/// Reads the file that `flags` or `environment` name (else [`DEFAULT_FILE`] if it exists) and merges.
///
/// # Errors
/// [`ConfigError`] with every problem of the file and of the environment.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Effective, ConfigError> {
    load_with(flags, environment, Path::new(DEFAULT_FILE), &|path| fs::read_to_string(path))
}

/// [`load`] with the file system injected.
fn load_with(
    flags: &Flags,
    environment: &Environment,
    default_file: &Path,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Effective, ConfigError> {
    let named = flags.config.clone().or_else(|| environment.get("DTHD_CONFIG").map(PathBuf::from));
    let path = named.as_deref().unwrap_or(default_file);
    let mut problems = Vec::new();
    let text = match read(path) {
        Ok(text) => Some(text),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            problems.push(format!("cannot read the configuration {}: {error}", path.display()));
            None
        }
    };
    let from_file = text.as_ref().map(|text| file::read(&path.display().to_string(), text));
    let in_file = match from_file {
        Some(Ok(values)) => values,
        Some(Err(bad)) => {
            problems.extend(bad.lines());
            Values::default()
        }
        None => Values::default(),
    };
    let (in_environment, bad) = environment.values();
    problems.extend(bad);
    let on_line = Values { state: flags.state.clone(), socket: flags.socket.clone(), ..Values::default() };
    let mut merged = merge(&on_line, &in_environment, &in_file, environment);
    merged.config.file = text.is_some().then(|| path.to_owned());
    let named_by = [(Origin::Flag, flags.config.is_some()), (Origin::Environment, named.is_some())];
    let named_by = named_by.into_iter().find_map(|(origin, named)| named.then_some(origin));
    merged.origins.insert("config", named_by.unwrap_or(Origin::BuiltIn));
    merged.config.providers.profiles = match &merged.config.providers.file {
        Some(file) => own_profiles(file, read).unwrap_or_else(|bad| {
            problems.extend(bad);
            Vec::new()
        }),
        None => Vec::new(),
    };
    if let Err(why) = validate::socket(&merged.config.socket) {
        problems.push(format!("socket {} {why}", merged.config.socket.display()));
    }
    if problems.is_empty() { Ok(merged) } else { Err(ConfigError { problems }) }
}

/// The profiles of `providers.file`, or all that is wrong with it.
fn own_profiles(file: &Path, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Vec<Profile>, Vec<String>> {
    let name = file.display().to_string();
    let text = read(file).map_err(|error| vec![format!("cannot read providers.file {name}: {error}")])?;
    provider::own(&name, &text).map_err(|bad| bad.lines())
}

fn merge(flags: &Values, environment: &Values, file: &Values, defaults: &Environment) -> Effective {
    let layers = [(Origin::Flag, flags), (Origin::Environment, environment), (Origin::File, file)];
    let mut merge = Merge { layers, origins: BTreeMap::new() };
    let built_in = Limits::default();
    let config = Config {
        file: None,
        state: merge.pick("state", |v| v.state.clone()).unwrap_or_else(|| defaults.default_state()),
        socket: merge.pick("socket", |v| v.socket.clone()).unwrap_or_else(|| defaults.default_socket()),
        limits: Limits {
            memory: merge.pick("limits.memory", |v| v.memory).unwrap_or(built_in.memory),
            bandwidth: merge.pick("limits.bandwidth", |v| v.bandwidth.clone()).or(built_in.bandwidth),
            timezone: merge.pick("limits.timezone", |v| v.timezone.clone()).or(built_in.timezone),
            runs: merge.pick("limits.runs", |v| v.runs).unwrap_or(built_in.runs),
            objects: merge.pick("limits.objects", |v| v.objects).unwrap_or(built_in.objects),
            parts: merge.pick("limits.parts", |v| v.parts).unwrap_or(built_in.parts),
        },
        credentials: file.credentials.clone(),
        prices: file.prices.clone(),
        access: Access {
            operators: merge.pick("access.operators", |v| v.operators.clone()).unwrap_or_default(),
            viewers: merge.pick("access.viewers", |v| v.viewers.clone()).unwrap_or_default(),
        },
        cloudwatch: merge.pick("cloudwatch", |v| v.cloudwatch.clone()),
        providers: Providers { file: merge.pick("providers.file", |v| v.providers.clone()), profiles: Vec::new() },
        log_filter: merge.pick("log.filter", |v| v.log_filter.clone()).unwrap_or_else(|| DEFAULT_LOG_FILTER.to_owned()),
        log_format: merge.pick("log.format", |v| v.log_format).unwrap_or_default(),
        drain: merge.pick("drain", |v| v.drain).map_or(DEFAULT_DRAIN, |span| span.0),
    };
    Effective { config, origins: merge.origins }
}

/// Layers in order of precedence, and what was found where.
struct Merge<'v> {
    layers: [(Origin, &'v Values); 3],
    origins: BTreeMap<&'static str, Origin>,
}

impl Merge<'_> {
    fn pick<T>(&mut self, key: &'static str, get: impl Fn(&Values) -> Option<T>) -> Option<T> {
        let found = self.layers.iter().find_map(|(origin, values)| Some((*origin, get(values)?)));
        self.origins.insert(key, found.as_ref().map_or(Origin::BuiltIn, |(origin, _)| *origin));
        found.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::units::ByteSize;

    use super::*;

    const FILE: &str = "state = '/file/state'\nsocket = '/file/sock'\n[limits]\nmemory = '64MiB'\nruns = 3\n";

    fn run(flags: &Flags, variables: &[(&str, &str)], file: Option<&str>) -> Result<Effective, ConfigError> {
        let environment = Environment::of(variables.iter().copied(), false);
        load_with(flags, &environment, Path::new("/etc/dth/dthd.toml"), &|path| match file {
            Some(text) if path == Path::new("/etc/dth/dthd.toml") || path == Path::new("/named.toml") => Ok(text.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    #[test]
    fn the_nearer_place_wins() {
        let flags = Flags { state: Some("/flag/state".into()), ..Flags::default() };
        let variables = [("DTHD_STATE", "/env/state"), ("DTHD_SOCKET", "/env/sock"), ("DTHD_LIMITS_MEMORY", "32MiB"), ("HOME", "/h")];
        let all = run(&flags, &variables, Some(FILE)).expect("good");
        let origin = |key: &str| all.origins[key];
        assert_eq!((all.config.state.as_path(), origin("state")), (Path::new("/flag/state"), Origin::Flag));
        assert_eq!((all.config.socket.as_path(), origin("socket")), (Path::new("/env/sock"), Origin::Environment));
        assert_eq!((all.config.limits.memory, origin("limits.memory")), (ByteSize(32 << 20), Origin::Environment));
        assert_eq!((all.config.limits.runs, origin("limits.runs")), (3, Origin::File));
        assert_eq!((all.config.limits.parts, origin("limits.parts")), (64, Origin::BuiltIn));
        assert_eq!(all.config.file.as_deref(), Some(Path::new("/etc/dth/dthd.toml")));
    }

    #[test]
    fn without_a_file_the_built_in_values_hold() {
        let none = run(&Flags::default(), &[("HOME", "/home/mli"), ("XDG_RUNTIME_DIR", "/run/user/7")], None).expect("good");
        assert_eq!(none.config.file, None);
        assert_eq!(none.config.state, Path::new("/home/mli/.local/state/dth"));
        assert_eq!(none.config.socket, Path::new("/run/user/7/dth/dthd.sock"));
        assert_eq!(none.config.limits, Limits::default());
        assert_eq!(none.config.cloudwatch, None);
        assert!(none.origins.values().all(|o| *o == Origin::BuiltIn));
    }

    #[test]
    fn directories_come_from_the_service_manager_first() {
        type Variables = &'static [(&'static str, &'static str)];
        let service: Variables = &[("STATE_DIRECTORY", "/var/lib/dth:/var/lib/other"), ("RUNTIME_DIRECTORY", "/run/dth"), ("HOME", "/h")];
        let session: Variables = &[("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/r")];
        let cases = [
            (service, false, "/var/lib/dth", "/run/dth/dthd.sock"),
            (session, false, "/s/dth", "/r/dth/dthd.sock"),
            (&[("HOME", "/root")], true, "/root/.local/state/dth", "/run/dth/dthd.sock"),
            (&[("HOME", "/h")], false, "/h/.local/state/dth", "/h/.local/state/dth/dthd.sock"),
            (&[], true, "/var/lib/dth", "/run/dth/dthd.sock"),
        ];
        for (variables, root, state, socket) in cases {
            let environment = Environment::of(variables.iter().copied(), root);
            assert_eq!(environment.default_state(), Path::new(state), "{variables:?}");
            assert_eq!(environment.default_socket(), Path::new(socket), "{variables:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_mixture_of_places_keeps_the_order(
            flag in proptest::option::of("/f/[a-z]{1,8}"),
            variable in proptest::option::of("/e/[a-z]{1,8}"),
            file in proptest::option::of("/t/[a-z]{1,8}"),
        ) {
            let flags = Flags { state: flag.as_ref().map(PathBuf::from), ..Flags::default() };
            let variables: Vec<(&str, &str)> = std::iter::once(("HOME", "/h")).chain(variable.as_deref().map(|v| ("DTHD_STATE", v))).collect();
            let text = file.as_ref().map(|f| format!("state = {f:?}\n"));
            let all = run(&flags, &variables, text.as_deref()).expect("good");
            let expected = [(flag, Origin::Flag), (variable, Origin::Environment), (file, Origin::File)]
                .into_iter()
                .find_map(|(value, origin)| Some((value?, origin)))
                .unwrap_or(("/h/.local/state/dth".to_owned(), Origin::BuiltIn));
            proptest::prop_assert_eq!((all.config.state, all.origins["state"]), (PathBuf::from(expected.0), expected.1));
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let flags = Flags { config: Some("/missing.toml".into()), ..Flags::default() };
        let bad = run(&flags, &[("HOME", "/h")], Some(FILE)).expect_err("no such file");
        assert!(bad.to_string().contains("cannot read the configuration /missing.toml"), "{bad}");
        let by_variable = run(&Flags::default(), &[("HOME", "/h"), ("DTHD_CONFIG", "/named.toml")], Some(FILE)).expect("named");
        assert_eq!(by_variable.config.file.as_deref(), Some(Path::new("/named.toml")));
    }

    #[test]
    fn own_profiles_are_read_with_their_mistakes() {
        let with = |text: &'static str| {
            let environment = Environment::of([("HOME", "/h")], false);
            load_with(&Flags::default(), &environment, Path::new("/etc/dth/dthd.toml"), &|path| match path.to_str() {
                Some("/etc/dth/dthd.toml") => Ok("[providers]\nfile = '/etc/dth/providers.toml'\n".to_owned()),
                Some("/etc/dth/providers.toml") if !text.is_empty() => Ok(text.to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            })
        };
        let good = with("[provider.cellar]\nlike = 'ceph'\n").expect("good");
        assert_eq!(good.origins["providers.file"], Origin::File);
        let names: Vec<&str> = good.config.providers.profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["cellar"]);
        let bad = with("[provider.cellar]\nlike = 'ceph'\ntasg = true\n").expect_err("a key that nobody knows");
        assert_eq!(bad.problems.len(), 1, "{bad}");
        assert!(
            bad.problems[0].starts_with("/etc/dth/providers.toml:3: provider.cellar.tasg is not a known key: did you mean \"tags\"?"),
            "{bad}"
        );
        let none = with("").expect_err("no file");
        assert!(none.problems[0].starts_with("cannot read providers.file /etc/dth/providers.toml: "), "{none}");
    }

    #[test]
    fn problems_of_all_places_come_at_once() {
        let variables = [("DTHD_LIMITS_RUNS", "many"), ("DTHD_SOKCET", "/x"), ("DTHD_LOG_FORMAT", "jsn"), ("HOME", "/h")];
        let bad = run(&Flags::default(), &variables, Some("drian = '1m'\n")).expect_err("four mistakes");
        assert_eq!(bad.problems.len(), 4, "{:#?}", bad.problems);
        for (problem, words) in bad.problems.iter().zip([
            "/etc/dth/dthd.toml:1: drian is not a known key: did you mean \"drain\"?",
            "environment: DTHD_LIMITS_RUNS invalid digit",
            "environment: DTHD_LOG_FORMAT \"jsn\" is not a log format: did you mean \"json\"?",
            "environment: DTHD_SOKCET is not a known variable: did you mean \"DTHD_SOCKET\"?",
        ]) {
            assert!(problem.starts_with(words), "{problem}");
        }
    }

    #[test]
    fn secrets_of_the_environment_are_not_kept() {
        let environment = Environment::of([("AWS_SECRET_ACCESS_KEY", "hidden"), ("HOME", "/h")], false);
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), None);
        assert!(!format!("{environment:?}").contains("hidden"));
    }
}
