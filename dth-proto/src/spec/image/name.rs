//! Names of images, repositories and tags, by the grammar of the OCI distribution specification ("Pulling manifests").

use std::{fmt, str::FromStr};

/// Longest name of a repository, registry host included, that clients must accept.
const LONGEST_REPOSITORY: usize = 255;
/// Longest tag.
const LONGEST_TAG: usize = 128;

/// A repository, or one image in it: `library/nginx`, `team/app:1.2`, `team/app@sha256:…`, `team/app:1.2@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName {
    /// Name of the repository, without a host.
    pub repository: String,
    /// Tag.
    pub tag: Option<String>,
    /// Digest, `algorithm:hex`.
    pub digest: Option<String>,
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (repository, tag) = match name.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (name, None),
        };
        repository_problem(repository).map_or(Ok(()), Err)?;
        if let Some(tag) = tag {
            tag_problem(tag).map_or(Ok(()), Err)?;
        }
        if let Some(digest) = digest {
            digest_problem(digest).map_or(Ok(()), Err)?;
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Why this is no repository's name; `None`: it is one.
#[must_use]
pub fn repository_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name of the repository is missing".to_owned());
    }
    if name.len() > LONGEST_REPOSITORY {
        return Some(format!("the repository's name has {} characters: at most {LONGEST_REPOSITORY}", name.len()));
    }
    (!is_repository(name)).then(|| {
        format!("{name:?} is not a repository's name: lower-case letters, digits and single . _ - between them, segments with /; no host")
    })
}

/// Whether the characters are those of a repository's name, of whatever length: registries have limits of their own.
#[must_use]
pub fn is_repository(name: &str) -> bool {
    name.split('/').all(is_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| word(*b)) && bytes.last().is_some_and(|b| word(*b));
    ends && bytes.split(|b| word(*b)).all(|gap| matches!(gap, [] | b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

/// Why this is no tag; `None`: it is one.
#[must_use]
pub fn tag_problem(tag: &str) -> Option<String> {
    let mut bytes = tag.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let good = first && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && tag.len() <= LONGEST_TAG;
    (!good).then(|| format!("{tag:?} is not a tag: letters, digits, _ . - and at most {LONGEST_TAG} of them, not . or - first"))
}

/// Why this is no digest; `None`: it is one.
#[must_use]
pub fn digest_problem(digest: &str) -> Option<String> {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let good = match digest.split_once(':') {
        Some(("sha256", rest)) => rest.len() == 64 && hex(rest),
        Some(("sha512", rest)) => rest.len() == 128 && hex(rest),
        _ => false,
    };
    (!good).then(|| format!("{digest:?} is not a digest: sha256: and 64 digits, or sha512: and 128, in lower-case hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_read_and_written() {
        for (text, repository, tag, digest) in [
            ("nginx", "nginx", None, None),
            ("library/nginx:1.25", "library/nginx", Some("1.25"), None),
            ("a/b__c/d--e.f:v1_2-rc.3", "a/b__c/d--e.f", Some("v1_2-rc.3"), None),
            (&format!("team/app@{DIGEST}"), "team/app", None, Some(DIGEST)),
            (&format!("team/app:1@{DIGEST}"), "team/app", Some("1"), Some(DIGEST)),
        ] {
            let name: ImageName = text.parse().expect(text);
            assert_eq!((name.repository.as_str(), name.tag.as_deref(), name.digest.as_deref()), (repository, tag, digest));
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (text, why) in [
            ("", "is missing"),
            (":1", "is missing"),
            ("Nginx", "is not a repository's name"),
            ("ghcr.io:443/a", "is not a tag"),
            ("a//b", "is not a repository's name"),
            ("a/", "is not a repository's name"),
            ("a___b", "is not a repository's name"),
            ("a._b", "is not a repository's name"),
            ("a:.1", "is not a tag"),
            ("a:", "is not a tag"),
            ("a@sha256:00", "is not a digest"),
            ("a@md5:d41d8cd98f00b204e9800998ecf8427e", "is not a digest"),
        ] {
            let error = text.parse::<ImageName>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(format!("a{}", "/b".repeat(200)).parse::<ImageName>().expect_err("long").contains("at most 255"));
    }
}
