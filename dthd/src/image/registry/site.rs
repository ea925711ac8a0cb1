//! Where a registry is.

use std::fmt;

use dth_proto::spec::image::DOCKER_HUB;

/// Where the registry really is that Docker calls by several names.
const REALLY_AT: &str = "registry-1.docker.io";

/// The address of a registry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Site {
    /// `http` or `https`.
    scheme: &'static str,
    /// `host[:port]`.
    host: String,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

impl Site {
    /// The site of an address as tasks have it: `docker.io`, `registry.example.com:5000`, `http://127.0.0.1:5000`. Without a scheme it is
    /// https.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let (scheme, host) = match address.split_once("://") {
            Some(("http", host)) => ("http", host),
            Some((_, host)) => ("https", host),
            None => ("https", address),
        };
        let host = host.trim_end_matches('/');
        let host = if DOCKER_HUB.contains(&host) { REALLY_AT } else { host };
        Self { scheme, host: host.to_owned() }
    }

    /// `host[:port]`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether it is Docker Hub, where names without a `/` are in `library/`.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.host == REALLY_AT
    }

    /// `https://host/path`; `path` begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (address, url) in [
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("ghcr.io", "https://ghcr.io/v2/"),
            ("registry.example.com:5000", "https://registry.example.com:5000/v2/"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/v2/"),
        ] {
            assert_eq!(Site::of(address).url("/v2/"), url);
        }
        assert!(Site::of("https://index.docker.io").is_docker_hub() && !Site::of("ghcr.io").is_docker_hub());
    }
}
