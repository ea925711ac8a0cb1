//! Signature Version 4: who asks, proven for one request (AWS: "Signature Version 4 signing process").
//!
//! The canonical request is built here, in one pass over what is sent; keys and signatures are `aws-sigv4`'s. A test compares the whole
//! with what `aws-sigv4` makes of the same request.

use std::sync::{Arc, PoisonError, RwLock};

use aws_credential_types::Credentials;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use dth_proto::time::Timestamp;
use http::{HeaderName, HeaderValue};

/// A header that is signed.
pub(super) type Header = (HeaderName, HeaderValue);

/// What is signed. The headers include `host`, `x-amz-date`, `x-amz-content-sha256`, and are sorted by name.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a [Header],
    pub(super) payload: &'a str,
    pub(super) date: &'a Date,
}

/// A time as signatures have it: `20261201T020000Z`.
pub(super) struct Date([u8; 16], Timestamp);

impl Date {
    pub(super) fn of(time: Timestamp) -> Self {
        let seconds = i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
        let point = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        let civil = jiff::tz::Offset::UTC.to_datetime(point);
        let year = u32::try_from(civil.year()).unwrap_or(0);
        let part = |n: i8| u32::from(n.unsigned_abs());
        let mut text = *b"00000000T000000Z";
        let mut put = |at: usize, digits: usize, mut number: u32| {
            for place in text[at..at + digits].iter_mut().rev() {
                // a digit
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year);
        put(4, 2, part(civil.month()));
        put(6, 2, part(civil.day()));
        put(9, 2, part(civil.hour()));
        put(11, 2, part(civil.minute()));
        put(13, 2, part(civil.second()));
        Self(text, time)
    }

    pub(super) fn as_str(&self) -> &str {
        // ASCII digits and two letters
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn day(&self) -> &str {
        &self.as_str()[..8]
    }
}

/// The signing key of a day, which is the same for all requests of it. Holds a secret: not to be shown.
#[derive(Default)]
pub(super) struct Keys(RwLock<Option<Arc<Key>>>);

struct Key {
    credentials: Credentials,
    day: String,
    region: String,
    service: String,
    key: [u8; 32],
}

impl Keys {
    fn get(&self, credentials: &Credentials, date: &Date, region: &str, service: &str) -> Arc<Key> {
        let fits = |key: &&Arc<Key>| {
            key.day == date.day()
                && key.region == region
                && key.service == service
                && key.credentials.access_key_id() == credentials.access_key_id()
                && key.credentials.secret_access_key() == credentials.secret_access_key()
        };
        if let Some(key) = self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(fits) {
            return Arc::clone(key);
        }
        let made = generate_signing_key(credentials.secret_access_key(), date.1.to_system(), region, service);
        let mut key = [0; 32];
        key.copy_from_slice(made.as_ref());
        let key = Arc::new(Key {
            credentials: credentials.clone(),
            day: date.day().to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            key,
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        key
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self, credentials: &Credentials, region: &str, service: &str, request: &Signable<'_>) -> String {
        let key = self.get(credentials, request.date, region, service);
        let mut canonical = String::with_capacity(512 + request.path.len() + request.query.len());
        canonical.push_str(request.method);
        canonical.push('\n');
        canonical.push_str(request.path);
        canonical.push('\n');
        canonical.push_str(request.query);
        canonical.push('\n');
        let mut canonical = canonical.into_bytes();
        for (name, value) in request.headers {
            canonical.extend_from_slice(name.as_str().as_bytes());
            canonical.push(b':');
            push_trimmed(&mut canonical, value.as_bytes());
            canonical.push(b'\n');
        }
        canonical.push(b'\n');
        let names = canonical.len();
        for (place, (name, _)) in request.headers.iter().enumerate() {
            if place > 0 {
                canonical.push(b';');
            }
            canonical.extend_from_slice(name.as_str().as_bytes());
        }
        let names = names..canonical.len();
        canonical.push(b'\n');
        canonical.extend_from_slice(request.payload.as_bytes());

        let (date, day) = (request.date.as_str(), request.date.day());
        let mut text = String::with_capacity(192);
        text.push_str("AWS4-HMAC-SHA256\n");
        for part in [date, "\n", day, "/", region, "/", service, "/aws4_request\n"] {
            text.push_str(part);
        }
        push_hex(&mut text, digest(&SHA256, &canonical).as_ref());
        let signature = calculate_signature(key.key, text.as_bytes());

        let mut value = String::with_capacity(256 + names.len());
        let id = credentials.access_key_id();
        for part in ["AWS4-HMAC-SHA256 Credential=", id, "/", day, "/", region, "/", service, "/aws4_request, SignedHeaders="] {
            value.push_str(part);
        }
        // header names are ASCII
        value.push_str(std::str::from_utf8(&canonical[names]).unwrap_or_default());
        value.push_str(", Signature=");
        value.push_str(&signature);
        value
    }
}

/// Without spaces at the ends, and one for several.
fn push_trimmed(into: &mut Vec<u8>, value: &[u8]) {
    let start = into.len();
    let mut space = true;
    for &byte in value {
        let is_space = byte == b' ';
        if !(is_space && space) {
            into.push(byte);
        }
        space = is_space;
    }
    if into.len() > start && into.last() == Some(&b' ') {
        into.pop();
    }
}

fn push_hex(into: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            // at most 15
            into.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

/// The SHA-256 of pieces, in hexadecimal digits.
pub(super) fn sha256(pieces: &[bytes::Bytes]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut text = String::with_capacity(64);
    push_hex(&mut text, context.finish().as_ref());
    text
}

#[cfg(test)]
mod tests {
    use aws_sigv4::{
        http_request::{
            PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
        },
        sign::v4,
    };
    use http::{Method, header};
    use proptest::prelude::*;

    use super::{
        super::{
            address::Site,
            encode,
            request::{Call, Hash},
        },
        *,
    };

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token.map(str::to_owned), None, "test")
    }

    /// What `aws-sigv4` answers to the same request.
    fn expected(
        request: &http::Request<crate::http::Pieces>,
        credentials: &Credentials,
        time: Timestamp,
        hash: &Hash,
        body: &[u8],
    ) -> String {
        let identity = credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name("s3")
            .time(time.to_system())
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let body = if *hash == Hash::Unsigned { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body) };
        // what is added by the signer itself, or not signed
        let own = ["authorization", "accept-encoding", "content-length", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
        let headers = request.headers().iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.as_str(), std::str::from_utf8(value.as_bytes()).expect("text")));
        let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body).expect("a request");
        let (instructions, _) = sign(signable, &params).expect("signed").into_parts();
        let found = instructions.headers().find(|(name, _)| *name == "authorization").map(|(_, value)| value.to_owned());
        found.expect("there")
    }

    proptest! {
        #[test]
        fn every_signature_is_the_one_of_aws_sigv4(
            key in any::<String>(),
            query in prop::collection::btree_map("[a-zA-Z0-9 _~%&=ü-]{1,8}", any::<String>(), 0..4),
            metadata in prop::collection::btree_map("x-amz-meta-[a-z0-9_-]{1,8}", "[ -~äöü€]{0,20}", 0..4),
            token in prop::option::of("[A-Za-z0-9+/=]{1,40}"),
            body in prop::collection::vec(any::<u8>(), 0..40),
            unsigned in any::<bool>(),
            path_style in any::<bool>(),
            seconds in 0_u64..4_000_000_000,
        ) {
            let site = Site {
                bucket: "a-bucket".into(),
                region: "eu-west-1".into(),
                endpoint: Some("http://store.example:8080/base".into()),
                path_style,
                dual_stack: false,
                fips: false,
            };
            let address = futures::executor::block_on(site.address()).expect("an address");
            let payload = crate::s3::payload::Payload::from(bytes::Bytes::from(body.clone()));
            let hash = if unsigned { Hash::Unsigned } else { futures::executor::block_on(Hash::signed(&payload)) };
            let mut pairs: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            // canonical order is that of the encoded names
            pairs.sort_by_key(|(name, _)| encode::query(&[(name, "")]).trim_end_matches('=').to_owned());
            let query = pairs.iter().map(|pair| encode::query(&[*pair])).collect::<Vec<_>>().join("&");
            let headers = metadata.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_str(value).expect("a value")));
            let call = Call {
                method: Method::PUT,
                key: Some(&key),
                query,
                headers: headers.collect(),
                plain: vec![(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))],
                body: Some(&payload),
                hash: hash.clone(),
            };
            let (time, credentials) = (Timestamp(seconds * 1000), credentials(token.as_deref()));
            let keys = Keys::default();
            for _ in 0..2 {
                // the second time with the key that was kept
                let request = call.at(&address, Some(&credentials), &Date::of(time), &keys).expect("a request");
                let wanted = expected(&request, &credentials, time, &hash, &body);
                prop_assert_eq!(request.headers()["authorization"].to_str().expect("text"), wanted);
            }
        }
    }

    #[test]
    fn keys_follow_day_and_credentials() {
        let keys = Keys::default();
        let day = |day: u64| Date::of(Timestamp(day * 86_400_000));
        let of = |credentials: &Credentials, date: &Date, region: &str| keys.get(credentials, date, region, "s3").key;
        let (one, other) = (credentials(None), Credentials::new("AKIDEXAMPLE", "other", None, None, "test"));
        let first = of(&one, &day(20_000), "r");
        assert_eq!(of(&one, &day(20_000), "r"), first);
        for different in [of(&one, &day(20_001), "r"), of(&one, &day(20_000), "q"), of(&other, &day(20_000), "r")] {
            assert_ne!(different, first);
        }
        assert_eq!(of(&one, &day(20_000), "r"), first);
    }

    #[test]
    fn dates() {
        for (ms, text) in [(0, "19700101T000000Z"), (1_796_169_599_999, "20261201T235959Z"), (951_827_696_000, "20000229T123456Z")] {
            assert_eq!(Date::of(Timestamp(ms)).as_str(), text);
        }
    }
}
