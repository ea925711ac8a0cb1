//! MD5 and CRC over data, and the checks of what a client announced.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::HeaderMap;
use md5::{Digest as _, Md5};

use super::{data::Data, error::S3Error};

/// A checksum S3 keeps with an object, in the order it is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// CRC-32 of ISO 3309 (zlib).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, what AWS adds by itself.
    Crc64Nvme,
    /// SHA-1; of an object in parts, over the values of the parts.
    Sha1,
    /// SHA-256; likewise.
    Sha256,
}

/// A value of an [`Algorithm`], base64 of the big-endian bytes; a composite one ends in `-PARTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which.
    pub algorithm: Algorithm,
    /// As it stands in the header.
    pub value: String,
}

impl Checksum {
    /// Whether it is a checksum of part checksums.
    #[must_use]
    pub fn composite(&self) -> bool {
        self.value.contains('-')
    }
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The header it travels in.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The word in `x-amz-checksum-algorithm`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The element in XML.
    #[must_use]
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// The value over `data`.
    #[must_use]
    pub fn of(self, data: &Data) -> Checksum {
        Checksum { algorithm: self, value: STANDARD.encode(self.raw(data.segments().iter().map(AsRef::as_ref))) }
    }

    /// The composite value over the values of parts (AWS: checksum of the concatenated part checksums, then `-PARTS`).
    #[must_use]
    pub fn composite<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Checksum {
        let values: Vec<Vec<u8>> = parts.into_iter().filter_map(|value| STANDARD.decode(value).ok()).collect();
        let sum = STANDARD.encode(self.raw(values.iter().map(AsRef::as_ref)));
        Checksum { algorithm: self, value: format!("{sum}-{}", values.len()) }
    }

    fn raw<'a>(self, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let (algorithm, width) = match self {
            Self::Crc32 => (crc_fast::CrcAlgorithm::Crc32IsoHdlc, 4),
            Self::Crc32c => (crc_fast::CrcAlgorithm::Crc32Iscsi, 4),
            Self::Crc64Nvme => (crc_fast::CrcAlgorithm::Crc64Nvme, 8),
            Self::Sha1 => return sha(&SHA1_FOR_LEGACY_USE_ONLY, pieces),
            Self::Sha256 => return sha(&SHA256, pieces),
        };
        let mut digest = crc_fast::Digest::new(algorithm);
        pieces.for_each(|piece| digest.update(piece));
        digest.finalize().to_be_bytes()[8 - width..].to_vec()
    }
}

fn sha<'a>(algorithm: &'static aws_lc_rs::digest::Algorithm, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut context = Context::new(algorithm);
    pieces.for_each(|piece| context.update(piece));
    context.finish().as_ref().to_vec()
}

/// MD5 of all bytes.
#[must_use]
pub fn md5(data: &Data) -> [u8; 16] {
    let mut hash = Md5::new();
    data.segments().iter().for_each(|segment| hash.update(segment));
    hash.finalize().into()
}

/// MD5 of all bytes in lower-case hex: the ETag of a single PUT.
#[must_use]
pub fn md5_hex(data: &Data) -> String {
    hex(&md5(data))
}

/// `deadbeef`.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Verifies `Content-MD5`, when it was sent.
pub(super) fn check_md5(headers: &HeaderMap, sum: &[u8; 16]) -> Result<(), S3Error> {
    let Some(sent) = headers.get("content-md5") else { return Ok(()) };
    match STANDARD.decode(sent.as_bytes()) {
        Ok(bytes) if bytes == sum => Ok(()),
        Ok(bytes) if bytes.len() == 16 => Err(S3Error::bad_digest("Content-MD5")),
        _ => Err(S3Error::invalid_digest()),
    }
}

/// Verifies the checksum that came in a header or trailer, and answers with what to keep. Several are refused, as AWS does.
pub(super) fn check_sums(headers: &HeaderMap, data: &Data) -> Result<Vec<Checksum>, S3Error> {
    if Algorithm::ALL.into_iter().filter(|algorithm| headers.contains_key(algorithm.header())).count() > 1 {
        return Err(S3Error::invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."));
    }
    let mut sums = Vec::new();
    for algorithm in Algorithm::ALL {
        let Some(sent) = headers.get(algorithm.header()) else { continue };
        let sum = algorithm.of(data);
        if sent.as_bytes() != sum.value.as_bytes() {
            return Err(S3Error::bad_digest(algorithm.header()));
        }
        sums.push(sum);
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn values_are_the_published_ones() {
        let data = Data::from(vec![Bytes::from_static(b"1234"), Bytes::from_static(b"56789")]);
        // the check values of the CRC catalogue for "123456789"
        for (algorithm, value) in [
            (Algorithm::Crc32, 0xcbf4_3926_u32.to_be_bytes().to_vec()),
            (Algorithm::Crc32c, 0xe306_9283_u32.to_be_bytes().to_vec()),
            (Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888_u64.to_be_bytes().to_vec()),
        ] {
            assert_eq!(algorithm.of(&data).value, STANDARD.encode(value), "{algorithm:?}");
        }
        assert_eq!(md5_hex(&data), "25f9e794323b453885f5181f1b624d0b");
    }

    #[test]
    fn wrong_and_broken_digests_differ() {
        let sum = md5(&Data::from(Bytes::from_static(b"x")));
        let mut headers = HeaderMap::new();
        assert!(check_md5(&headers, &sum).is_ok());
        headers.insert("content-md5", STANDARD.encode(sum).parse().unwrap());
        assert!(check_md5(&headers, &sum).is_ok());
        headers.insert("content-md5", STANDARD.encode([0; 16]).parse().unwrap());
        assert_eq!(check_md5(&headers, &sum).unwrap_err().code, "BadDigest");
        headers.insert("content-md5", "not base64".parse().unwrap());
        assert_eq!(check_md5(&headers, &sum).unwrap_err().code, "InvalidDigest");
    }
}
