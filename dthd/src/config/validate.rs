//! The rules that single values must keep, wherever they come from. Each message continues "KEY …".

use std::{ops::RangeInclusive, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use dth_proto::{time::Span, units::ByteSize};
use jiff::tz::TimeZone;
use tracing_subscriber::EnvFilter;

/// Says what is wrong with a value.
pub(super) type Rule<'r, T> = dyn Fn(&T) -> Result<(), String> + 'r;

pub(super) const RUNS: RangeInclusive<u64> = 1..=1_000;
pub(super) const OBJECTS: RangeInclusive<u64> = 1..=4_096;
/// An upload has at most 10,000 parts (AWS: "Amazon S3 multipart upload limits"); far fewer saturate any link.
pub(super) const PARTS: RangeInclusive<u64> = 1..=1_000;

/// A part has at least 5 MiB (AWS: "Amazon S3 multipart upload limits"), and one must fit.
const LEAST_MEMORY: ByteSize = ByteSize(8 << 20);
const LONGEST_DRAIN: Duration = Duration::from_hours(1);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);
/// `sun_path` has 108 bytes with the closing zero (unix(7)).
const LONGEST_SOCKET: usize = 107;
/// AWS: "Amazon CloudWatch concepts", Namespaces.
const LONGEST_NAMESPACE: usize = 255;

pub(super) fn number(value: u32, range: &RangeInclusive<u64>) -> Result<(), String> {
    if range.contains(&value.into()) {
        return Ok(());
    }
    Err(format!("must be from {} to {}, not {value}", range.start(), range.end()))
}

pub(super) fn memory(value: &ByteSize) -> Result<(), String> {
    if *value >= LEAST_MEMORY { Ok(()) } else { Err(format!("must be at least {LEAST_MEMORY}, not {value}")) }
}

pub(super) fn timezone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("{name:?} is not a time zone: use an IANA name like \"Asia/Shanghai\""))
}

pub(super) fn drain(value: &Span) -> Result<(), String> {
    if value.0 <= LONGEST_DRAIN { Ok(()) } else { Err(format!("must be at most {}, not {value}", Span(LONGEST_DRAIN))) }
}

pub(super) fn interval(value: &Span) -> Result<(), String> {
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&value.0) {
        return Ok(());
    }
    Err(format!("must be from {} to {}, not {value}", Span(SHORTEST_INTERVAL), Span(LONGEST_INTERVAL)))
}

pub(super) fn absolute(path: &Path) -> Result<(), String> {
    if path.is_absolute() { Ok(()) } else { Err(format!("must begin with /, not {:?}", path.display().to_string())) }
}

pub(super) fn socket(path: &Path) -> Result<(), String> {
    absolute(path)?;
    let length = path.as_os_str().as_bytes().len();
    if length <= LONGEST_SOCKET { Ok(()) } else { Err(format!("has {length} bytes: the path of a socket has at most {LONGEST_SOCKET}")) }
}

pub(super) fn log_filter(filter: &String) -> Result<(), String> {
    EnvFilter::builder()
        .parse(filter)
        .map(|_| ())
        .map_err(|error| format!("{filter:?} is not a log filter ({error}): write it like info,dthd::s3=debug"))
}

/// AWS: "Amazon CloudWatch concepts": letters, digits and `. - _ / # : space`; names beginning with AWS/ are AWS's own.
pub(super) fn namespace(name: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    if name.trim().is_empty() || name.len() > LONGEST_NAMESPACE || !name.chars().all(known) {
        return Err(format!("{name:?} is not a namespace: use 1 to {LONGEST_NAMESPACE} of A-Z a-z 0-9 . - _ / # : and space"));
    }
    if name.starts_with("AWS/") || name.starts_with(':') {
        return Err(format!("{name:?} is reserved: AWS/ and : in front belong to AWS"));
    }
    Ok(())
}

pub(super) fn endpoint(url: &str) -> Result<(), String> {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if host.is_some_and(|h| !h.trim_end_matches('/').is_empty() && !h.contains([' ', '@'])) {
        return Ok(());
    }
    Err(format!("{url:?} is not an endpoint: write it like https://host[:port]"))
}

/// AWS: CreateSecret, Name; and the form of a secret's ARN.
pub(super) fn secret(secret: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    let name = if secret.starts_with("arn:") {
        let parts: Vec<&str> = secret.splitn(7, ':').collect();
        match parts[..] {
            [_, partition, "secretsmanager", place, account, "secret", name]
                if partition.starts_with("aws") && region(place).is_ok() && !account.is_empty() =>
            {
                name
            }
            _ => {
                return Err(format!(
                    "{secret:?} is not the ARN of a secret: write it like arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"
                ));
            }
        }
    } else {
        secret
    };
    if !name.is_empty() && name.len() <= 512 && name.chars().all(known) {
        return Ok(());
    }
    Err(format!("{secret:?} is not the name of a secret: use 1 to 512 characters of A-Z a-z 0-9 / _ + = . @ -, or its ARN"))
}

pub(super) fn region(region: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !region.is_empty() && region.chars().all(known) {
        Ok(())
    } else {
        Err(format!("{region:?} is not a region: write it like us-east-1"))
    }
}

pub(super) fn credential_name(name: &str) -> Result<(), String> {
    if name == "anonymous" {
        return Err("is built in and needs no definition: choose another name".to_owned());
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(known) {
        return Ok(());
    }
    Err("is not a credential's name: use 1 to 64 characters of A-Z a-z 0-9 . _ -".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_range_are_refused() {
        for (result, word) in [
            (memory(&ByteSize(1 << 20)), "at least 8MiB"),
            (number(0, &RUNS), "from 1 to 1000"),
            (timezone("Asia/Peking").map(drop), "not a time zone: use an IANA name"),
            (drain(&Span(Duration::from_hours(2))), "at most 1h"),
            (interval(&Span(Duration::from_secs(9))), "from 10s to 1h"),
            (absolute(Path::new("state")), "begin with /"),
            (socket(Path::new(&format!("/{}", "s".repeat(107)))), "at most 107"),
            (log_filter(&"dthd=loud".to_owned()), "not a log filter"),
            (namespace("AWS/S3"), "reserved"),
            (namespace("a*b"), "not a namespace"),
            (endpoint("ftp://x"), "not an endpoint"),
            (endpoint("https://"), "not an endpoint"),
            (secret("my keys"), "not the name of a secret"),
            (secret("arn:aws:s3:::keys"), "not the ARN of a secret"),
            (secret("arn:aws:secretsmanager::1:secret:keys"), "not the ARN of a secret"),
            (region("US East"), "not a region"),
            (credential_name("anonymous"), "built in"),
            (credential_name("a b"), "not a credential's name"),
        ] {
            let message = result.expect_err(word);
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn good_values_pass() {
        memory(&ByteSize(8 << 20)).expect("the least");
        socket(Path::new(&format!("/{}", "s".repeat(106)))).expect("the longest");
        log_filter(&super::super::DEFAULT_LOG_FILTER.to_owned()).expect("the default");
        namespace(super::super::DEFAULT_NAMESPACE).expect("the default");
        interval(&Span(super::super::DEFAULT_INTERVAL)).expect("the default");
        endpoint("http://127.0.0.1:5000").expect("loopback");
        secret("dth/cn@keys").expect("a name");
        secret("arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:dth/cn-AbCdEf").expect("an ARN");
        region("us-gov-west-1").expect("a region");
    }
}
