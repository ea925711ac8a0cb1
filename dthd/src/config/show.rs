//! The effective values with their origin, as `dthd check` prints them. Credentials are described, never read.

use std::path::Path;

use dth_proto::{
    bandwidth::BandwidthPlan,
    time::{Span, Timestamp},
};
use jiff::tz::TimeZone;

use super::{Effective, Limits, Origin, Principal};
use crate::{
    clock,
    credential::{CredentialSpec, SecretSpec},
    transfer::bandwidth::plan,
};

/// One line per value: key, value, origin.
#[must_use]
pub fn show(effective: &Effective) -> String {
    let config = &effective.config;
    let limits = &config.limits;
    let or = |value: Option<String>, word: &str| value.unwrap_or_else(|| word.to_owned());
    let list = |all: &[Principal], empty: &str| {
        if all.is_empty() { empty.to_owned() } else { all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
    };
    let mut rows = vec![
        ("config", or(config.file.as_ref().map(|f| f.display().to_string()), "no file")),
        ("state", config.state.display().to_string()),
        ("socket", config.socket.display().to_string()),
        ("drain", Span(config.drain).to_string()),
        ("limits.memory", limits.memory.to_string()),
        ("limits.bandwidth", or(limits.bandwidth.as_ref().map(|plan| bandwidth(plan, clock::now(), &limits.zone())), "no limit")),
        ("limits.timezone", timezone(limits)),
        ("limits.runs", limits.runs.to_string()),
        ("limits.objects", limits.objects.to_string()),
        ("limits.parts", limits.parts.to_string()),
        ("access.operators", list(&config.access.operators, "root and the daemon's user")),
        ("access.viewers", list(&config.access.viewers, "everyone who can open the socket")),
        ("providers.file", or(config.providers.file.as_ref().map(|file| file.display().to_string()), "none")),
        ("log.filter", config.log_filter.clone()),
        ("log.format", config.log_format.word().to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value, effective.origins.get(key).copied().unwrap_or(Origin::BuiltIn)))
    .collect::<Vec<_>>();
    match &config.cloudwatch {
        None => rows.push(("cloudwatch".to_owned(), "off".to_owned(), Origin::BuiltIn)),
        Some(cloudwatch) => {
            for (key, value) in [
                ("namespace", cloudwatch.namespace.clone()),
                ("region", or(cloudwatch.region.clone(), "the SDK's default")),
                ("credential", or(cloudwatch.credential.clone(), "the SDK's default chain")),
                ("endpoint", or(cloudwatch.endpoint.clone(), "AWS")),
                ("interval", Span(cloudwatch.interval).to_string()),
            ] {
                rows.push((format!("cloudwatch.{key}"), value, Origin::File));
            }
        }
    }
    for (name, spec) in &config.credentials {
        rows.push((format!("credentials.{name}"), credential(spec), Origin::File));
    }
    for (name, price) in &config.prices {
        let price = [
            ("reads", price.reads),
            ("writes", price.writes),
            ("lists", price.lists),
            ("out", price.out),
            ("out_to_region", price.out_to_region),
        ];
        for (key, usd) in price.into_iter().filter_map(|(key, usd)| Some((key, usd?))) {
            rows.push((format!("prices.{name}.{key}"), format!("{} USD", usd.0), Origin::File));
        }
    }
    table(&rows, config.file.as_deref())
}

/// A plan, and what of it holds now where that depends on the clock.
fn bandwidth(plan: &BandwidthPlan, now: Timestamp, zone: &TimeZone) -> String {
    let current = plan::at(plan, now, zone);
    let rate = current.rate.map_or("no limit".to_owned(), |rate| rate.to_string());
    let until = current.until.and_then(|at| jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok());
    match until {
        Some(until) => format!("{plan} (now {rate}, until {})", until.to_zoned(zone.clone()).strftime("%a %H:%M")),
        None => plan.to_string(),
    }
}

fn timezone(limits: &Limits) -> String {
    let zone = limits.zone();
    let name = zone.iana_name().unwrap_or("unnamed");
    if limits.timezone.is_some() { name.to_owned() } else { format!("the machine's: {name}") }
}

fn credential(spec: &CredentialSpec) -> String {
    match spec {
        CredentialSpec::Default | CredentialSpec::Anonymous => spec.kind().to_owned(),
        CredentialSpec::Profile { name } => format!("profile {name}"),
        CredentialSpec::File { path } => format!("file {}", path.display()),
        CredentialSpec::Registry { path } => format!("registry {}", path.display()),
        CredentialSpec::SseC { path } => format!("sse-c {}", path.display()),
        CredentialSpec::Docker { path: Some(path) } => format!("docker {}", path.display()),
        CredentialSpec::Docker { path: None } => "docker, the daemon's user's config.json".to_owned(),
        CredentialSpec::Secret(SecretSpec { secret, region, credential, .. }) => {
            format!("secret {secret} in {region}, read with {}", credential.as_deref().unwrap_or("the default chain"))
        }
        CredentialSpec::Env { prefix } => format!("env {prefix}AWS_ACCESS_KEY_ID"),
    }
}

fn table(rows: &[(String, String, Origin)], file: Option<&Path>) -> String {
    let width = |get: fn(&(String, String, Origin)) -> &String| rows.iter().map(|r| get(r).chars().count()).max().unwrap_or(0);
    let (keys, values) = (width(|r| &r.0), width(|r| &r.1));
    let mut text = String::new();
    for (key, value, origin) in rows {
        let place = match (origin, file) {
            (Origin::Flag, _) => format!("flag --{key}"),
            (Origin::Environment, _) => format!("environment DTHD_{}", key.replace('.', "_").to_uppercase()),
            (Origin::File, Some(file)) => format!("file {}", file.display()),
            (origin, _) => origin.to_string(),
        };
        text.push_str(&format!("{key:keys$}  {value:values$}  {place}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};

    #[test]
    fn a_limit_by_the_clock_says_what_holds_now() {
        let zone = TimeZone::get("Asia/Shanghai").expect("zone");
        let show = |text: &str, now: &str| bandwidth(&text.parse().expect(text), now.parse().expect(now), &zone);
        assert_eq!(show("200MB/s", "2026-11-02T04:00:00Z"), "200MB/s");
        let office = "200MB/s mon-fri 08:00-18:00, off";
        assert_eq!(show(office, "2026-11-02T04:00:00Z"), format!("{office} (now 200MB/s, until Mon 18:00)"));
        assert_eq!(show(office, "2026-11-06T12:00:00Z"), format!("{office} (now no limit, until Mon 08:00)"));
    }

    #[test]
    fn every_value_has_its_origin() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("t.toml");
        std::fs::write(&file, "[credentials.cn]\ntype = 'file'\npath = '/k'\n[limits]\nruns = 2\n[cloudwatch]\n").expect("written");
        let flags = Flags { config: Some(file.clone()), state: Some("/s".into()), socket: None };
        let environment = Environment::of([("DTHD_LIMITS_PARTS", "3"), ("XDG_RUNTIME_DIR", "/r")], false);
        let text = show(&load(&flags, &environment).expect("good"));
        let words = |key: &str| {
            let line = text.lines().find(|l| l.split(' ').next() == Some(key)).unwrap_or_else(|| panic!("{key} in\n{text}"));
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("config"), format!("{} flag --config", file.display()));
        assert_eq!(words("state"), "/s flag --state");
        assert_eq!(words("limits.parts"), "3 environment DTHD_LIMITS_PARTS");
        assert_eq!(words("limits.runs"), format!("2 file {}", file.display()));
        assert_eq!(words("limits.objects"), "768 built-in");
        assert_eq!(words("cloudwatch.interval"), format!("1m file {}", file.display()));
        assert_eq!(words("credentials.cn"), format!("file /k file {}", file.display()));
    }
}
