//! The version that a tag says.

use semver::{BuildMetadata, Prerelease, Version};

/// `1.25.3`, `v1.25`, `1`, `22.04`, `1.25.0-rc.1`: what is missing counts as 0, a leading `v` and zeros in front of a number mean nothing.
/// `None`: it is no version.
///
/// What stands behind `-` is a pre-release as in semantic versioning, also in `1.25-alpine`: lower than `1.25`, and in a range only if that names
/// a pre-release of the same version.
pub(super) fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) if !pre.is_empty() => (core, Prerelease::new(pre).ok()?),
        Some(_) => return None,
        None => (text, Prerelease::EMPTY),
    };
    let mut numbers = [0; 3];
    let mut places = numbers.iter_mut();
    for part in core.split('.') {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *places.next()? = part.parse().ok()?;
    }
    let [major, minor, patch] = numbers;
    Some(Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read_as_versions() {
        for (tag, expected) in [
            ("1.25.3", Some("1.25.3")),
            ("v1.25.3", Some("1.25.3")),
            ("V2", Some("2.0.0")),
            ("1.25", Some("1.25.0")),
            ("22.04", Some("22.4.0")),
            ("2024.01.31", Some("2024.1.31")),
            ("1.25-alpine", Some("1.25.0-alpine")),
            ("1.25.0-rc.1", Some("1.25.0-rc.1")),
            ("1.25.3-alpine3.19", Some("1.25.3-alpine3.19")),
            ("latest", None),
            ("v", None),
            ("", None),
            ("vv1", None),
            ("1.", None),
            (".1", None),
            ("1..2", None),
            ("1.2.3.4", None),
            ("1.2.x", None),
            ("1.2-", None),
            ("1.2-a_b", None),
            ("-1", None),
            ("1_2", None),
            ("99999999999999999999", None),
            ("sha256-e3b0c442", None),
        ] {
            assert_eq!(version(tag).map(|v| v.to_string()).as_deref(), expected, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn whole_versions_are_read_as_they_are_written(major: u64, minor: u64, patch: u64, pre in "([a-z]{1,3}(\\.[1-9])?)?") {
            let pre = Prerelease::new(&pre).expect("a pre-release");
            let expected = Version { major, minor, patch, pre, build: BuildMetadata::EMPTY };
            prop_assert_eq!(version(&expected.to_string()), Some(expected.clone()));
            prop_assert_eq!(version(&format!("v{expected}")), Some(expected));
        }

        #[test]
        fn no_tag_is_too_odd(tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,12}") {
            let _ = version(&tag);
        }
    }
}
