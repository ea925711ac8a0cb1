//! Digests of content, computed without the daemon's code, which they are to check.

use sha2::{Digest as _, Sha256, Sha512};

use crate::s3::{Data, digest::hex};

/// `sha256:…` of all bytes.
#[must_use]
pub fn sha256(data: &Data) -> String {
    let mut hash = Sha256::new();
    data.segments().iter().for_each(|segment| hash.update(segment));
    format!("sha256:{}", hex(&hash.finalize()))
}

/// Whether this is the digest of `data`; not, when its algorithm is not known here.
pub(super) fn matches(digest: &str, data: &Data) -> bool {
    if digest.starts_with("sha512:") {
        let mut hash = Sha512::new();
        data.segments().iter().for_each(|segment| hash.update(segment));
        return digest == format!("sha512:{}", hex(&hash.finalize()));
    }
    digest == sha256(data)
}

/// Whether text has the form of a digest (OCI image specification, "Digests"), by an algorithm that is known here.
pub(super) fn is_digest(text: &str) -> bool {
    let length = match text.split_once(':') {
        Some(("sha256", _)) => 64,
        Some(("sha512", _)) => 128,
        _ => return false,
    };
    let hex = &text[7..];
    hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn values_are_the_published_ones() {
        // FIPS 180-4 examples
        let abc = Data::from(vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")]);
        assert_eq!(sha256(&abc), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let long = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert!(matches(long, &abc) && is_digest(long));
        assert!(!matches(long, &Data::default()));
        for bad in ["sha256:abc", "sha256", "md5:900150983cd24fb0d6963f7d28e17f72", ""] {
            assert!(!is_digest(bad), "{bad}");
        }
    }
}
