//! Where a daemon is: `unix:/path`, `ssh://[user@]host[:port][/socket]`.

use std::{env, ffi::OsString, fmt, path::PathBuf, str::FromStr};

/// The address of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket on this machine.
    Unix(PathBuf),
    /// `dthd dial-stdio` on another machine, reached by ssh.
    Ssh(SshTarget),
}

/// The parts of an `ssh://` address. None of them can be taken for an option: see [`Address::from_str`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// The remote user, if named.
    pub user: Option<String>,
    /// Host name or address.
    pub host: String,
    /// The remote port, if named.
    pub port: Option<u16>,
    /// The daemon's socket on the remote machine, if named.
    pub socket: Option<String>,
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: {why}; use unix:/path or ssh://[user@]host[:port][/socket]")]
pub struct BadAddress {
    text: String,
    why: &'static str,
}

impl Address {
    /// The local daemon's socket; see [`local_socket`].
    #[must_use]
    pub fn local() -> Self {
        Self::Unix(local_socket())
    }
}

/// The socket of a service that runs as root or as a user of its own.
pub const SERVICE_SOCKET: &str = "/run/dth/dthd.sock";

/// Where a client finds the local daemon: `$DTHD_SOCKET`, else where a daemon started by the same user listens
/// ([`user_socket`]), else [`SERVICE_SOCKET`] when only that exists.
#[must_use]
pub fn local_socket() -> PathBuf {
    if let Some(path) = env::var_os("DTHD_SOCKET").filter(|p| !p.is_empty()) {
        return path.into();
    }
    let service = PathBuf::from(SERVICE_SOCKET);
    let own = user_socket(|name| env::var_os(name), nix::unistd::geteuid().is_root());
    if own.exists() || !service.exists() { own } else { service }
}

/// Where a daemon without configuration listens: `$XDG_RUNTIME_DIR/dth/dthd.sock`, else [`SERVICE_SOCKET`] for root, else
/// `dthd.sock` in [`user_state`]. `variable` looks up the environment.
pub fn user_socket(variable: impl Fn(&str) -> Option<OsString>, root: bool) -> PathBuf {
    match variable("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        Some(directory) => PathBuf::from(directory).join("dth/dthd.sock"),
        None if root => PathBuf::from(SERVICE_SOCKET),
        None => user_state(variable).join("dthd.sock"),
    }
}

/// Where a daemon without configuration keeps its state: `$XDG_STATE_HOME/dth`, else `~/.local/state/dth`, else
/// `/var/lib/dth`. `variable` looks up the environment.
pub fn user_state(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let directory = |name: &str| variable(name).filter(|d| !d.is_empty()).map(PathBuf::from);
    directory("XDG_STATE_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".local/state")))
        .map_or_else(|| PathBuf::from("/var/lib/dth"), |state| state.join("dth"))
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = |why| BadAddress { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(bad("the path is missing")) } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let Some(rest) = text.strip_prefix("ssh://") else {
            return Err(bad("the scheme is not known"));
        };
        if rest.contains(['?', '#']) {
            return Err(bad("? and # have no meaning here"));
        }
        let (authority, socket) = match rest.split_once('/') {
            Some((authority, "")) => (authority, None),
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (rest, None),
        };
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(bad("a password does not belong into an address")),
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port.parse().map_err(|_| bad("the port is not a number"))?))
            }
            _ => (host_port, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        let plain = |s: &str| !s.starts_with('-') && s.chars().all(|c| c.is_ascii_alphanumeric() || "._-:%".contains(c));
        if !plain(host) || user.as_deref().is_some_and(|u| u.is_empty() || !plain(u)) {
            return Err(bad("user and host may hold letters, digits and . _ - only, and not begin with -"));
        }
        Ok(Self::Ssh(SshTarget { user, host: host.to_owned(), port, socket }))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Ssh(t) => {
                f.write_str("ssh://")?;
                if let Some(user) = &t.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&t.host)?;
                if let Some(port) = t.port {
                    write!(f, ":{port}")?;
                }
                f.write_str(t.socket.as_deref().unwrap_or(""))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> SshTarget {
        match text.parse() {
            Ok(Address::Ssh(target)) => target,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!("unix:/run/x.sock".parse(), Ok(Address::Unix("/run/x.sock".into())));
        let t = ssh("ssh://mli@xfer-bj-01:2222/run/dth/dthd.sock");
        assert_eq!((t.user.as_deref(), t.host.as_str(), t.port), (Some("mli"), "xfer-bj-01", Some(2222)));
        assert_eq!(t.socket.as_deref(), Some("/run/dth/dthd.sock"));
        assert_eq!(ssh("ssh://host").port, None);
        assert_eq!(ssh("ssh://[::1]:22").host, "::1");
        for text in ["unix:/a", "ssh://u@h:1/s", "ssh://h"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn options_and_passwords_are_refused() {
        for text in ["ssh://-oProxyCommand=x", "ssh://u:secret@h", "ssh://-l@h", "ssh://h;rm", "ssh://", "tls://h:1", "unix:", "ssh://h:x"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
