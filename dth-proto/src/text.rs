//! Types that are written as text, on the wire as in files.

/// What `#[serde(try_from = "String", into = "String")]` asks for, of types that are read by [`std::str::FromStr`] and shown by
/// [`std::fmt::Display`].
macro_rules! as_text {
    ($($kind:ty),+) => {$(
        impl TryFrom<String> for $kind {
            type Error = <Self as std::str::FromStr>::Err;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )+};
}

pub(crate) use as_text;
