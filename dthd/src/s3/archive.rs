//! Objects in an archive: whether they can be read now, and what restoring them takes.

use std::time::Duration;

use dth_proto::{spec::RestoreTier, time::Timestamp};

use super::provider::Profile;

/// Of this class an object may have been moved into an archive without its class saying so (AWS: "S3 Intelligent-Tiering").
pub const INTELLIGENT: &str = "INTELLIGENT_TIERING";
/// What an object's restored copy stays for, where the task says nothing, in days.
pub const DAYS: u32 = 7;

/// Whether an object can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in no archive, or a restored copy is there.
    Readable,
    /// It is being restored.
    Restoring,
    /// It must be restored first.
    Archived(Depth),
}

/// How far away it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Minutes to hours (AWS: S3 Glacier Flexible Retrieval, Archive Access tier).
    Shallow,
    /// Hours to days, never minutes (AWS: S3 Glacier Deep Archive, Deep Archive Access tier).
    Deep,
}

/// What HEAD says of an object's archive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// Storage class.
    pub class: &'a str,
    /// `x-amz-restore`.
    pub restore: Option<&'a str>,
    /// `x-amz-archive-status`, of objects of the class [`INTELLIGENT`].
    pub archive_status: Option<&'a str>,
}

impl Told<'_> {
    /// The state of the object.
    #[must_use]
    pub fn state(&self, profile: &Profile) -> State {
        if let Some(restore) = self.restore {
            // an object of the class INTELLIGENT_TIERING that is restored says nothing any more
            return if restore.contains("ongoing-request=\"true\"") { State::Restoring } else { State::Readable };
        }
        match self.archive_status {
            Some("DEEP_ARCHIVE_ACCESS") => State::Archived(Depth::Deep),
            Some(_) => State::Archived(Depth::Shallow),
            None => profile.archive(self.class).map_or(State::Readable, State::Archived),
        }
    }
}

/// The tier that a restoration is asked for in: what the task says, where there is such a thing.
#[must_use]
pub fn tier(wanted: RestoreTier, depth: Depth) -> RestoreTier {
    match (wanted, depth) {
        // AWS: "Understanding archive retrieval options"
        (RestoreTier::Expedited, Depth::Deep) => RestoreTier::Standard,
        _ => wanted,
    }
}

/// How long a restoration takes at most, as a rule (AWS: "Understanding archive retrieval options").
#[must_use]
pub fn takes(tier: RestoreTier, depth: Depth) -> Duration {
    const HOUR: u64 = 3_600;
    Duration::from_secs(match (tier, depth) {
        (RestoreTier::Expedited, _) => 5 * 60,
        (RestoreTier::Standard, Depth::Shallow) => 5 * HOUR,
        (RestoreTier::Bulk, Depth::Shallow) | (RestoreTier::Standard, Depth::Deep) => 12 * HOUR,
        (RestoreTier::Bulk, Depth::Deep) => 48 * HOUR,
    })
}

/// The longest pause between two looks at what is being restored.
const LONGEST: Duration = Duration::from_hours(1);

/// How long to wait before what is being restored is looked at for the `n`-th time (from 0): twice as long each time, from a minute
/// (expedited) or a quarter of an hour on, an hour at most.
#[must_use]
pub fn pause(tier: RestoreTier, n: u32) -> Duration {
    let first = match tier {
        RestoreTier::Expedited => Duration::from_mins(1),
        RestoreTier::Standard | RestoreTier::Bulk => Duration::from_mins(15),
    };
    first.saturating_mul(2_u32.saturating_pow(n)).min(LONGEST)
}

/// `1,234 objects are being restored, ready in about 5 h`.
#[must_use]
pub fn words(count: u64, ready: Timestamp, now: Timestamp) -> String {
    let left = Duration::from_millis(ready.0.saturating_sub(now.0));
    let (hours, minutes) = (left.as_secs().div_ceil(3_600), left.as_secs().div_ceil(60));
    let when = match (hours, minutes) {
        (_, 0) => "ready any moment".to_owned(),
        (0 | 1, minutes) => format!("ready in about {minutes} min"),
        (hours, _) => format!("ready in about {hours} h"),
    };
    let objects = if count == 1 { "1 object is".to_owned() } else { format!("{} objects are", grouped(count)) };
    format!("{objects} being restored, {when}")
}

/// `1,234`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::provider;

    #[test]
    fn what_a_store_tells_of_an_archive() {
        let aws = provider::find("aws").expect("known");
        for (class, restore, archive_status, state) in [
            ("", None, None, State::Readable),
            ("STANDARD", None, None, State::Readable),
            ("GLACIER_IR", None, None, State::Readable),
            ("GLACIER", None, None, State::Archived(Depth::Shallow)),
            ("DEEP_ARCHIVE", None, None, State::Archived(Depth::Deep)),
            ("GLACIER", Some(r#"ongoing-request="true""#), None, State::Restoring),
            ("DEEP_ARCHIVE", Some(r#"ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT""#), None, State::Readable),
            (INTELLIGENT, None, None, State::Readable),
            (INTELLIGENT, None, Some("ARCHIVE_ACCESS"), State::Archived(Depth::Shallow)),
            (INTELLIGENT, None, Some("DEEP_ARCHIVE_ACCESS"), State::Archived(Depth::Deep)),
            (INTELLIGENT, Some(r#"ongoing-request="true""#), Some("ARCHIVE_ACCESS"), State::Restoring),
        ] {
            assert_eq!(Told { class, restore, archive_status }.state(aws), state, "{class} {restore:?} {archive_status:?}");
        }
    }

    #[test]
    fn every_store_has_archives_of_its_own() {
        for (name, class, depth) in [
            ("aws", "GLACIER", Some(Depth::Shallow)),
            ("aliyun-oss", "Archive", Some(Depth::Shallow)),
            ("aliyun-oss", "ColdArchive", Some(Depth::Deep)),
            ("tencent-cos", "DEEP_ARCHIVE", Some(Depth::Deep)),
            ("tencent-cos", "ARCHIVE", Some(Depth::Shallow)),
            // read at once
            ("google-gcs", "ARCHIVE", None),
            ("minio", "STANDARD", None),
        ] {
            assert_eq!(provider::find(name).expect("known").archive(class), depth, "{name} {class}");
        }
    }

    #[test]
    fn nothing_is_expedited_from_the_depth() {
        assert_eq!(tier(RestoreTier::Expedited, Depth::Deep), RestoreTier::Standard);
        assert_eq!(tier(RestoreTier::Expedited, Depth::Shallow), RestoreTier::Expedited);
        assert_eq!(tier(RestoreTier::Bulk, Depth::Deep), RestoreTier::Bulk);
    }

    #[test]
    fn pauses_grow_to_an_hour() {
        let minutes = |tier, n| pause(tier, n).as_secs() / 60;
        assert_eq!((0..8).map(|n| minutes(RestoreTier::Expedited, n)).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((0..4).map(|n| minutes(RestoreTier::Bulk, n)).collect::<Vec<_>>(), [15, 30, 60, 60]);
        assert_eq!(minutes(RestoreTier::Standard, u32::MAX), 60);
    }

    #[test]
    fn the_operator_is_told_how_many_and_when() {
        let at = |seconds: u64| Timestamp(seconds * 1_000);
        assert_eq!(words(1_234, at(4 * 3_600 + 60), at(0)), "1,234 objects are being restored, ready in about 5 h");
        assert_eq!(words(1, at(290), at(0)), "1 object is being restored, ready in about 5 min");
        assert_eq!(words(1_000_000, at(0), at(9)), "1,000,000 objects are being restored, ready any moment");
    }
}
