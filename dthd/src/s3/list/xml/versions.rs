//! From the body of a `ListVersionsResult` to a page of versions.

use dth_proto::time::Timestamp;

use super::{
    ScanError, lossy, number,
    reader::{Element, Reader},
    root, text, time, truth, utf8,
};
use crate::s3::{
    object::{ETag, bare},
    version::{
        NULL, Place, Version, VersionPage,
        order::{in_doubt, put_markers_in_place},
    },
};

/// A page of versions, and the keys in it of which the order is a guess, each with how many versions and markers the page has of it.
pub type ScannedVersions = (VersionPage, Vec<(String, usize)>);

/// Reads an answer to `ListObjectVersions`. Keys and the key marker are decoded if the answer says so.
///
/// # Errors
/// [`ScanError`]: there is no such thing as half a page. A store that does not know versions answers with another document.
pub fn scan_versions(body: &[u8]) -> Result<ScannedVersions, ScanError> {
    let mut reader = Reader::new(body);
    // the second is how moto and the first form of the API call it
    let root = root(&mut reader, |name| matches!(name, b"ListVersionsResult" | b"ListVersionResult"))?;
    let page = Scan::default().listing(&mut reader, root)?;
    reader.end()?;
    Ok(page)
}

/// What is known so far; keys as they came.
#[derive(Default)]
struct Scan {
    versions: Vec<(Vec<u8>, Version)>,
    encoded: bool,
    truncated: Option<bool>,
    key_marker: Option<Vec<u8>>,
    version_marker: Option<String>,
    buffer: Vec<u8>,
}

impl Scan {
    fn listing<'a>(mut self, reader: &mut Reader<'a>, root: Element<'a>) -> Result<ScannedVersions, ScanError> {
        while let Some(element) = reader.child(root)? {
            match element.local() {
                b"Version" => self.version(reader, element, false)?,
                b"DeleteMarker" => self.version(reader, element, true)?,
                b"IsTruncated" => self.truncated = truth(reader.bytes(element, &mut self.buffer)?)?,
                b"NextKeyMarker" => self.key_marker = Some(reader.bytes(element, &mut self.buffer)?.to_owned()),
                b"NextVersionIdMarker" => {
                    let marker = utf8("NextVersionIdMarker", reader.bytes(element, &mut self.buffer)?)?;
                    self.version_marker = Some(marker.to_owned()).filter(|marker| !marker.is_empty());
                }
                b"EncodingType" => {
                    self.encoded |= reader.bytes(element, &mut self.buffer)?.trim_ascii().eq_ignore_ascii_case(b"url");
                }
                _ => reader.skip(element)?,
            }
        }
        let encoded = self.encoded;
        let key = |element, mut raw: Vec<u8>| {
            if encoded {
                text::decode_in_place(&mut raw);
            }
            utf8(element, &raw).map(str::to_owned)
        };
        let keyed = self.versions.into_iter().map(|(raw, version)| Ok((key("Key", raw)?, version)));
        let mut versions = keyed.collect::<Result<Vec<_>, ScanError>>()?;
        let in_doubt = in_doubt(&versions);
        put_markers_in_place(&mut versions);
        let marker = self.key_marker.map(|raw| key("NextKeyMarker", raw)).transpose()?;
        let next = match (self.truncated, marker) {
            (Some(false), _) | (None, None) => None,
            (_, Some(key)) => Some(Place { key, version: self.version_marker }),
            // more to come, and not where: behind the last that came
            (Some(true), None) => versions.last().map(|(key, version)| Place { key: key.clone(), version: Some(version.id.clone()) }),
        };
        Ok((VersionPage { versions, next }, in_doubt))
    }

    fn version<'a>(&mut self, reader: &mut Reader<'a>, of: Element<'a>, marker: bool) -> Result<(), ScanError> {
        let (mut key, mut size) = (Vec::new(), None);
        let mut version = Version {
            id: NULL.to_owned(),
            latest: false,
            marker,
            modified: Timestamp(0),
            size: 0,
            etag: ETag::default(),
            class: String::new(),
        };
        while let Some(element) = reader.child(of)? {
            let buffer = &mut self.buffer;
            match element.local() {
                b"Key" => key = reader.bytes(element, buffer)?.to_owned(),
                b"VersionId" => {
                    let id = utf8("VersionId", reader.bytes(element, buffer)?)?;
                    if !id.is_empty() {
                        id.clone_into(&mut version.id);
                    }
                }
                b"IsLatest" => version.latest = truth(reader.bytes(element, buffer)?)?.unwrap_or_default(),
                b"LastModified" => version.modified = time(reader.bytes(element, buffer)?)?,
                b"ETag" if !marker => version.etag = ETag::new(bare(utf8("ETag", reader.bytes(element, buffer)?)?)),
                b"Size" if !marker => size = Some(number(reader.bytes(element, buffer)?)?),
                b"StorageClass" if !marker => utf8("StorageClass", reader.bytes(element, buffer)?)?.clone_into(&mut version.class),
                _ => reader.skip(element)?,
            }
        }
        if key.is_empty() {
            return Err(ScanError::NoKey);
        }
        version.size = match (marker, size) {
            (true, _) => 0,
            (false, Some(size)) => size,
            (false, None) => return Err(ScanError::NoSize { key: lossy(&key) }),
        };
        self.versions.push((key, version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(page: &VersionPage) -> Vec<String> {
        page.versions.iter().map(|(key, v)| format!("{key} {}{}", v.id, if v.marker { " marker" } else { "" })).collect()
    }

    fn version(key: &str, id: &str, latest: bool, at: u32) -> String {
        format!(
            "<Version><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest>\
             <LastModified>2026-01-01T00:00:{at:02}.000Z</LastModified><ETag>&quot;e{id}&quot;</ETag><Size>7</Size>\
             <StorageClass>GLACIER</StorageClass><Owner><ID>o</ID></Owner></Version>"
        )
    }

    fn marker(key: &str, id: &str, latest: bool, at: u32) -> String {
        format!(
            "<DeleteMarker><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest>\
             <LastModified>2026-01-01T00:00:{at:02}.000Z</LastModified></DeleteMarker>"
        )
    }

    fn scan(inner: &str) -> VersionPage {
        scan_versions(format!("<?xml version=\"1.0\"?><ListVersionsResult>{inner}</ListVersionsResult>").as_bytes()).expect("a page").0
    }

    #[test]
    fn a_page_as_amazon_sends_it() {
        let head = "<Name>b</Name><Prefix/><KeyMarker/><VersionIdMarker/><NextKeyMarker>k+%2B</NextKeyMarker>\
                    <NextVersionIdMarker>v0</NextVersionIdMarker><MaxKeys>3</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>";
        // the time of an upload that began early
        let inner =
            [head.to_owned(), version("a%2F1", "v9", true, 1), version("a%2F1", "null", false, 5), marker("k+%2B", "m", true, 3)].concat();
        let page = scan(&inner);
        assert_eq!(ids(&page), ["a/1 v9", "a/1 null", "k + m marker"]);
        assert_eq!(page.next, Some(Place { key: "k +".to_owned(), version: Some("v0".to_owned()) }));
        let first = &page.versions[0].1;
        assert_eq!((first.size, first.etag.as_str(), first.class.as_str(), first.latest), (7, "ev9", "GLACIER", true));
        assert_eq!(scan("<IsTruncated>false</IsTruncated>"), VersionPage::default());
    }

    #[test]
    fn markers_behind_all_versions_are_put_in_place() {
        let inner = [
            version("a", "3", true, 3),
            version("a", "1", false, 1),
            version("b", "1", false, 1),
            marker("a", "2", false, 2),
            marker("b", "2", true, 2),
        ];
        assert_eq!(ids(&scan(&inner.concat())), ["a 3", "a 2 marker", "a 1", "b 2 marker", "b 1"]);
        // this is in order as it is
        let inner = [version("a", "2", true, 1), marker("a", "1", false, 1)];
        assert_eq!(ids(&scan(&inner.concat())), ["a 2", "a 1 marker"]);
        // of these the times do not tell
        let inner = [version("a", "3", true, 1), version("a", "1", false, 1), marker("a", "2", false, 1)].concat();
        let body = format!("<ListVersionsResult>{inner}</ListVersionsResult>");
        assert_eq!(scan_versions(body.as_bytes()).expect("a page").1, [("a".to_owned(), 3)]);
    }

    #[test]
    fn other_documents_are_no_pages() {
        let error = scan_versions(b"<ListBucketResult></ListBucketResult>").expect_err("of objects");
        assert_eq!(error, ScanError::OtherDocument { root: "ListBucketResult".to_owned() });
        let error = scan_versions(b"<Error><Code>NotImplemented</Code><Message>m</Message></Error>").expect_err("an error");
        assert_eq!(error.code(), "NotImplemented");
        assert!(scan_versions(b"<ListVersionsResult><Version><Key>k</Key></Version>").is_err());
        assert!(scan_versions(b"<ListVersionsResult><Version><Key>k</Key></Version></ListVersionsResult>").is_err(), "no size");
    }
}
