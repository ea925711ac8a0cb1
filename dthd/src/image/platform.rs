//! What an image runs on.

use std::{fmt, str::FromStr};

use dth_proto::spec::image::platform::platform_problem;

/// `os/architecture[/variant]`. The version of an operating system (`os.version`, Windows) plays no part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`, `windows`.
    pub os: String,
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// `v7`.
    pub variant: Option<String>,
}

/// Text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPlatform(String);

impl Platform {
    /// Whether it is one of those wanted; of none in particular, all are.
    ///
    /// A platform that is wanted without a variant is wanted in every variant: `linux/arm` means `linux/arm/v6` and `linux/arm/v7`.
    #[must_use]
    pub fn matches(&self, wanted: &[Self]) -> bool {
        let own = self.plain();
        wanted.is_empty()
            || wanted.iter().any(|wanted| {
                let plain = wanted.plain();
                (&own.0, &own.1) == (&plain.0, &plain.1) && (wanted.variant.is_none() || own.2 == plain.2)
            })
    }

    /// What is the same platform gives the same, as containerd's `platforms.Normalize` has it: other names of an architecture, and the
    /// variant that is meant where none is given.
    fn plain(&self) -> (String, String, String) {
        let lower = str::to_ascii_lowercase;
        let variant = self.variant.as_deref().map_or_else(String::new, lower);
        let architecture = lower(&self.architecture);
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("arm64" | "aarch64", "" | "8" | "v8") => ("arm64", "v8"),
            ("aarch64", variant) => ("arm64", variant),
            ("amd64" | "x86_64" | "x86-64", "" | "v1") => ("amd64", "v1"),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("arm" | "armhf", "" | "7" | "v7") => ("arm", "v7"),
            ("armel", "" | "6") | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("i386" | "386", _) => ("386", ""),
            (architecture, variant) => (architecture, variant),
        };
        let os = lower(&self.os);
        (if os == "macos" { "darwin".to_owned() } else { os }, architecture.to_owned(), variant.to_owned())
    }
}

impl FromStr for Platform {
    type Err = BadPlatform;

    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        if let Some(why) = platform_problem(text) {
            return Err(BadPlatform(why));
        }
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Ok(Self { os, architecture, variant: parts.next() })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    #[test]
    fn platforms_match_what_they_are() {
        for (image, wanted, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v9", "linux/arm64", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
            ("linux/arm/v6", "linux/arm", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/amd64/v3", "linux/amd64/v1", false),
            ("linux/amd64", "linux/amd64/v1", true),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/aarch64", "linux/arm64", true),
            ("Linux/AMD64", "linux/amd64", true),
            ("linux/i386", "linux/386", true),
            ("linux/s390x", "linux/s390x", true),
            ("unknown/unknown", "linux/amd64", false),
            ("unknown/unknown", "unknown/unknown", true),
        ] {
            assert_eq!(platform(image).matches(&[platform(wanted)]), expected, "{image} as {wanted}");
        }
    }

    #[test]
    fn one_of_several_is_enough_and_none_means_all() {
        let image = platform("linux/arm/v6");
        assert!(image.matches(&[]));
        assert!(image.matches(&[platform("linux/amd64"), platform("linux/arm/v6")]));
        assert!(!image.matches(&[platform("linux/amd64"), platform("linux/arm/v7")]));
    }

    #[test]
    fn what_is_no_platform_says_how_to_write_one() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/ amd64", "linux//v7"] {
            let error = text.parse::<Platform>().expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("linux/amd64"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn platforms_are_written_as_they_are_read(text in "[a-z]{1,5}/[a-z0-9_]{1,5}(/v[0-9])?") {
            let platform: Platform = text.parse().expect("a platform");
            prop_assert_eq!(platform.to_string(), text);
            prop_assert!(platform.matches(std::slice::from_ref(&platform)));
        }
    }
}
