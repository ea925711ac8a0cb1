//! Decoding of `aws-chunked` bodies, with their trailers.

use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use super::{data::Data, error::S3Error};

/// Whether the body of a request with these headers is `aws-chunked`.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    let has = |name, word| headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v: &str| v.contains(word));
    has("content-encoding", "aws-chunked") || has("x-amz-content-sha256", "STREAMING-")
}

/// Takes the frames off a body: what was sent, and the trailers. Chunk signatures are not verified.
///
/// # Errors
/// `IncompleteBody` when the body ends early, or is not as long as `x-amz-decoded-content-length` says.
pub(super) fn decode(body: &Bytes, announced: Option<u64>) -> Result<(Data, HeaderMap), S3Error> {
    let mut at = 0;
    let mut segments = Vec::new();
    loop {
        let line = line(body, &mut at)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| S3Error::incomplete_body())?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size).filter(|end| body.get(*end..*end + 2) == Some(b"\r\n")).ok_or_else(S3Error::incomplete_body)?;
        segments.push(body.slice(at..end));
        at = end + 2;
    }
    let mut trailers = HeaderMap::new();
    while at < body.len() {
        let line = line(body, &mut at)?;
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.trim().as_bytes()), HeaderValue::from_str(value.trim())) {
            trailers.insert(name, value);
        }
    }
    let data = Data::from(segments);
    if announced.is_some_and(|length| length != data.len()) {
        return Err(S3Error::incomplete_body());
    }
    Ok((data, trailers))
}

fn line<'b>(body: &'b Bytes, at: &mut usize) -> Result<&'b str, S3Error> {
    let rest = &body[*at..];
    let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or_else(S3Error::incomplete_body)?;
    *at += end + 2;
    std::str::from_utf8(&rest[..end]).map_err(|_| S3Error::incomplete_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_trailers_come_apart() {
        let body = Bytes::from_static(b"3;chunk-signature=ab\r\nabc\r\n2\r\n\r\n\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n");
        let (data, trailers) = decode(&body, Some(5)).unwrap();
        assert_eq!(data.to_bytes(), "abc\r\n");
        assert_eq!(trailers["x-amz-checksum-crc32"], "AAAA");
    }

    #[test]
    fn bodies_cut_short_are_refused() {
        let whole = b"3\r\nabc\r\n0\r\n\r\n";
        assert!(decode(&Bytes::from_static(whole), Some(3)).is_ok());
        assert!(decode(&Bytes::from_static(whole), Some(4)).is_err());
        for end in 0..whole.len() - 2 {
            assert!(decode(&Bytes::from_static(&whole[..end]), None).is_err(), "{end}");
        }
        assert!(decode(&Bytes::from_static(b"ffffffffffffffff\r\n"), None).is_err());
    }
}
