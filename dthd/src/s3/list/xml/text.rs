//! Texts of a listing: references of XML, `encoding-type=url`, times.

use dth_proto::time::Timestamp;
use memchr::{memchr, memchr2};

/// Longest reference, `&#x10FFFF;`, with room for leading zeros.
const LONGEST_REFERENCE: usize = 16;

/// Appends a text with its references (`&amp;`, `&#10;`, `&#xA;`) put in place. References to characters that XML does not
/// allow are taken as well: that is how stores write control characters.
pub(super) fn resolve(mut raw: &[u8], to: &mut Vec<u8>) -> Result<(), &'static str> {
    while let Some(begin) = memchr(b'&', raw) {
        to.extend_from_slice(&raw[..begin]);
        raw = &raw[begin + 1..];
        let window = &raw[..raw.len().min(LONGEST_REFERENCE)];
        let length = memchr(b';', window).ok_or("a reference without end")?;
        let character = character(&raw[..length]).ok_or("a reference to no character")?;
        to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[length + 1..];
    }
    to.extend_from_slice(raw);
    Ok(())
}

fn character(reference: &[u8]) -> Option<char> {
    match reference {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', hex @ ..] => char::from_u32(number(hex, 16)?),
        [b'#', decimal @ ..] => char::from_u32(number(decimal, 10)?),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    // from_str_radix would take a sign
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, radix).ok()
}

/// Whether a key of a listing with `encoding-type=url` is anything but itself.
pub(super) fn is_encoded(key: &[u8]) -> bool {
    memchr2(b'%', b'+', key).is_some()
}

/// Takes back `encoding-type=url`, which is form encoding: `+` is a space. A `%` that begins no escape stands for itself.
pub(super) fn decode_in_place(key: &mut Vec<u8>) {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = key.get(from) {
        let escaped = (byte == b'%').then(|| Some((hex(*key.get(from + 1)?)?, hex(*key.get(from + 2)?)?))).flatten();
        let (decoded, length) = match (byte, escaped) {
            (_, Some((high, low))) => (high << 4 | low, 3),
            (b'+', None) => (b' ', 1),
            (byte, None) => (byte, 1),
        };
        key[to] = decoded;
        from += length;
        to += 1;
    }
    key.truncate(to);
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// A `LastModified`: `2026-12-01T02:00:00.000Z` on almost every store, RFC 3339 with another offset or an HTTP date (RFC 9110) on
/// some. Before 1970 counts as 1970.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let text = text.trim_ascii();
    if let Some(time) = usual_time(text) {
        return Some(time);
    }
    let text = std::str::from_utf8(text).ok()?;
    let time = text.parse::<jiff::Timestamp>().ok();
    let time = time.or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))?;
    Some(Timestamp(u64::try_from(time.as_millisecond()).unwrap_or(0)))
}

/// The usual form, without the detours of a parser that knows all forms; `None` for any other.
fn usual_time(text: &[u8]) -> Option<Timestamp> {
    let (&[y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2], rest) =
        text.split_first_chunk::<19>()?
    else {
        return None;
    };
    let millis = match rest {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) => {
            let digit = |n: usize| fraction.get(n).map_or(0, |d| u64::from(d - b'0'));
            digit(0) * 100 + digit(1) * 10 + digit(2)
        }
        _ => return None,
    };
    let two = |a: u8, b: u8| (a.is_ascii_digit() && b.is_ascii_digit()).then(|| u64::from(a - b'0') * 10 + u64::from(b - b'0'));
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(mo1, mo2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(mi1, mi2)?, two(s1, s2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if year < 1970 || day < 1 || day > last_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // days since 0000-03-01, so that the leap day is the last of its year
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    const EPOCH: u64 = 719_468;
    Some(Timestamp((((days - EPOCH) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolved(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        resolve(raw, &mut out).map(|()| out)
    }

    #[test]
    fn references() {
        for (raw, text) in [
            ("", ""),
            ("a&amp;b&lt;&gt;&quot;&apos;", "a&b<>\"'"),
            ("&#65;&#x42;&#X43;&#0;&#x1;&#10;", "ABC\0\u{1}\n"),
            ("&#x10FFFF;&#0000000065;é", "\u{10ffff}Aé"),
            ("&amp;amp;", "&amp;"),
        ] {
            assert_eq!(resolved(raw.as_bytes()).as_deref(), Ok(text.as_bytes()), "{raw}");
        }
        for raw in ["&", "a & b", "&amp", "&;", "&nbsp;", "&#;", "&#x;", "&#xD800;", "&#x110000;", "&#-1;", "&#+65;", "&#a;"] {
            assert!(resolved(raw.as_bytes()).is_err(), "{raw}");
        }
    }

    fn decoded(text: &str) -> Vec<u8> {
        let mut key = text.as_bytes().to_vec();
        decode_in_place(&mut key);
        key
    }

    #[test]
    fn url_encoding() {
        for (encoded, key) in [
            ("plain/key", "plain/key"),
            ("a+b%2Bc%20d", "a b+c d"),
            ("%E4%BD%A0%0A%01", "你\n\u{1}"),
            ("100%25", "100%"),
            ("50%", "50%"),
            ("%2", "%2"),
            ("%zz%2f%%41", "%zz/%A"),
            ("%2F%2F..%2F", "//../"),
        ] {
            assert_eq!(decoded(encoded), key.as_bytes(), "{encoded}");
        }
        assert_eq!(decoded("%FF%FE"), [0xff, 0xfe]);
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.001Z", Some(1)),
            ("2026-12-01T02:00:00.678Z", Some(1_796_090_400_678)),
            ("2026-12-01T02:00:00.6Z", Some(1_796_090_400_600)),
            ("2026-12-01T02:00:00.678999999Z", Some(1_796_090_400_678)),
            (" 2026-12-01T02:00:00Z\n", Some(1_796_090_400_000)),
            ("2026-12-01T04:00:00+02:00", Some(1_796_090_400_000)),
            ("Tue, 01 Dec 2026 02:00:00 GMT", Some(1_796_090_400_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("1969-12-31T23:59:59Z", Some(0)),
            ("0001-01-01T00:00:00Z", Some(0)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-12-00T00:00:00Z", None),
            ("2026-12-01T24:00:00Z", None),
            ("2026-12-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(time(text.as_bytes()).map(|t| t.0), millis, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_usual_time_is_what_the_library_says(millis in 0i64..253_402_300_800_000, digits in 0usize..9) {
            let time = jiff::Timestamp::from_millisecond(millis).expect("in range");
            let text = format!("{time:.digits$}");
            let known: jiff::Timestamp = text.parse().expect("its own text");
            prop_assert_eq!(usual_time(text.as_bytes()), Some(Timestamp(known.as_millisecond() as u64)));
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = resolved(&bytes);
            let _ = time(&bytes);
            let mut key = bytes;
            decode_in_place(&mut key);
        }

        #[test]
        fn what_is_encoded_comes_back(key in any::<String>()) {
            let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decoded(&encoded), key.as_bytes());
            prop_assert_eq!(decoded(&encoded.replace("%20", "+")), key.as_bytes());
            prop_assert!(is_encoded(encoded.as_bytes()) || encoded == key);
        }
    }
}
