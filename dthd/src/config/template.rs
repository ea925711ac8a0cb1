//! The commented template that `dthd print-config` prints: config/dthd.toml itself.

/// dthd.toml with every key, its default, and what it means. `#key = value` is a default, or an example where there is none.
pub const TEMPLATE: &str = include_str!("../../../config/dthd.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{
            Access, Environment, Flags, Limits, Principal,
            file::{self, Values},
            load,
        },
        credential::CredentialSpec,
    };

    fn effective(text: &str) -> crate::config::Config {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("dthd.toml");
        std::fs::write(&path, text).expect("written");
        let environment = Environment::of([("STATE_DIRECTORY", "/var/lib/dth"), ("RUNTIME_DIRECTORY", "/run/dth")], false);
        let mut config = load(&Flags { config: Some(path), ..Flags::default() }, &environment).expect("a good file").config;
        config.file = None;
        config
    }

    /// The template with every `#key = value` and `#[table]` in force.
    fn uncommented() -> String {
        TEMPLATE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with([' ', '#'])).unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn as_printed_it_changes_nothing() {
        assert_eq!(file::read("t", TEMPLATE), Ok(Values::default()));
    }

    #[test]
    fn what_it_calls_defaults_are_the_defaults() {
        let built_in = effective("");
        // the example of a file of own profiles must be there to be read
        let own = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(own.path(), "[provider.cellar]\nlike = 'ceph'\n").expect("written");
        let own = own.into_temp_path();
        let text = uncommented();
        assert!(text.contains("\"/etc/dth/providers.toml\""));
        let mut written = effective(&text.replace("/etc/dth/providers.toml", &own.display().to_string()));
        let own = own.to_path_buf();
        assert_eq!(
            written.limits.bandwidth.take().map(|r| r.to_string()).as_deref(),
            Some("200MB/s mon-fri 08:00-18:00, 1250MB/s"),
            "an example"
        );
        assert_eq!(
            written.limits.timezone.take().and_then(|z| z.iana_name().map(str::to_owned)).as_deref(),
            Some("Asia/Shanghai"),
            "an example"
        );
        assert_eq!(
            std::mem::take(&mut written.access),
            Access { operators: vec![Principal::Group("dth-admin".to_owned())], viewers: vec![Principal::Group("dth".to_owned())] }
        );
        let credentials = std::mem::take(&mut written.credentials);
        let kinds: Vec<&str> = credentials.values().map(CredentialSpec::kind).collect();
        assert_eq!(kinds.len(), 9, "one example of each type: {kinds:?}");
        let prices = std::mem::take(&mut written.prices);
        assert!(prices["aws-cn"].reads.is_some(), "an example: {prices:?}");
        assert_eq!(std::mem::take(&mut written.providers.file), Some(own), "an example");
        let profiles = std::mem::take(&mut written.providers.profiles);
        assert_eq!(profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>(), ["cellar"]);
        let cloudwatch = written.cloudwatch.take().expect("an example");
        assert_eq!(cloudwatch.interval, crate::config::DEFAULT_INTERVAL);
        assert_eq!(cloudwatch.namespace, crate::config::DEFAULT_NAMESPACE);
        assert_eq!(written, built_in);
        assert_eq!(written.limits, Limits::default());
    }

    #[test]
    fn every_key_is_in_it() {
        let values = file::read("t", &uncommented()).expect("good");
        let Values {
            state,
            socket,
            drain,
            memory,
            bandwidth,
            timezone,
            runs,
            objects,
            parts,
            operators,
            viewers,
            cloudwatch,
            providers,
            log_filter,
            log_format,
            credentials,
            prices,
        } = values;
        let there = [
            state.is_some(),
            socket.is_some(),
            drain.is_some(),
            memory.is_some(),
            bandwidth.is_some(),
            timezone.is_some(),
            runs.is_some(),
            objects.is_some(),
            parts.is_some(),
            operators.is_some(),
            viewers.is_some(),
            providers.is_some(),
            log_filter.is_some(),
            log_format.is_some(),
            !credentials.is_empty(),
            !prices.is_empty(),
        ];
        assert_eq!(there, [true; 16]);
        let cloudwatch = cloudwatch.expect("an example");
        assert!(cloudwatch.region.is_some() && cloudwatch.credential.is_some() && cloudwatch.endpoint.is_some());
    }
}
