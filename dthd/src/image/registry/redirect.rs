//! Where a registry may send a request on to, and what may be told there.

use std::net::IpAddr;

use http::Uri;

use crate::http::public::is_public;

/// So many times in a row at most.
pub(super) const MOST: usize = 5;

/// Why an address that a registry gave is not asked. Never shows its query, which may be a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("is no address")]
    NoAddress,
    #[error("leads from https to {0} without encryption")]
    Plain(String),
    #[error("leads from a public registry to {0}, an address that is not public")]
    Private(String),
}

/// The address that `location` means when it was given by `base` (RFC 3986, section 5; RFC 9110, section 10.2.2). Its characters are kept
/// as they are, because they may be signed.
pub(super) fn resolve(base: &Uri, location: &str) -> Result<Uri, Refused> {
    let location = location.trim();
    let (location, _fragment) = location.split_once('#').unwrap_or((location, ""));
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let text = if has_scheme(location) {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{}", without_dots(&format!("{folder}/{location}")))
    };
    let uri: Uri = text.parse().map_err(|_| Refused::NoAddress)?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    // a name in front of the host would be a password
    let host = uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if known && host { Ok(uri) } else { Err(Refused::NoAddress) }
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?', '#']);
    end.is_some_and(|end| {
        end > 0 && text[end..].starts_with(':') && text[..end].bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
    })
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(text: &str) -> String {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Whether what is meant for `one` may also be told to `other`: the same scheme, host and port, or the same host that now encrypts.
pub(super) fn is_same_place(one: &Uri, other: &Uri) -> bool {
    let same_host = host(one).eq_ignore_ascii_case(host(other));
    let schemes = (one.scheme_str(), other.scheme_str());
    same_host
        && ((schemes.0 == schemes.1 && port(one) == port(other))
            || (schemes == (Some("http"), Some("https")) && (port(one), port(other)) == (80, 443)))
}

/// Whether `target` may be asked because `from` said so: `registry` itself, or a place that it led to. `is_private`: the registry is
/// at an address that is not public. What a name leads to shows only when the connection is made; see [`needs_public`].
pub(super) fn check(registry: &Uri, from: &Uri, target: &Uri, is_private: bool) -> Result<(), Refused> {
    if from.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
        return Err(Refused::Plain(host(target).to_owned()));
    }
    if needs_public(registry, target, is_private) && literal(target).is_some_and(|address| !is_public(address)) {
        return Err(Refused::Private(host(target).to_owned()));
    }
    Ok(())
}

/// Whether only public addresses of `target` may be used: a public registry must not be able to make the daemon ask its neighbours. From
/// ECR to AWS's own names every address will do: in a VPC they can be endpoints of S3.
pub(super) fn needs_public(registry: &Uri, target: &Uri, is_private: bool) -> bool {
    let aws = |uri: &Uri| {
        let host = host(uri).to_ascii_lowercase();
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    };
    let within_aws = host(registry).contains(".dkr.ecr.") && aws(registry) && aws(target);
    let same_host = host(registry).eq_ignore_ascii_case(host(target));
    !(is_private || same_host || within_aws)
}

/// Host, without the brackets of IPv6.
pub(super) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']')
}

/// The port that is asked.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

/// The address that stands where a name would.
pub(super) fn literal(uri: &Uri) -> Option<IpAddr> {
    host(uri).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect(text)
    }

    #[test]
    fn locations_are_resolved() {
        let base = uri("https://reg.example:5000/v2/a/blobs/uploads/?x=1");
        for (location, expected) in [
            ("https://cdn.example/b?sig=a%2Fb+c", Some("https://cdn.example/b?sig=a%2Fb+c")),
            ("//cdn.example/b", Some("https://cdn.example/b")),
            ("/v2/a/blobs/uploads/7?_state=z", Some("https://reg.example:5000/v2/a/blobs/uploads/7?_state=z")),
            ("7?_state=z/..", Some("https://reg.example:5000/v2/a/blobs/uploads/7?_state=z/..")),
            ("../../b/./c", Some("https://reg.example:5000/v2/a/b/c")),
            ("?y=2", Some("https://reg.example:5000/v2/a/blobs/uploads/?y=2")),
            (" /v2/#top", Some("https://reg.example:5000/v2/")),
            ("ftp://cdn.example/b", None),
            ("file:///etc/passwd", None),
            ("https://me:secret@cdn.example/", None),
            ("https://", None),
            ("https://a b/", None),
        ] {
            assert_eq!(resolve(&base, location).ok().map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn passwords_stay_where_they_belong() {
        for (one, other, same) in [
            ("https://reg.example/v2/", "https://REG.example:443/v2/x", true),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/", false),
            ("https://reg.example/", "https://cdn.reg.example/", false),
            ("http://reg.example/", "https://reg.example/", true),
            ("http://reg.example:5000/", "https://reg.example/", false),
            ("https://reg.example/", "http://reg.example/", false),
        ] {
            assert_eq!(is_same_place(&uri(one), &uri(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn public_registries_lead_to_public_places_only() {
        let public = "https://reg.example/";
        for (from, to, is_private, good) in [
            (public, "https://cdn.example/b", false, true),
            (public, "http://cdn.example/b", false, false),
            (public, "https://169.254.169.254/latest/meta-data", false, false),
            (public, "https://[::1]:8080/", false, false),
            (public, "https://[::ffff:10.0.0.1]/", false, false),
            (public, "https://8.8.8.8/", false, true),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/b", true, true),
            ("http://10.0.0.1/", "http://10.0.0.2/b", true, true),
            ("http://8.8.8.8/", "http://10.0.0.2/b", false, false),
            ("http://8.8.8.8/", "http://8.8.8.8:81/b", false, true),
            ("http://8.8.8.8/", "https://cdn.example/b", false, true),
        ] {
            assert_eq!(check(&uri(from), &uri(from), &uri(to), is_private).is_ok(), good, "{from} {to}");
        }
        let ecr = uri("https://123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/");
        assert!(!needs_public(&ecr, &uri("https://starport.s3.us-east-1.amazonaws.com/b?X-Amz-Signature=x"), false));
        assert!(
            needs_public(&ecr, &uri("https://evil.example/b"), false)
                && needs_public(&uri(public), &uri("https://s3.amazonaws.com/"), false)
        );
        let refused =
            check(&uri(public), &uri(public), &uri("http://cdn.example/b?X-Amz-Signature=secret"), false).expect_err("plain").to_string();
        assert!(refused.contains("cdn.example") && !refused.contains("secret"), "{refused}");
    }
}
