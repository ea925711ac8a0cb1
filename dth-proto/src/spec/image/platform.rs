//! Platforms as tasks name them.

/// Why this is no platform; `None`: it is `os/architecture[/variant]`, with letters, digits, `_`, `.` and `-` in each part.
#[must_use]
pub fn platform_problem(text: &str) -> Option<String> {
    let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let parts = text.split('/').count();
    let is_platform = (2..=3).contains(&parts) && text.split('/').all(good);
    (!is_platform).then(|| format!("{text:?} is not a platform: write it like linux/amd64 or linux/arm/v7"))
}

#[cfg(test)]
mod tests {
    use super::platform_problem;

    #[test]
    fn platforms_have_two_or_three_parts() {
        for good in ["linux/amd64", "linux/arm/v7", "windows/amd64", "linux/x86_64", "unknown/unknown"] {
            assert_eq!(platform_problem(good), None, "{good}");
        }
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux amd64", "linux/é"] {
            assert!(platform_problem(bad).is_some_and(|why| why.contains("linux/arm/v7")), "{bad}");
        }
    }
}
