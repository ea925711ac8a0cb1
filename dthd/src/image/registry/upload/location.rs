//! Where an upload goes on, as registries put it, and how much of it they have.

use http::Uri;

use crate::image::{digest::Digest, registry::Site};

/// The target of the next request: path and query where `location` means `site`, else a whole address. `asked` is the target of the request
/// that was answered. `None`: it is no address.
pub(super) fn resolve(site: &Site, asked: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or(location);
    if location.contains("://") {
        let uri: Uri = location.parse().ok()?;
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        // also with another scheme: what stands behind a proxy for TLS often believes to be spoken to without
        return Some(if is_at(site, &uri) { rest.to_owned() } else { location.to_owned() });
    }
    let base = asked.split('?').next().unwrap_or(asked);
    match location.as_bytes().first()? {
        b'/' if location.starts_with("//") => resolve(site, asked, &format!("{}:{location}", site.scheme())),
        b'/' => Some(match base.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?.0))) {
            Some((scheme, host)) => format!("{scheme}://{host}{location}"),
            None => location.to_owned(),
        }),
        b'?' => Some(format!("{base}{location}")),
        _ if location.starts_with("v2/") => resolve(site, asked, &format!("/{location}")),
        _ => Some(format!("{}/{location}", base.rsplit_once('/').map_or("", |(directory, _)| directory))),
    }
}

/// Whether an address is one of the registry, by name and port; without a port, by its name alone.
fn is_at(site: &Site, uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let default = |scheme: Option<&str>| if scheme == Some("http") { 80 } else { 443 };
    let (name, port) = match site.host().rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port.parse().ok()),
        _ => (site.host(), None),
    };
    let ours = port.unwrap_or_else(|| default(Some(site.scheme())));
    let theirs = authority.port_u16().unwrap_or_else(|| default(uri.scheme_str()));
    let only_scheme_differs = port.is_none() && authority.port_u16().is_none();
    authority.host().eq_ignore_ascii_case(name) && (ours == theirs || only_scheme_differs)
}

/// The address with which a blob is complete. The query that is there belongs to the registry and stays.
pub(super) fn with_digest(location: &str, digest: &Digest) -> String {
    let sign = if location.contains('?') { '&' } else { '?' };
    format!("{location}{sign}digest={}", escaped(digest.as_str()))
}

/// A digest as all clients write it into a query.
pub(super) fn escaped(digest: &str) -> String {
    digest.replace(':', "%3A")
}

/// The first byte that is missing, from `0-LAST` (of the distribution specification) or `bytes=0-LAST` (of HTTP). `None`: it says something
/// else, also that it does not begin with the first byte.
pub(super) fn range_end(range: &str) -> Option<u64> {
    let range = range.strip_prefix("bytes").map_or(range, |rest| rest.trim_start_matches(['=', ' ']));
    let (first, last) = range.split_once('-')?;
    let last = last.split('/').next()?;
    if first.trim() != "0" {
        return None;
    }
    last.trim().parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: &str = "/v2/a/blobs/uploads/?mount=x";

    #[test]
    fn locations_are_those_of_the_registry_or_elsewhere() {
        for (site, location, expected) in [
            ("https://r.example", "/v2/a/blobs/uploads/1?s=2%3D", Some("/v2/a/blobs/uploads/1?s=2%3D")),
            ("https://r.example", "https://r.example/v2/up/1?s=2", Some("/v2/up/1?s=2")),
            ("https://r.example", "https://R.example:443/v2/up/1", Some("/v2/up/1")),
            ("https://r.example", "http://r.example/v2/up/1", Some("/v2/up/1")),
            ("http://r.example:5000", "http://r.example:5000/v2/up/1", Some("/v2/up/1")),
            ("http://r.example:5000", "http://r.example:5001/v2/up/1", Some("http://r.example:5001/v2/up/1")),
            ("http://r.example:5000", "http://r.example/v2/up/1", Some("http://r.example/v2/up/1")),
            ("https://r.example", "https://blobs.example/up/1?sig=a/b", Some("https://blobs.example/up/1?sig=a/b")),
            ("https://r.example", "//blobs.example/up", Some("https://blobs.example/up")),
            ("https://r.example", "v2/up/1", Some("/v2/up/1")),
            ("https://r.example", "1234", Some("/v2/a/blobs/uploads/1234")),
            ("https://r.example", "?s=3", Some("/v2/a/blobs/uploads/?s=3")),
            ("https://r.example", "/v2/up/1#part", Some("/v2/up/1")),
            ("https://r.example", "https://r.example", Some("/")),
            ("https://r.example", "", None),
            ("https://r.example", "http://[", None),
        ] {
            assert_eq!(resolve(&Site::of(site), ASKED, location).as_deref(), expected, "{site} {location}");
        }
        let elsewhere = resolve(&Site::of("https://r.example"), "https://blobs.example/up/1?a=b", "/up/2");
        assert_eq!(elsewhere.as_deref(), Some("https://blobs.example/up/2"), "relative to whom we asked");
    }

    #[test]
    fn digests_are_put_behind_what_is_there() {
        let digest = Digest::sha256(b"");
        let hex = digest.hex();
        assert_eq!(with_digest("/up/1", &digest), format!("/up/1?digest=sha256%3A{hex}"));
        assert_eq!(with_digest("/up/1?_state=a%2Fb", &digest), format!("/up/1?_state=a%2Fb&digest=sha256%3A{hex}"));
    }

    #[test]
    fn ranges_tell_what_is_missing() {
        for (range, expected) in [
            ("0-0", Some(1)),
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("bytes 0-9/10", Some(10)),
            ("0 - 9", Some(10)),
            ("5-9", None),
            ("0--1", None),
            ("0-", None),
            ("", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(range_end(range), expected, "{range}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _ = resolve(&Site::of("https://r.example"), ASKED, &text);
            let _ = range_end(&text);
        }
    }
}
