//! Keys and query parameters as they stand in a request line, and in what is signed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters (AWS: "URI encode" of Signature Version 4).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Of a key the slashes stay.
const KEY: &AsciiSet = &VALUE.remove(b'/');

/// `/` and the key.
pub(super) fn key(key: &str) -> String {
    let mut path = String::new();
    push_key(&mut path, key);
    path
}

/// Adds `/` and the key.
pub(super) fn push_key(path: &mut String, key: &str) {
    path.push('/');
    path.extend(utf8_percent_encode(key, KEY));
}

/// The query of parameters sorted by name, in canonical form: `name=value` with `&` in between.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    debug_assert!(parameters.is_sorted(), "{parameters:?}");
    let mut query = String::new();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, VALUE));
        query.push('=');
        query.extend(utf8_percent_encode(value, VALUE));
    }
    query
}
