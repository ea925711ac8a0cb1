//! Tags that belong to another image.

use crate::image::digest::Digest;

/// What cosign puts behind the digest, for signatures, attestations and bills of material; nothing: the OCI referrers tag schema.
const SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

/// The image to which a tag belongs: `sha256:<hex>` of `sha256-<hex>`, `sha256-<hex>.sig`; `None`: the tag is one of its own.
pub(super) fn subject(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-')?;
    let (hex, suffix) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    SUFFIXES.contains(&suffix).then(|| format!("{algorithm}:{hex}").parse().ok()).flatten()
}

/// Whether a glob or regular expression is one about such tags.
pub(super) fn is_meant(pattern: &str) -> bool {
    ["sha256-", "sha512-", ".sig", ".att", ".sbom"].iter().any(|part| pattern.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_in_tags_are_read() {
        let image = Digest::sha256(b"image");
        let tag = format!("sha256-{}", image.hex());
        for suffix in SUFFIXES {
            assert_eq!(subject(&format!("{tag}{suffix}")), Some(image.clone()), "{suffix}");
        }
        for own in ["latest", "1.25", "sha256-abc", "sha256-abc.sig", &format!("{tag}.other"), &format!("{tag}.sig.sig"), &tag[7..], ""] {
            assert_eq!(subject(own), None, "{own}");
        }
        let long = format!("sha512-{}", "ab".repeat(64));
        assert_eq!(subject(&long).as_ref().map(Digest::algorithm), Some("sha512"));
    }

    #[test]
    fn patterns_speak_of_them_or_not() {
        for (pattern, expected) in
            [("sha256-*", true), ("*.sig", true), (r"sha256-.*\.att", true), ("*", false), ("v*", false), (".*", false)]
        {
            assert_eq!(is_meant(pattern), expected, "{pattern}");
        }
    }
}
