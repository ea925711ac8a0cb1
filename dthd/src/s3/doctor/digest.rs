//! Digests that go along with the bytes: taken, and compared.

use dth_proto::doctor::Finding;

use super::examination::{CONTENT, Examination, judged, refuses};
use crate::s3::verify::{Crc, Md5Sum, StoredChecksum};

/// Every checksum that profiles speak of, with the header that carries it.
pub(super) const CHECKSUMS: [(&str, Crc, &str); 3] = [
    ("checksum CRC64NVME", Crc::Crc64Nvme, "x-amz-checksum-crc64nvme"),
    ("checksum CRC32C", Crc::Crc32c, "x-amz-checksum-crc32c"),
    ("checksum CRC32", Crc::Crc32, "x-amz-checksum-crc32"),
];

/// The checksum of the usual content, and one that is wrong.
pub(super) fn right_and_wrong(crc: Crc, content: &[u8]) -> (String, String) {
    let right = StoredChecksum { crc, value: crc.of(content) };
    (right.base64(), StoredChecksum { crc, value: right.value ^ 1 }.base64())
}

pub(super) async fn examine(x: &mut Examination<'_>) {
    let right = x.put("md5", CONTENT, &[("content-md5", &Md5Sum::of(CONTENT).base64())]).await;
    if x.judge("Content-MD5", right, |_| Ok(())) {
        let wrong = x.put("md5", CONTENT, &[("content-md5", &Md5Sum::of(b"other").base64())]).await;
        let (works, answer) = refuses(wrong, "a Content-MD5 that is wrong");
        x.found("Content-MD5 is compared", works, answer);
    }
    for (name, crc, header) in CHECKSUMS {
        let (right, wrong) = right_and_wrong(crc, CONTENT);
        let taken = x.put("checksum", CONTENT, &[(header, &right)]).await;
        let (works, answer) = judged(taken, |_| Ok(()));
        if works != Finding::Yes {
            x.found(name, works, answer);
            continue;
        }
        let wrong = x.put("checksum", CONTENT, &[(header, &wrong)]).await;
        let (works, answer) = refuses(wrong, "a checksum that is wrong");
        x.found(name, works, answer);
    }
    let written = x.put("checksum", CONTENT, &[(CHECKSUMS[2].2, &right_and_wrong(Crc::Crc32, CONTENT).0)]).await;
    if written.is_ok_and(|reply| reply.is_ok()) {
        given_back(x, "checksums given back", "checksum").await;
    }
}

/// Whether GET shows the CRC32 of an object that was written with one.
pub(super) async fn given_back(x: &mut Examination<'_>, name: &'static str, rest: &str) {
    let header = CHECKSUMS[2].2;
    let told = x.get(rest, &[("x-amz-checksum-mode", "ENABLED")]).await;
    x.judge(name, told, |reply| match reply.header(header) {
        Some(_) => Ok(()),
        None => Err(format!("no {header} in the answer to GET")),
    });
}
