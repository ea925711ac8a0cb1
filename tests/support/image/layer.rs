//! Blobs of images: layers that really are what their media type says, without being compressed.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use serde_json::{Value, json};

use super::digest;

/// Longest piece of a stored block of deflate (RFC 1951, 3.2.4), bytes.
const STORED: usize = 65_535;
/// Longest block of zstd (RFC 8878, 3.1.1.2.4), bytes.
const RAW: usize = 128 << 10;

/// Config or layer.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Media type.
    pub media_type: String,
    /// As it is stored.
    pub bytes: Bytes,
    /// Where it is to be had instead of from the registry; empty for all but foreign layers.
    pub urls: Vec<String>,
    /// What its descriptor says besides; an empty object: nothing.
    pub annotations: Value,
    /// Digest of the bytes before compression.
    pub(super) content_digest: String,
}

impl Blob {
    /// Any bytes.
    #[must_use]
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let content_digest = digest(&bytes);
        Self { media_type: media_type.to_owned(), bytes, urls: Vec::new(), annotations: json!({}), content_digest }
    }

    fn layer(kind: &str, bytes: Vec<u8>, content: &[u8]) -> Self {
        Self { content_digest: digest(content), ..Self::new(&format!("application/vnd.oci.image.layer.{kind}"), bytes) }
    }

    /// An uncompressed layer.
    #[must_use]
    pub fn tar(content: &[u8]) -> Self {
        Self::layer("v1.tar", content.to_vec(), content)
    }

    /// A gzip layer (RFC 1952) of stored blocks: about as large as its content, and made as quickly as it is copied.
    #[must_use]
    pub fn gzip(content: &[u8]) -> Self {
        Self::layer("v1.tar+gzip", gzip(content), content)
    }

    /// A zstd layer of raw blocks.
    #[must_use]
    pub fn zstd(content: &[u8]) -> Self {
        Self::layer("v1.tar+zstd", zstd(content), content)
    }

    /// A gzip layer that is elsewhere.
    #[must_use]
    pub fn foreign(content: &[u8], url: &str) -> Self {
        Self { urls: vec![url.to_owned()], ..Self::layer("nondistributable.v1.tar+gzip", gzip(content), content) }
    }

    /// The same with the media type that Docker has for it.
    pub(super) fn docker(self) -> Self {
        let media_type = match self.media_type.as_str() {
            "application/vnd.oci.image.layer.v1.tar+gzip" => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" => "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            other => other,
        };
        Self { media_type: media_type.to_owned(), ..self }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    pub(super) fn descriptor(&self) -> Value {
        let mut value = json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len()});
        if !self.urls.is_empty() {
            value["urls"] = json!(self.urls);
        }
        if self.annotations != json!({}) {
            value["annotations"] = self.annotations.clone();
        }
        value
    }
}

/// `content` in pieces of at most `longest`, with whether it is the last; an empty content is one empty piece.
fn pieces(content: &[u8], longest: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let count = content.len().div_ceil(longest).max(1);
    (1..=count).map(move |n| (&content[(n - 1) * longest..content.len().min(n * longest)], n == count))
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    out.reserve_exact(content.len() + content.len() / STORED * 5 + 13);
    for (piece, last) in pieces(content, STORED) {
        // a piece is never longer than two bytes can say
        let len = piece.len() as u16;
        out.push(last.into());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(piece);
    }
    // checksum and length are 32 bits wide, whatever the content is
    out.extend_from_slice(&(checksum(CrcAlgorithm::Crc32IsoHdlc, content) as u32).to_le_bytes());
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out
}

fn zstd(content: &[u8]) -> Vec<u8> {
    // magic number; a single segment whose length has 8 bytes
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    out.extend_from_slice(&(content.len() as u64).to_le_bytes());
    for (piece, last) in pieces(content, RAW) {
        // last block, kind 0 (raw), length: 1 + 2 + 21 bits
        let head = u32::from(last) | (piece.len() as u32) << 3;
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.extend_from_slice(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    /// What `gzip -dc` makes of it.
    fn unzipped(bytes: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || stdin.write_all(&bytes).expect("gzip reads"));
        let output = child.wait_with_output().expect("gzip ends");
        writing.join().expect("written");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    #[test]
    fn gzip_layers_are_gzip() {
        for len in [0, 1, STORED - 1, STORED, STORED + 1, 3 * STORED, 200_001] {
            let content: Vec<u8> = (0..len).map(|n| (n * 31 % 251) as u8).collect();
            assert!(unzipped(&Blob::gzip(&content).bytes) == content, "{len}");
        }
    }

    #[test]
    fn zstd_layers_hold_their_content_in_blocks() {
        let content = vec![7; RAW + 5];
        let bytes = Blob::zstd(&content).bytes;
        assert_eq!(bytes.len(), 13 + 3 + RAW + 3 + 5);
        assert_eq!(&bytes[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        let second = 13 + 3 + RAW;
        assert_eq!(bytes[second..second + 3], [1 | 5 << 3, 0, 0]);
        assert_eq!(&bytes[second + 3..], [7; 5]);
    }
}
