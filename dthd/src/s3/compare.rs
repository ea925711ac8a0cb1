//! Whether an object is already at the destination, and by which rule.

use dth_proto::spec::{Compare, S3Job};

use super::{
    metadata::ObjectInfo,
    object::{ETag, looks_like_md5, parts},
    page::EntryRef,
    provider::Profile,
    verify::checksum::is_same,
};

/// What the last copy left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The generation that was copied.
    pub source_etag: ETag,
    /// What the destination called the result.
    pub destination_etag: ETag,
}

/// What may be concluded from the two stores' ETags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareRules {
    /// At both ends the ETag of a single PUT is the MD5 of the content.
    pub etags_comparable: bool,
}

impl CompareRules {
    /// The rules between the two stores of a job. Where it says that objects are encrypted with KMS or a key of ours, ETags are
    /// not MD5s (AWS: `Object` in the S3 API reference).
    #[must_use]
    pub fn between(source: &Profile, destination: &Profile, job: &S3Job) -> Self {
        let ends = [&job.source.encryption, &job.destination.encryption];
        let plain = ends.into_iter().flatten().all(|e| e.kind == "AES256");
        Self { etags_comparable: source.etag_is_md5 && destination.etag_is_md5 && plain }
    }
}

/// What to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Copy it.
    Copy(CopyReason),
    /// It is there.
    Same(SameReason),
}

/// Why an object must be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyReason {
    /// The destination has nothing under the key.
    Missing,
    /// Sizes differ.
    Size,
    /// ETags show other content, or, where only equal ETags count, are not equal.
    Etag,
    /// The source is newer.
    Newer,
    /// The task copies everything.
    Always,
    /// Stored checksums, or ETags that are MD5s, show other content; before the ends are asked: they are to be asked.
    Checksum,
    /// The task wants checksums to be compared, and there are none that could be.
    Unproven,
}

/// Why an object counts as already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameReason {
    /// Equal size, and that is enough: the task says so, or both are empty.
    Size,
    /// Equal size and ETag.
    Etag,
    /// Neither end has changed since the recorded copy.
    Recorded,
    /// Equal size, and the destination is not older.
    Newer,
}

impl CopyReason {
    /// The word in records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Etag => "etag",
            Self::Newer => "newer",
            Self::Always => "always",
            Self::Checksum => "checksum",
            Self::Unproven => "unproven",
        }
    }
}

impl SameReason {
    /// The word in records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Etag => "etag",
            Self::Recorded => "recorded",
            Self::Newer => "newer",
        }
    }
}

/// Decides by what two listings and the record say; no request is made. Keys do not matter: a directory marker is an
/// object like any other. `recorded` is asked only where sizes and comparable ETags do not say by themselves that the object
/// is there: in a run that finds little changed, that spares a read of the store for every object.
#[must_use]
pub fn decide(
    mode: Compare,
    source: EntryRef<'_>,
    destination: Option<EntryRef<'_>>,
    recorded: impl FnOnce() -> Option<Recorded>,
    rules: &CompareRules,
) -> Decision {
    use self::Decision::{Copy, Same};
    let Some(destination) = destination else {
        return Copy(CopyReason::Missing);
    };
    if mode == Compare::Always {
        return Copy(CopyReason::Always);
    }
    if source.size != destination.size {
        return Copy(CopyReason::Size);
    }
    match mode {
        Compare::Auto => auto(source, destination, recorded, *rules),
        Compare::Etag if source.size == 0 => Same(SameReason::Size),
        Compare::Etag if is_equal(source.etag, destination.etag) => Same(SameReason::Etag),
        Compare::Etag => Copy(CopyReason::Etag),
        Compare::Newer => by_time(source, destination),
        Compare::Size => Same(SameReason::Size),
        Compare::Checksum if source.size == 0 => Same(SameReason::Size),
        // listings have no checksums: whoever copies asks first, see `by_checksum`
        Compare::Checksum => Copy(CopyReason::Checksum),
        // returned above
        Compare::Always => Copy(CopyReason::Always),
    }
}

/// Whether two objects of equal size are the same by what both stores have stored about them: their checksums, else ETags that are
/// MD5s. What cannot be compared so is copied once, and is the same while neither end changes.
#[must_use]
pub fn by_checksum(
    source: &ObjectInfo,
    destination: &ObjectInfo,
    recorded: impl FnOnce() -> Option<Recorded>,
    rules: &CompareRules,
) -> Option<CopyReason> {
    if source.size != destination.size {
        return Some(CopyReason::Size);
    }
    let (ours, theirs) = (source.etag.as_str(), destination.etag.as_str());
    let comparable = rules.etags_comparable && !source.opaque_etag && !destination.opaque_etag;
    let verdict = is_same(&source.checksums, &destination.checksums);
    match verdict.or_else(|| comparable.then(|| is_same_content(ours, theirs)).flatten()) {
        Some(true) => None,
        Some(false) => Some(CopyReason::Checksum),
        None => {
            let unchanged = |r: Recorded| is_equal(r.source_etag.as_str(), ours) && is_equal(r.destination_etag.as_str(), theirs);
            (!recorded().is_some_and(unchanged)).then_some(CopyReason::Unproven)
        }
    }
}

/// Sizes are equal.
fn auto(source: EntryRef<'_>, destination: EntryRef<'_>, recorded: impl FnOnce() -> Option<Recorded>, rules: CompareRules) -> Decision {
    let same_content = rules.etags_comparable.then(|| is_same_content(source.etag, destination.etag)).flatten();
    if same_content == Some(true) {
        return Decision::Same(SameReason::Etag);
    }
    // a store that lists no ETags can neither confirm nor refute a record
    if let Some(recorded) =
        Some(source.etag).filter(|e| !e.is_empty()).and_then(|_| recorded()).filter(|r| !r.source_etag.as_str().is_empty())
    {
        if !is_equal(recorded.source_etag.as_str(), source.etag) {
            return Decision::Copy(CopyReason::Etag);
        }
        if is_equal(recorded.destination_etag.as_str(), destination.etag) {
            return Decision::Same(SameReason::Recorded);
        }
    }
    // nothing is equal to nothing, whatever form the ETags have
    if source.size == 0 {
        return Decision::Same(SameReason::Size);
    }
    match same_content {
        Some(_) => Decision::Copy(CopyReason::Etag),
        None => by_time(source, destination),
    }
}

fn by_time(source: EntryRef<'_>, destination: EntryRef<'_>) -> Decision {
    match destination.modified >= source.modified {
        true => Decision::Same(SameReason::Newer),
        false => Decision::Copy(CopyReason::Newer),
    }
}

/// The same tag; hex digits in either case (Aliyun OSS writes them in upper case).
fn is_equal(a: &str, b: &str) -> bool {
    !a.is_empty() && (a == b || a.eq_ignore_ascii_case(b))
}

/// What ETags that are MD5s say about the content; `None`: nothing. A multipart ETag depends on the part size too, so
/// different ones prove nothing even if their numbers of parts are equal.
fn is_same_content(a: &str, b: &str) -> Option<bool> {
    if is_equal(a, b) {
        return (looks_like_md5(a) || parts(a).is_some()).then_some(true);
    }
    (looks_like_md5(a) && looks_like_md5(b)).then_some(false)
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        spec::{Encryption, S3Destination, S3Options, S3Source},
        time::Timestamp,
    };

    use super::*;
    use crate::s3::{object::Entry, verify::Algorithm};

    const A: &str = "0cc175b9c0f1b6a831c399e269772661";
    const B: &str = "92eb5ffee6ae2fec3ad71c777531578f";
    const A2: &str = "0cc175b9c0f1b6a831c399e269772661-2";
    const B2: &str = "92eb5ffee6ae2fec3ad71c777531578f-2";
    const A3: &str = "0cc175b9c0f1b6a831c399e269772661-3";

    fn entry(size: u64, etag: &str, modified: u64) -> Entry {
        Entry { key: "k".to_owned(), size, etag: ETag::new(etag), modified: Timestamp(modified), class: String::new(), version: None }
    }

    fn recorded((source, destination): (&str, &str)) -> Recorded {
        Recorded { source_etag: ETag::new(source), destination_etag: ETag::new(destination) }
    }

    type Row<'a> = ((u64, &'a str, u64), Option<(u64, &'a str, u64)>, Option<(&'a str, &'a str)>, bool, &'a str);

    fn check(mode: Compare, rows: &[Row<'_>]) {
        for row @ (source, destination, record, comparable, wanted) in rows {
            let source = entry(source.0, source.1, source.2);
            let destination = destination.map(|(size, etag, modified)| entry(size, etag, modified));
            let rules = CompareRules { etags_comparable: *comparable };
            let got = match decide(mode, (&source).into(), destination.as_ref().map(Into::into), || record.map(recorded), &rules) {
                Decision::Copy(reason) => format!("copy {}", reason.word()),
                Decision::Same(reason) => format!("same {}", reason.word()),
            };
            assert_eq!(&got, wanted, "{mode:?} {row:?}");
        }
    }

    #[test]
    fn auto() {
        check(
            Compare::Auto,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), None, Some((A, A)), true, "copy missing"),
                ((1, A, 5), Some((2, A, 9)), Some((A, A)), true, "copy size"),
                // the record
                ((1, A, 5), Some((1, B2, 1)), Some((A, B2)), true, "same recorded"),
                ((1, A, 5), Some((1, "x", 1)), Some((A, "x")), false, "same recorded"),
                ((1, B, 5), Some((1, A, 9)), Some((A, A)), true, "copy etag"),
                ((1, "new", 5), Some((1, "x", 9)), Some(("old", "x")), false, "copy etag"),
                // the destination was changed since: judged like an object without a record
                ((1, A, 5), Some((1, B, 9)), Some((A, A)), true, "copy etag"),
                ((1, A, 5), Some((1, A, 1)), Some((A, A2)), true, "same etag"),
                ((1, A, 5), Some((1, "x", 4)), Some((A, "y")), false, "copy newer"),
                // no ETags, no record
                ((1, "", 5), Some((1, "", 4)), Some(("", "")), true, "copy newer"),
                ((1, "", 5), Some((1, "x", 5)), Some((A, "x")), true, "same newer"),
                // the same content says more than a record of an earlier generation
                ((1, A, 5), Some((1, A, 1)), Some((B, B)), true, "same etag"),
                // ETags
                ((1, A, 5), Some((1, A, 1)), None, true, "same etag"),
                ((1, A, 5), Some((1, "0CC175B9C0F1B6A831C399E269772661", 1)), None, true, "same etag"),
                ((1, A, 5), Some((1, B, 9)), None, true, "copy etag"),
                ((1, A2, 5), Some((1, A2, 1)), None, true, "same etag"),
                ((1, A2, 5), Some((1, B2, 9)), None, true, "same newer"),
                ((1, A2, 5), Some((1, B2, 1)), None, true, "copy newer"),
                ((1, A2, 5), Some((1, A3, 9)), None, true, "same newer"),
                ((1, A, 5), Some((1, A2, 9)), None, true, "same newer"),
                ((1, A, 5), Some((1, A2, 4)), None, true, "copy newer"),
                // stores whose ETags mean nothing to each other
                ((1, A, 5), Some((1, A, 4)), None, false, "copy newer"),
                ((1, A, 5), Some((1, B, 5)), None, false, "same newer"),
                ((1, "x", 5), Some((1, "x", 4)), None, true, "copy newer"),
                ((1, A2, 5), Some((1, A2, 4)), None, false, "copy newer"),
                // empty objects and directory markers
                ((0, A, 5), Some((0, B, 1)), None, false, "same size"),
                ((0, A, 5), Some((0, B, 1)), None, true, "same size"),
                ((0, "x", 5), Some((0, "y", 1)), Some(("x", "y")), true, "same recorded"),
                ((0, A, 5), None, None, true, "copy missing"),
            ],
        );
    }

    #[test]
    fn a_record_is_asked_for_only_where_it_can_matter() {
        for (mode, source, destination, comparable, asked) in [
            (Compare::Auto, (1, A), Some((1, A)), true, false),
            (Compare::Auto, (1, A2), Some((1, A2)), true, false),
            (Compare::Auto, (0, A), Some((0, A)), true, false),
            (Compare::Auto, (1, A), Some((2, A)), true, false),
            (Compare::Auto, (1, A), None, true, false),
            (Compare::Auto, (1, ""), Some((1, A)), true, false),
            (Compare::Auto, (1, A), Some((1, A)), false, true),
            (Compare::Auto, (1, A), Some((1, A2)), true, true),
            (Compare::Auto, (1, A), Some((1, B)), true, true),
            (Compare::Etag, (1, A), Some((1, B)), true, false),
            (Compare::Newer, (1, A), Some((1, B)), true, false),
        ] {
            let (source, destination) = (entry(source.0, source.1, 5), destination.map(|(size, etag)| entry(size, etag, 5)));
            let mut looked_up = false;
            let record = || {
                looked_up = true;
                None
            };
            let _ = decide(
                mode,
                (&source).into(),
                destination.as_ref().map(Into::into),
                record,
                &CompareRules { etags_comparable: comparable },
            );
            assert_eq!(looked_up, asked, "{mode:?} {source:?} {destination:?}");
        }
    }

    #[test]
    fn size() {
        check(
            Compare::Size,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), Some((2, A, 9)), None, true, "copy size"),
                ((1, A, 5), Some((1, B, 1)), Some((B, B)), true, "same size"),
                ((0, A, 5), Some((0, B, 1)), None, true, "same size"),
            ],
        );
    }

    #[test]
    fn etag() {
        check(
            Compare::Etag,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), Some((2, A, 9)), None, true, "copy size"),
                ((1, A, 5), Some((1, A, 1)), None, true, "same etag"),
                ((1, A2, 5), Some((1, A2, 1)), None, false, "same etag"),
                ((1, A, 5), Some((1, A2, 9)), Some((A, A2)), true, "copy etag"),
                ((1, A2, 5), Some((1, A3, 9)), None, true, "copy etag"),
                ((1, "", 5), Some((1, "", 9)), None, true, "copy etag"),
                ((0, A, 5), Some((0, "x", 1)), None, true, "same size"),
            ],
        );
    }

    #[test]
    fn newer() {
        check(
            Compare::Newer,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), Some((2, A, 9)), None, true, "copy size"),
                ((1, A, 5), Some((1, B, 5)), None, true, "same newer"),
                ((1, A, 5), Some((1, A, 4)), Some((A, A)), true, "copy newer"),
                ((0, A, 5), Some((0, A, 4)), None, true, "copy newer"),
            ],
        );
    }

    #[test]
    fn always() {
        check(
            Compare::Always,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), Some((1, A, 9)), Some((A, A)), true, "copy always"),
                ((1, A, 5), Some((2, A, 9)), None, true, "copy always"),
                ((0, A, 5), Some((0, A, 9)), None, true, "copy always"),
            ],
        );
    }

    #[test]
    fn encryption_makes_etags_incomparable() {
        let [aws, other] = ["aws", "other"].map(|name| super::super::provider::find(name).expect("known"));
        let encryption = |kind: &str| Some(Encryption { kind: kind.to_owned(), key: None, bucket_key: None });
        let job = |source: Option<Encryption>, destination: Option<Encryption>| S3Job {
            source: S3Source { encryption: source, ..S3Source::default() },
            destination: S3Destination { encryption: destination, ..S3Destination::default() },
            options: S3Options::default(),
        };
        for (source, destination, comparable) in [
            (None, None, true),
            (None, encryption("AES256"), true),
            (None, encryption("aws:kms"), false),
            (None, encryption("SSE-C"), false),
            (encryption("SSE-C"), None, false),
        ] {
            let rules = CompareRules::between(aws, aws, &job(source, destination));
            assert_eq!(rules, CompareRules { etags_comparable: comparable });
        }
        assert!(!CompareRules::between(aws, other, &job(None, None)).etags_comparable);
    }

    #[test]
    fn by_stored_checksums() {
        let object = |sum: &str, etag: &str, opaque: bool| ObjectInfo {
            size: 1,
            etag: ETag::new(etag),
            opaque_etag: opaque,
            checksums: Algorithm::named("CRC32").filter(|_| !sum.is_empty()).map(|crc| (crc, sum.to_owned())).into_iter().collect(),
            ..ObjectInfo::default()
        };
        for (ours, theirs, record, comparable, expected) in [
            (("a", A, false), ("a", B, false), None, true, None),
            (("a", A, false), ("b", A, false), None, true, Some(CopyReason::Checksum)),
            // a record does not speak against what is stored
            (("a", A, false), ("b", B, false), Some((A, B)), true, Some(CopyReason::Checksum)),
            (("", A, false), ("b", A, false), None, true, None),
            (("", A, false), ("", B, false), None, true, Some(CopyReason::Checksum)),
            (("", A2, false), ("", A2, false), None, true, None),
            (("", A2, false), ("", B2, false), None, true, Some(CopyReason::Unproven)),
            (("", A2, false), ("", B2, false), Some((A2, B2)), true, None),
            (("", A2, false), ("", B2, false), Some((A2, A)), true, Some(CopyReason::Unproven)),
            (("", A, true), ("", B, false), None, true, Some(CopyReason::Unproven)),
            (("", A, false), ("", A, false), None, false, Some(CopyReason::Unproven)),
            (("", A, false), ("", A, false), Some((A, A)), false, None),
            (("a-2", A, false), ("b-3", B, false), Some((A, B)), false, None),
        ] {
            let (source, destination) = (object(ours.0, ours.1, ours.2), object(theirs.0, theirs.1, theirs.2));
            let rules = CompareRules { etags_comparable: comparable };
            assert_eq!(by_checksum(&source, &destination, || record.map(recorded), &rules), expected, "{ours:?} {theirs:?} {record:?}");
        }
        let longer = ObjectInfo { size: 2, ..object("a", A, false) };
        let rules = CompareRules { etags_comparable: true };
        assert_eq!(by_checksum(&longer, &object("a", A, false), || None, &rules), Some(CopyReason::Size));
        check(
            Compare::Checksum,
            &[
                ((1, A, 5), None, None, true, "copy missing"),
                ((1, A, 5), Some((2, A, 9)), None, true, "copy size"),
                ((0, A, 5), Some((0, B, 1)), None, true, "same size"),
                ((1, A, 5), Some((1, A, 9)), Some((A, A)), true, "copy checksum"),
            ],
        );
    }
}
