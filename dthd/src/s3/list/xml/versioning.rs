//! From an answer to `GetBucketVersioning` to whether a bucket keeps versions.

use memchr::memmem;

use super::{ScanError, reader::Reader, root, utf8};
use crate::s3::version::Versioning;

/// Reads an answer to `GetBucketVersioning`. Whatever its outermost element is called, as long as versioning is what it is about: on
/// Amazon S3 it is `VersioningConfiguration`, on moto it is named after the request.
///
/// # Errors
/// [`ScanError`]. A store that does not know versions answers with another document.
pub fn scan_versioning(body: &[u8]) -> Result<Versioning, ScanError> {
    let mut reader = Reader::new(body);
    let root = root(&mut reader, |name| memmem::find(name, b"Versioning").is_some())?;
    let (mut found, mut buffer) = (Versioning::Never, Vec::new());
    while let Some(element) = reader.child(root)? {
        if element.local() != b"Status" {
            reader.skip(element)?;
            continue;
        }
        let status = utf8("Status", reader.bytes(element, &mut buffer)?)?.trim();
        found = match () {
            // what moto says of a bucket that never had any
            () if status.is_empty() => Versioning::Never,
            () if status.eq_ignore_ascii_case("Enabled") => Versioning::Enabled,
            () if status.eq_ignore_ascii_case("Suspended") => Versioning::Suspended,
            () => return Err(ScanError::BadValue { element: "Status", text: status.to_owned() }),
        };
    }
    reader.end()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_kinds() {
        use Versioning::{Enabled, Never, Suspended};
        for (body, found) in [
            ("<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>", Ok(Never)),
            ("<?xml version=\"1.0\"?><VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", Ok(Enabled)),
            ("<VersioningConfiguration><MfaDelete>Disabled</MfaDelete><Status>Suspended</Status></VersioningConfiguration>", Ok(Suspended)),
            ("<GetBucketVersioningResponse><Status>Enabled</Status></GetBucketVersioningResponse>", Ok(Enabled)),
            ("<GetBucketVersioningResponse><Status/></GetBucketVersioningResponse>", Ok(Never)),
            ("<s3:VersioningConfiguration><s3:Status> enabled\n</s3:Status></s3:VersioningConfiguration>", Ok(Enabled)),
            ("<ListBucketResult></ListBucketResult>", Err("UnexpectedAnswer")),
            ("<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>", Err("InvalidPage")),
            ("<VersioningConfiguration><Status>Enabled", Err("IncompletePage")),
            ("<Error><Code>NotImplemented</Code><Message>m</Message></Error>", Err("NotImplemented")),
        ] {
            assert_eq!(scan_versioning(body.as_bytes()).map_err(|error| error.code().to_owned()), found.map_err(str::to_owned), "{body}");
        }
    }
}
