//! The query of a request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Names and values, decoded, in the order sent.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn parse(text: Option<&'a str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name, percent_decode_str(value).decode_utf8_lossy())
        });
        Self(pairs.collect())
    }

    /// The value of a name; `None` when it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_ref())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let query = Query::parse(Some("uploads&prefix=a%2Fb%20c&max-keys=7&empty="));
        assert!(query.has("uploads") && query.has("empty") && !query.has("x"));
        assert_eq!((query.get("prefix"), query.number("max-keys"), query.number("empty")), (Some("a/b c"), Some(7), None));
        assert!(!Query::parse(None).has(""));
    }
}
