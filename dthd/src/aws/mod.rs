//! What all clients of AWS services share.
//!
//! | file | holds |
//! |---|---|
//! | [`connector`] | the HTTP client under the SDKs |
//! | [`shared`] | the configuration that all of them begin with |
//! | [`failure`] | requests that no service answered, in words |

mod connector;
pub(crate) mod failure;
mod shared;

pub(crate) use self::shared::shared;

/// Whether an endpoint can be used: `http(s)://host[:port][/base]`, without a user, a query or a fragment.
#[must_use]
pub(crate) fn is_endpoint(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    rest.is_some_and(|r| !r.trim_matches('/').is_empty() && !r.contains([' ', '@', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::is_endpoint;

    #[test]
    fn endpoints() {
        for good in ["http://127.0.0.1:8333", "https://s3.example.com/", "https://host/base"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in ["127.0.0.1:8333", "ftp://x", "https://", "http://user:secret@host", "http://a b"] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
