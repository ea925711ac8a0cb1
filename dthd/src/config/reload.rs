//! What of a new configuration may take effect while the daemon runs.

use super::Config;

/// The configuration to go on with, and the keys whose new value waits for a restart.
///
/// Limits, credentials, prices, access, CloudWatch, profiles of stores, the log filter and the drain time change at once; where the state and the
/// socket are, and the form of the log, stay as they were.
#[must_use]
pub fn reload(old: &Config, new: Config) -> (Config, Vec<&'static str>) {
    let mut needs_restart = Vec::new();
    let mut fixed = |key, changed| {
        if changed {
            needs_restart.push(key);
        }
    };
    fixed("state", old.state != new.state);
    fixed("socket", old.socket != new.socket);
    fixed("log.format", old.log_format != new.log_format);
    let config = Config { state: old.state.clone(), socket: old.socket.clone(), log_format: old.log_format, ..new };
    (config, needs_restart)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use dth_proto::units::Rate;

    use super::*;
    use crate::{
        config::{Access, CloudWatch, Limits, LogFormat, Principal, Providers},
        credential::CredentialSpec,
    };

    fn old() -> Config {
        Config {
            file: Some("/etc/dth/dthd.toml".into()),
            state: "/s".into(),
            socket: "/r/dthd.sock".into(),
            limits: Limits::default(),
            credentials: BTreeMap::new(),
            prices: BTreeMap::new(),
            access: Access::default(),
            cloudwatch: None,
            providers: Providers::default(),
            log_filter: "info".to_owned(),
            log_format: LogFormat::Auto,
            drain: Duration::from_secs(30),
        }
    }

    #[test]
    fn live_values_are_taken() {
        let new = Config {
            limits: Limits { bandwidth: Some(Rate(1).into()), runs: 1, ..Limits::default() },
            credentials: BTreeMap::from([("a".to_owned(), CredentialSpec::Default)]),
            access: Access { operators: vec![Principal::User("ci".to_owned())], viewers: Vec::new() },
            cloudwatch: Some(CloudWatch {
                namespace: "N".to_owned(),
                region: None,
                credential: None,
                endpoint: None,
                interval: Duration::from_secs(10),
            }),
            log_filter: "debug".to_owned(),
            drain: Duration::from_secs(1),
            ..old()
        };
        assert_eq!(reload(&old(), new.clone()), (new, Vec::new()));
    }

    #[test]
    fn fixed_values_are_kept_and_named() {
        let new = Config { state: "/t".into(), socket: "/q".into(), log_format: LogFormat::Json, ..old() };
        assert_eq!(reload(&old(), new), (old(), vec!["state", "socket", "log.format"]));
    }
}
