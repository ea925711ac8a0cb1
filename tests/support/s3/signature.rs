//! Signature Version 4, computed again from what arrived (AWS: "Authenticating Requests: Using the Authorization Header").

use std::collections::BTreeMap;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::{digest::hex, error::S3Error, route::Call};

/// What SigV4 leaves alone besides letters and digits.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path.
const PATH: AsciiSet = UNRESERVED.remove(b'/');
/// How far clocks may differ (AWS).
const SKEW: SignedDuration = SignedDuration::from_mins(15);
/// SHA-256 of nothing, as chunk signatures have it.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who may ask.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// Secrets by access key id.
    pub keys: BTreeMap<String, String>,
    /// Whether requests without a signature are accepted.
    pub anonymous: bool,
    /// The only region that signatures may name; `None`: any.
    pub region: Option<String>,
    /// How far the clock of the server is ahead.
    pub clock: SignedDuration,
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    id: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| rest.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let mut scope = field("Credential")?.split('/');
        let [id, day, region, service] = [scope.next()?, scope.next()?, scope.next()?, scope.next()?];
        (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(())?;
        Some(Self { id, day, region, service, signed: field("SignedHeaders")?, signature: field("Signature")? })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

impl Door {
    /// The time by the clock of this server.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.clock
    }

    /// Whether the request may come in. `body`: its bytes as they travelled.
    pub fn admit(&self, call: &Call, body: &Bytes) -> Result<(), S3Error> {
        let Some(header) = call.header("authorization") else {
            if call.query.has("X-Amz-Signature") {
                return Err(S3Error::not_implemented("a signature in the query"));
            }
            return if self.anonymous { Ok(()) } else { Err(S3Error::access_denied()) };
        };
        let given = Authorization::parse(header).ok_or_else(|| S3Error::authorization_malformed("it is not a SigV4 header"))?;
        let secret = self.keys.get(given.id).ok_or_else(S3Error::invalid_access_key)?;
        if given.service != "s3" {
            return Err(S3Error::authorization_malformed("the service must be s3"));
        }
        if let Some(region) = self.region.as_deref().filter(|region| *region != given.region) {
            return Err(S3Error::wrong_region(given.region, region));
        }
        let date = call.header("x-amz-date").unwrap_or_default();
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok().and_then(|time| time.to_zoned(TimeZone::UTC).ok());
        let time = time.ok_or_else(S3Error::access_denied)?.timestamp();
        if !date.starts_with(given.day) {
            return Err(S3Error::authorization_malformed("the date of the scope is not that of the request"));
        }
        if time.duration_until(self.now()).abs() > SKEW {
            return Err(S3Error::time_skewed());
        }
        let payload = call.header("x-amz-content-sha256").ok_or_else(|| S3Error::invalid_argument("x-amz-content-sha256 is missing"))?;
        let key = ["aws4_request"].iter().fold(
            [given.region, given.service].iter().fold(hmac(format!("AWS4{secret}").as_bytes(), given.day), |key, part| hmac(&key, part)),
            |key, part| hmac(&key, part),
        );
        let canonical = canonical(call, given.signed, payload)?;
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", given.scope(), hex(&Sha256::digest(canonical.as_bytes())));
        if hex(&hmac(&key, &to_sign)) != given.signature {
            return Err(S3Error::signature_mismatch(&canonical));
        }
        if payload.starts_with("STREAMING-AWS4-HMAC-SHA256") {
            return chunks_are_signed(body, &key, &format!("{date}\n{}", given.scope()), given.signature);
        }
        let free = payload == "UNSIGNED-PAYLOAD" || payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
        if free || hex(&Sha256::digest(body)) == payload { Ok(()) } else { Err(S3Error::payload_mismatch()) }
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The request in the form that is signed. Everything `x-amz-*` must be signed, and the host.
fn canonical(call: &Call, signed: &str, payload: &str) -> Result<String, S3Error> {
    let names: Vec<&str> = signed.split(';').collect();
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    if !names.contains(&"host") || call.headers.keys().any(|name| must(name.as_str()) && !names.contains(&name.as_str())) {
        return Err(S3Error::unsigned_headers());
    }
    let headers = names.iter().map(|name| {
        let values = call.headers.get_all(*name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let values: Vec<String> = values.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
        format!("{name}:{}\n", values.join(","))
    });
    let again = |text: &str, set: &'static AsciiSet| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| S3Error::invalid_uri())?;
        Ok::<_, S3Error>(utf8_percent_encode(&text, set).to_string())
    };
    let mut query = Vec::new();
    for pair in call.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.push((again(name, &UNRESERVED)?, again(value, &UNRESERVED)?));
    }
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (method, path, query) = (&call.method, again(call.uri.path(), &PATH)?, query.join("&"));
    Ok(format!("{method}\n{path}\n{query}\n{}\n{signed}\n{payload}", headers.collect::<String>()))
}

/// The chain of signatures through an `aws-chunked` body; each covers the data of its chunk and the signature before it. Trailers
/// behind it are checksums, which are verified by value.
fn chunks_are_signed(body: &[u8], key: &[u8], scope: &str, seed: &str) -> Result<(), S3Error> {
    let mut before = seed.to_owned();
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or_else(S3Error::incomplete_body)?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| S3Error::incomplete_body())?;
        let (size, signature) = line.split_once(";chunk-signature=").ok_or_else(S3Error::incomplete_body)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| S3Error::incomplete_body())?;
        let data = rest.get(end + 2..end + 2 + size).ok_or_else(S3Error::incomplete_body)?;
        let to_sign = format!("AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{before}\n{EMPTY}\n{}", hex(&Sha256::digest(data)));
        if hex(&hmac(key, &to_sign)) != signature {
            return Err(S3Error::signature_mismatch(&to_sign));
        }
        if size == 0 {
            return Ok(());
        }
        signature.clone_into(&mut before);
        rest = rest.get(end + 4 + size..).ok_or_else(S3Error::incomplete_body)?;
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;

    const DAY: &str = "2013-05-24T00:00:00Z";

    /// The example "GET Object" of AWS's description of the header.
    fn example() -> Call {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Call::parse(&Method::GET, &"/test.txt".parse().unwrap(), headers, "s3.amazonaws.com").unwrap()
    }

    fn door(at: &str) -> Door {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned();
        let clock = Timestamp::now().duration_until(at.parse().unwrap());
        Door { keys: BTreeMap::from([("AKIAIOSFODNN7EXAMPLE".to_owned(), secret)]), anonymous: false, region: None, clock }
    }

    fn code(door: &Door, call: &Call, body: &'static [u8]) -> &'static str {
        door.admit(call, &Bytes::from_static(body)).map_or_else(|error| error.code, |()| "")
    }

    #[test]
    fn the_published_example_is_accepted() {
        assert_eq!(code(&door(DAY), &example(), b""), "");
    }

    #[test]
    fn whatever_was_changed_on_the_way_is_seen() {
        type Change = fn(&mut Call);
        let changes: [(&str, Change); 7] = [
            ("SignatureDoesNotMatch", |call| call.method = Method::HEAD),
            ("SignatureDoesNotMatch", |call| call.uri = "/test.tx".parse().unwrap()),
            ("SignatureDoesNotMatch", |call| call.uri = "/test.txt?a".parse().unwrap()),
            ("SignatureDoesNotMatch", |call| drop(call.headers.insert("range", "bytes=0-8".parse().unwrap()))),
            ("SignatureDoesNotMatch", |call| drop(call.headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap()))),
            ("AccessDenied", |call| drop(call.headers.insert("x-amz-acl", "private".parse().unwrap()))),
            ("AccessDenied", |call| drop(call.headers.remove("authorization"))),
        ];
        for (expected, change) in changes {
            let mut call = example();
            change(&mut call);
            assert_eq!(code(&door(DAY), &call, b""), expected, "{call:?}");
        }
        assert_eq!(code(&door(DAY), &example(), b"x"), "XAmzContentSHA256Mismatch");
    }

    #[test]
    fn clock_region_and_keys_must_fit() {
        assert_eq!(code(&door("2013-05-24T00:14:59Z"), &example(), b""), "");
        assert_eq!(code(&door("2013-05-24T00:15:09Z"), &example(), b""), "RequestTimeTooSkewed");
        assert_eq!(code(&door("2013-05-23T23:44:50Z"), &example(), b""), "RequestTimeTooSkewed");
        let elsewhere = Door { region: Some("eu-west-1".to_owned()), ..door(DAY) };
        assert_eq!(code(&elsewhere, &example(), b""), "AuthorizationHeaderMalformed");
        let stranger = Door { keys: BTreeMap::new(), ..door(DAY) };
        assert_eq!(code(&stranger, &example(), b""), "InvalidAccessKeyId");
    }

    /// AWS's example of a body in chunks: 64 KiB and 1 KiB of the letter a.
    #[test]
    fn the_published_chain_of_chunks_is_accepted() {
        let key = ["us-east-1", "s3", "aws4_request"]
            .iter()
            .fold(hmac(b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524"), |key, part| hmac(&key, part));
        let scope = "20130524T000000Z\n20130524/us-east-1/s3/aws4_request";
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let mut body = Vec::new();
        for (size, signature) in [
            (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ] {
            body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
            body.extend(std::iter::repeat_n(b'a', size));
            body.extend_from_slice(b"\r\n");
        }
        assert_eq!(chunks_are_signed(&body, &key, scope, seed), Ok(()));
        body[100] = b'b';
        assert_eq!(chunks_are_signed(&body, &key, scope, seed).unwrap_err().code, "SignatureDoesNotMatch");
        assert!(chunks_are_signed(b"10\r\n", &key, scope, seed).is_err());
    }
}
