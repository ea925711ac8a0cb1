//! From the body of a `ListPartsResult` to the parts of an upload.

use memchr::memmem;

use super::{
    ScanError, lossy, number,
    reader::{Element, Reader},
    root, truth, utf8,
};
use crate::s3::{client::UploadedPart, object::ETag, verify::Checksum};

/// A page of parts, and the marker behind which the next one begins; `None`: there is no other.
pub type ScannedParts = (Vec<UploadedPart>, Option<String>);

/// Reads an answer to `ListParts`, whatever its outermost element is called, as long as it is about that. A part without number, size or
/// ETag is none: it could not become part of an object.
///
/// # Errors
/// [`ScanError`]: there is no such thing as half a page.
pub fn scan_parts(body: &[u8]) -> Result<ScannedParts, ScanError> {
    let mut reader = Reader::new(body);
    let root = root(&mut reader, |name| memmem::find(name, b"ListParts").is_some())?;
    let (mut parts, mut truncated, mut next, mut buffer) = (Vec::new(), None, None, Vec::new());
    while let Some(element) = reader.child(root)? {
        match element.local() {
            b"Part" => parts.extend(part(&mut reader, element, &mut buffer)?),
            b"IsTruncated" => truncated = truth(reader.bytes(element, &mut buffer)?)?,
            b"NextPartNumberMarker" => {
                let marker = utf8("NextPartNumberMarker", reader.bytes(element, &mut buffer)?)?.trim();
                next = Some(marker.to_owned()).filter(|marker| !marker.is_empty());
            }
            _ => reader.skip(element)?,
        }
    }
    reader.end()?;
    Ok((parts, next.filter(|_| truncated == Some(true))))
}

fn part<'a>(reader: &mut Reader<'a>, of: Element<'a>, buffer: &mut Vec<u8>) -> Result<Option<UploadedPart>, ScanError> {
    let (mut at, mut size, mut etag) = (None, None, None);
    let mut sums: Vec<(String, String)> = Vec::new();
    while let Some(element) = reader.child(of)? {
        match element.local() {
            b"PartNumber" => at = u32::try_from(number(reader.bytes(element, buffer)?)?).ok(),
            b"Size" => size = Some(number(reader.bytes(element, buffer)?)?),
            b"ETag" => etag = Some(ETag::new(utf8("ETag", reader.bytes(element, buffer)?)?)).filter(|etag| !etag.as_str().is_empty()),
            name => match name.strip_prefix(b"Checksum").filter(|name| *name != b"Type") {
                Some(name) => {
                    let sum = utf8("Checksum", reader.bytes(element, buffer)?)?.trim().to_owned();
                    sums.push((lossy(name), sum));
                }
                None => reader.skip(element)?,
            },
        }
    }
    let checksum = Checksum::first(|algorithm| sums.iter().find(|(name, _)| name == algorithm.name()).map(|(_, sum)| sum.as_str()));
    Ok(match (at, size, etag) {
        (Some(number), Some(size), Some(etag)) => Some(UploadedPart { number, size, etag, checksum }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::verify::Algorithm;

    fn body(root: &str, more: &str) -> String {
        let part = |n: u32| format!("<Part><PartNumber>{n}</PartNumber><ETag>&quot;e{n}&quot;</ETag><Size>{}</Size>", n * 10);
        format!(
            "<?xml version=\"1.0\"?><{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><UploadId>u</UploadId>{}\
             <ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></Part>{}</Part>\
             <Part><PartNumber>3</PartNumber><Size>1</Size></Part>{more}</{root}>",
            part(1),
            part(2)
        )
    }

    #[test]
    fn parts_of_all_stores() {
        for root in ["ListPartsResult", "ListPartsResponse"] {
            let more = "<NextPartNumberMarker>3</NextPartNumberMarker><IsTruncated>true</IsTruncated>";
            let (parts, next) = scan_parts(body(root, more).as_bytes()).expect("a page");
            let told: Vec<_> = parts.iter().map(|part| (part.number, part.size, part.etag.as_str())).collect();
            assert_eq!((told, next.as_deref()), (vec![(1, 10, "e1"), (2, 20, "e2")], Some("3")), "one without an ETag is of no use");
            assert_eq!(parts[0].checksum.map(|sum| (sum.algorithm, sum.base64())), Some((nvme(), "AAAAAAAAAAE=".to_owned())));
            assert_eq!(parts[1].checksum, None);
        }
        let last = "<NextPartNumberMarker>3</NextPartNumberMarker><IsTruncated>false</IsTruncated>";
        assert_eq!(scan_parts(body("ListPartsResult", last).as_bytes()).expect("a page").1, None);
    }

    fn nvme() -> Algorithm {
        Algorithm::named("CRC64NVME").expect("S3 has it")
    }

    #[test]
    fn other_documents_are_no_parts() {
        for (body, code) in [
            ("<Error><Code>NoSuchUpload</Code><Message>m</Message></Error>", "NoSuchUpload"),
            ("<ListBucketResult></ListBucketResult>", "UnexpectedAnswer"),
            ("<ListPartsResult><Part>", "IncompletePage"),
            ("<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>", "InvalidPage"),
        ] {
            assert_eq!(scan_parts(body.as_bytes()).map_err(|error| error.code().to_owned()), Err(code.to_owned()), "{body}");
        }
    }
}
