//! Content by its digest (OCI image specification, "Digests"): sha256 and sha512.

use std::{fmt, str::FromStr, sync::Arc};

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use dth_proto::spec::image::name::digest_problem;

/// `algorithm:hex` of some content. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// Text that is no digest, or one by an algorithm that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadDigest(String);

impl Digest {
    /// The digest that most registries use.
    #[must_use]
    pub fn sha256(content: &[u8]) -> Self {
        let mut hasher = Hasher { name: "sha256", context: Context::new(&SHA256) };
        hasher.update(content);
        hasher.finish()
    }

    /// `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `sha256` or `sha512`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// What stands behind the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// Computes the digest of other content by the same algorithm.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        match self.algorithm() {
            "sha512" => Hasher { name: "sha512", context: Context::new(&SHA512) },
            _ => Hasher { name: "sha256", context: Context::new(&SHA256) },
        }
    }

    /// Whether this is the digest of `content`.
    #[must_use]
    pub fn is_of(&self, content: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(content);
        hasher.finish() == *self
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        digest_problem(text).map_or_else(|| Ok(Self(text.into())), |why| Err(BadDigest(why)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher {
    name: &'static str,
    context: Context,
}

impl Hasher {
    /// More content.
    pub fn update(&mut self, content: &[u8]) {
        self.context.update(content);
    }

    /// The digest of all of it.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut text = format!("{}:", self.name);
        for byte in self.context.finish().as_ref() {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Digest(text.into())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_computed_and_compared() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::sha256(b"").as_str(), empty);
        let digest: Digest = empty.parse().expect("a digest");
        assert!(digest.is_of(b"") && !digest.is_of(b"x"));
        assert_eq!((digest.algorithm(), digest.hex().len()), ("sha256", 64));
        let long = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert!(long.parse::<Digest>().expect("a digest").is_of(b"abc"));
        assert!("sha256:xyz".parse::<Digest>().is_err());
    }
}
