//! Where an upload goes on, as registries put it, and how much of it they have.

use http::{HeaderMap, Uri, header};

use crate::image::{
    digest::Digest,
    registry::{answer::text, redirect},
};

/// The address that an answer gives for the next request. `asked` is the address that answered. `None`: it gives none that could be used.
pub(super) fn given(asked: &Uri, headers: &HeaderMap) -> Option<String> {
    let location = text(headers, &header::LOCATION)?;
    redirect::resolve(asked, location).ok().map(|uri| uri.to_string())
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
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn at(location: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).ok()?);
        given(&Uri::from_static("https://r.example/v2/a/blobs/uploads/?mount=x"), &headers)
    }

    #[test]
    fn locations_keep_what_the_registry_put_into_them() {
        for (location, expected) in [
            ("/v2/a/blobs/uploads/1?s=2%3D", Some("https://r.example/v2/a/blobs/uploads/1?s=2%3D")),
            ("https://blobs.example/up/1?sig=a/b", Some("https://blobs.example/up/1?sig=a/b")),
            ("1234", Some("https://r.example/v2/a/blobs/uploads/1234")),
            ("https://", None),
        ] {
            assert_eq!(at(location).as_deref(), expected, "{location}");
        }
        assert_eq!(given(&Uri::from_static("https://r.example/"), &HeaderMap::new()), None);
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
            let _ = at(&text);
            let _ = range_end(&text);
        }
    }
}
