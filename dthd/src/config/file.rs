//! dthd.toml: every key by name, every problem with its line.

use std::{collections::BTreeMap, path::PathBuf};

use dth_proto::{
    bandwidth::BandwidthPlan,
    document::{BadDocument, Document, Table, suggestion},
    time::Span,
    units::ByteSize,
};
use jiff::tz::TimeZone;

use super::{
    CloudWatch, DEFAULT_INTERVAL, DEFAULT_NAMESPACE, LogFormat, Principal,
    secret::{self, Reader},
    validate::{self, Rule},
};
use crate::{
    credential::CredentialSpec,
    price::{Price, Prices},
};

/// What one place (flags, environment, file) says; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) state: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    pub(super) drain: Option<Span>,
    pub(super) memory: Option<ByteSize>,
    pub(super) bandwidth: Option<BandwidthPlan>,
    pub(super) timezone: Option<TimeZone>,
    pub(super) runs: Option<u32>,
    pub(super) objects: Option<u32>,
    pub(super) parts: Option<u32>,
    pub(super) operators: Option<Vec<Principal>>,
    pub(super) viewers: Option<Vec<Principal>>,
    pub(super) cloudwatch: Option<CloudWatch>,
    pub(super) providers: Option<PathBuf>,
    pub(super) log_filter: Option<String>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) credentials: BTreeMap<String, CredentialSpec>,
    pub(super) prices: Prices,
}

/// Reads a text in the form of dthd.toml; `file` names it in messages.
pub(super) fn read(file: &str, text: &str) -> Result<Values, BadDocument> {
    Document::parse(file, text, root)
}

fn root(t: &mut Table<'_, '_>) -> Values {
    let mut values = Values::default();
    values.state = path(t, "state", "state", &|p| validate::absolute(p));
    values.socket = path(t, "socket", "socket", &|p| validate::socket(p));
    values.drain = t.parsed("drain");
    values.drain = checked(t, "drain", "drain", values.drain, &validate::drain);
    let _ = t.table("limits", |l| limits(l, &mut values));
    let mut readers = Vec::new();
    let credentials = t.tables("credentials", |name, c| (name.to_owned(), credential(name, c, &mut readers)));
    secret::check(&readers, &credentials);
    let _ = t.table("access", |a| {
        values.operators = principals(a, "operators");
        values.viewers = principals(a, "viewers");
    });
    values.cloudwatch = t.table("cloudwatch", |c| cloudwatch(c, &credentials));
    values.providers = t.table("providers", |p| path(p, "file", "providers.file", &|p| validate::absolute(p))).flatten();
    let _ = t.table("log", |l| {
        let filter = l.text("filter");
        values.log_filter = checked(l, "filter", "log.filter", filter, &validate::log_filter);
        values.log_format = l.parsed("format");
    });
    values.prices = t.tables("prices", |name, p| (name.to_owned(), Price::read(p))).into_iter().collect();
    values.credentials = credentials.into_iter().filter_map(|(name, spec)| Some((name, spec?))).collect();
    values
}

fn limits(t: &mut Table<'_, '_>, values: &mut Values) {
    let memory = t.parsed("memory");
    values.memory = checked(t, "memory", "limits.memory", memory, &validate::memory);
    values.bandwidth = BandwidthPlan::read(t, "bandwidth");
    let timezone = t.text("timezone");
    values.timezone = timezone.and_then(|name| {
        let zone = validate::timezone(&name);
        zone.map_err(|why| t.problem(Some("timezone"), format!("limits.timezone {why}"))).ok()
    });
    let mut number = |key, range| t.number(key, range).and_then(|n| u32::try_from(n).ok());
    values.runs = number("runs", validate::RUNS);
    values.objects = number("objects", validate::OBJECTS);
    values.parts = number("parts", validate::PARTS);
}

fn credential<'i>(name: &str, t: &mut Table<'_, 'i>, readers: &mut Vec<Reader<'i>>) -> Option<CredentialSpec> {
    const KINDS: [(&str, &str); 9] = [
        ("default", "default"),
        ("profile", "profile"),
        ("file", "file"),
        ("env", "env"),
        ("secret", "secret"),
        ("registry", "registry"),
        ("docker", "docker"),
        ("sse-c", "sse-c"),
        ("anonymous", "anonymous"),
    ];
    if let Err(why) = validate::credential_name(name) {
        t.problem(None, format!("credentials.{name} {why}"));
    }
    if !t.has("type") {
        t.problem(None, format!("credentials.{name}.type is missing: use one of {}", KINDS.map(|(word, _)| word).join(", ")));
    }
    let kind = t.choice("type", &KINDS);
    // every key of every type is known here, so that a wrong type is one problem and not several
    match kind {
        Some("default") => Some(CredentialSpec::Default),
        Some("profile") => t.required("name", "the profile of the shared AWS configuration").map(|name| CredentialSpec::Profile { name }),
        Some("file") => {
            t.required("path", "the JSON file with access_key_id and secret_access_key");
            path(t, "path", &format!("credentials.{name}.path"), &|p| validate::absolute(p)).map(|path| CredentialSpec::File { path })
        }
        Some("registry") => {
            t.required("path", "the JSON file with username and password, or with identity_token");
            path(t, "path", &format!("credentials.{name}.path"), &|p| validate::absolute(p)).map(|path| CredentialSpec::Registry { path })
        }
        Some("sse-c") => {
            t.required("path", "the file with the key, 32 bytes or their base64");
            path(t, "path", &format!("credentials.{name}.path"), &|p| validate::absolute(p)).map(|path| CredentialSpec::SseC { path })
        }
        Some("docker") => {
            let path = path(t, "path", &format!("credentials.{name}.path"), &|p| validate::absolute(p));
            Some(CredentialSpec::Docker { path })
        }
        Some("env") => Some(CredentialSpec::Env { prefix: t.text("prefix").unwrap_or_default() }),
        Some("secret") => secret::read(name, t, readers).map(CredentialSpec::Secret),
        Some("anonymous") => Some(CredentialSpec::Anonymous),
        _ => {
            for key in ["name", "path", "prefix", "secret", "region", "endpoint", "credential"] {
                t.text(key);
            }
            None
        }
    }
}

fn cloudwatch(t: &mut Table<'_, '_>, credentials: &[(String, Option<CredentialSpec>)]) -> CloudWatch {
    // also those with mistakes of their own: who names one makes no second mistake
    let names: Vec<&str> = credentials.iter().map(|(name, _)| name.as_str()).collect();
    let namespace = t.text("namespace");
    let namespace = checked(t, "namespace", "cloudwatch.namespace", namespace, &|n: &String| validate::namespace(n));
    let credential = t.text("credential");
    let credential = checked(t, "credential", "cloudwatch.credential", credential, &|name: &String| {
        if name != "anonymous" && !names.contains(&name.as_str()) {
            return Err(format!("= {name:?} is not defined in [credentials]{}", suggestion(name, &names, "defined are ")));
        }
        let kind = credentials.iter().find(|(n, _)| n == name).and_then(|(_, spec)| Some(spec.as_ref()?.kind()));
        if let Some(kind @ ("registry" | "docker")) = kind {
            return Err(format!("= {name:?} is of type {kind}, which signs in to registries and not to AWS"));
        }
        if kind == Some("sse-c") {
            return Err(format!("= {name:?} is of type sse-c, which encrypts objects and signs nothing"));
        }
        Ok(())
    });
    let endpoint = t.text("endpoint");
    let interval = t.parsed("interval");
    CloudWatch {
        namespace: namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        region: t.text("region"),
        credential,
        endpoint: checked(t, "endpoint", "cloudwatch.endpoint", endpoint, &|e: &String| validate::endpoint(e)),
        interval: checked(t, "interval", "cloudwatch.interval", interval, &validate::interval).map_or(DEFAULT_INTERVAL, |s: Span| s.0),
    }
}

fn principals(t: &mut Table<'_, '_>, key: &str) -> Option<Vec<Principal>> {
    let texts = t.texts(key)?;
    let parsed: Vec<Result<Principal, String>> = texts.iter().map(|text| text.parse()).collect();
    for why in parsed.iter().filter_map(|p| p.as_ref().err()) {
        t.problem(Some(key), format!("access.{key}: {why}"));
    }
    Some(parsed.into_iter().flatten().collect())
}

fn path(t: &mut Table<'_, '_>, key: &str, full: &str, rule: &Rule<'_, PathBuf>) -> Option<PathBuf> {
    let path = t.text(key).filter(|p| !p.is_empty()).map(PathBuf::from);
    checked(t, key, full, path, rule)
}

/// Reports a value that breaks its rule.
pub(super) fn checked<T>(t: &Table<'_, '_>, key: &str, full: &str, value: Option<T>, rule: &Rule<'_, T>) -> Option<T> {
    let value = value?;
    match rule(&value) {
        Ok(()) => Some(value),
        Err(why) => {
            t.problem(Some(key), format!("{full} {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_read() {
        let values = read(
            "dthd.toml",
            r#"
state = "/srv/dth"
drain = "1m"
[credentials.cn]
type = "file"
path = "/etc/dth/credentials.d/cn"
[credentials.eu]
type = "profile"
name = "eu-admin"
[credentials.ci]
type = "env"
prefix = "CI_"
[credentials.hub]
type = "registry"
path = "/etc/dth/credentials.d/hub"
[credentials.docker]
type = "docker"
[limits]
memory = "1GiB"
bandwidth = ["200MB/s mon-fri 08:00-18:00", "10Gbit/s"]
timezone = "Asia/Shanghai"
runs = 4
[access]
operators = ["group:dth-admin", "user:ci"]
[cloudwatch]
credential = "eu"
interval = "30s"
[log]
format = "json"
"#,
        )
        .expect("a good file");
        assert_eq!(values.state, Some("/srv/dth".into()));
        assert_eq!(values.memory, Some(ByteSize(1 << 30)));
        assert_eq!((values.runs, values.objects), (Some(4), None));
        assert_eq!(values.bandwidth.map(|b| b.to_string()).as_deref(), Some("200MB/s mon-fri 08:00-18:00, 1250MB/s"));
        assert_eq!(values.timezone.and_then(|z| z.iana_name().map(str::to_owned)).as_deref(), Some("Asia/Shanghai"));
        assert_eq!(values.credentials["cn"], CredentialSpec::File { path: "/etc/dth/credentials.d/cn".into() });
        assert_eq!(values.credentials["eu"], CredentialSpec::Profile { name: "eu-admin".to_owned() });
        assert_eq!(values.credentials["ci"], CredentialSpec::Env { prefix: "CI_".to_owned() });
        assert_eq!(values.credentials["hub"], CredentialSpec::Registry { path: "/etc/dth/credentials.d/hub".into() });
        assert_eq!(values.credentials["docker"], CredentialSpec::Docker { path: None });
        assert_eq!(values.operators, Some(vec![Principal::Group("dth-admin".to_owned()), Principal::User("ci".to_owned())]));
        let cloudwatch = values.cloudwatch.expect("on");
        assert_eq!((cloudwatch.namespace.as_str(), cloudwatch.interval.as_secs()), (DEFAULT_NAMESPACE, 30));
        assert_eq!(values.log_format, Some(LogFormat::Json));
    }

    #[test]
    fn credentials_for_registries_do_not_sign_in_to_aws() {
        let text = "[credentials.hub]\ntype = 'docker'\npath = 'config.json'\n[credentials.gh]\ntype = 'registry'\n[cloudwatch]\ncredential = 'hub'\n";
        let lines = read("t.toml", text).expect_err("three mistakes").lines();
        let expected = [
            "t.toml:3: credentials.hub.path must begin with /",
            "t.toml:4: credentials.gh.path is missing: the JSON file with username and password",
            "t.toml:7: cloudwatch.credential = \"hub\" is of type docker, which signs in to registries and not to AWS",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "stat = '/x'
socket = 'dthd.sock'
[limits]
memory = '1MiB'
runs = 0
[credentials.a]
type = 'vault'
arn = 'x'
[credentials.b]
type = 'file'
[credentials.anonymous]
type = 'anonymous'
[cloudwatch]
credential = 'c'
interval = '5s'
[access]
operators = ['dth-admin']
[log]
filter = 'dthd=loud'
format = 'jsn'
";
        let bad = read("t.toml", text).expect_err("many mistakes");
        let expected = [
            "t.toml:1: stat is not a known key: did you mean \"state\"?",
            "t.toml:2: socket must begin with /",
            "t.toml:4: limits.memory must be at least 8MiB, not 1MiB",
            "t.toml:5: limits.runs must be from 1 to 1000, not 0",
            "t.toml:7: credentials.a.type = \"vault\" is not known: use one of default, profile, file, env, secret, registry, docker, sse-c, anonymous",
            "t.toml:8: credentials.a.arn is not a known key: ",
            "t.toml:9: credentials.b.path is missing: ",
            "t.toml:11: credentials.anonymous is built in",
            "t.toml:14: cloudwatch.credential = \"c\" is not defined in [credentials]: did you mean \"a\"?",
            "t.toml:15: cloudwatch.interval must be from 10s to 1h, not 5s",
            "t.toml:17: access.operators: \"dth-admin\" is neither a user nor a group: write user:NAME or group:NAME",
            "t.toml:19: log.filter \"dthd=loud\" is not a log filter",
            "t.toml:20: log.format: \"jsn\" is not a log format: did you mean \"json\"?",
        ];
        let lines = bad.lines();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
    }
}
