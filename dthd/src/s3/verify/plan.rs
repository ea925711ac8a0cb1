//! How a copy is verified: the cheapest way that is as good as any, from what both ends are known to do.
//!
//! What the source has stored about an object is worth more than anything computed here: it is older than the transfer, and costs
//! nothing. A wrong byte on the way in shows against it; on the way out, the destination refuses what does not match.
//!
//! | word in the record | what was proven, and what it cost |
//! |---|---|
//! | `content-md5` | the destination checked the source's own MD5 before it published the object; nothing |
//! | `checksum-…` | likewise with a checksum that the source had stored; nothing, or a CRC and an MD5 where the destination takes no checksums |
//! | `md5-in-flight`, `crc-in-flight` | the source says nothing that could be checked; the destination checked what was received; an MD5 or a CRC |
//! | `multipart-etag` | the parts at the destination give the source's own multipart ETag; nothing |
//! | `…-combined` | the parts together have the checksum that the source had stored; a CRC |
//! | `whole-md5` | the parts together have the MD5 that is the source's ETag; an MD5 |
//! | `part-md5` | the source says nothing that could be checked; the destination checked the MD5 of each part as received; an MD5 |

use dth_proto::spec::S3Destination;
use serde::{Deserialize, Serialize};

use super::{Algorithm, Crc, Md5Sum, StoredChecksum, Sums};
use crate::s3::{metadata::ObjectInfo, object::ETag, provider::Profile};

/// What a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The source's ETag, where it has the form of an MD5 and no encryption makes it something else.
    pub md5: Option<Md5Sum>,
    /// Such ETags of the source are known to be MD5s; otherwise they may be anything of that form.
    pub md5_is_certain: bool,
    /// The number of parts whose MD5s the source's ETag is known to be made of.
    pub parts: Option<u32>,
    /// What the source has stored about the whole object.
    pub checksum: Option<StoredChecksum>,
    /// The destination takes checksums and refuses what does not match.
    pub takes_checksums: bool,
    /// The ETags of the destination's parts are their MD5s.
    pub part_etags_are_md5: bool,
    /// The checksum that the task wants to be stored with each object.
    pub asked: Option<Algorithm>,
}

impl Facts {
    /// What is known of a source object and of both stores; `target` is what is asked for at the destination.
    #[must_use]
    pub fn of(etag: &ETag, info: &ObjectInfo, source: &Profile, destination: &Profile, target: &S3Destination) -> Self {
        let clear = !info.opaque_etag;
        // with KMS and SSE-C the destination's ETags are no MD5s (AWS: Object in the S3 API reference)
        let plain = target.encryption.as_ref().is_none_or(|e| e.kind == "AES256");
        Self {
            md5: Md5Sum::from_etag(etag).filter(|_| clear),
            md5_is_certain: source.etag_is_md5,
            parts: etag.parts().filter(|_| clear && source.multipart_etag_is_md5),
            checksum: info.checksum,
            takes_checksums: destination.checksums,
            part_etags_are_md5: destination.multipart_etag_is_md5 && plain,
            asked: target.checksum.as_deref().and_then(Algorithm::named),
        }
    }

    /// What is computed where nothing can be passed on: a CRC is some fifty times cheaper than an MD5.
    fn computed(&self) -> Guard {
        match self.asked {
            Some(Algorithm::Crc(crc)) => Guard::Crc(crc),
            None if self.takes_checksums => Guard::Crc(Crc::Crc64Nvme),
            _ => Guard::Md5,
        }
    }

    /// Whether a checksum of the source can be passed on. A request can have one checksum only (AWS: InvalidRequest).
    fn passes(&self, crc: Crc) -> bool {
        self.asked.map_or(self.takes_checksums, |asked| asked == Algorithm::Crc(crc))
    }

    /// What is asked for and does not go along as a guard already.
    fn extra(&self, sent: Option<Crc>) -> Option<Algorithm> {
        self.asked.filter(|asked| sent.map(Algorithm::Crc) != Some(*asked))
    }
}

/// How one PutObject is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinglePlan {
    /// The source's ETag is the MD5 of its bytes: it goes along as Content-MD5.
    PassMd5(Md5Sum),
    /// The checksum that the source has stored goes along.
    PassChecksum(StoredChecksum),
    /// Received bytes are compared with the checksum that the source has stored; their MD5 goes along.
    Compare(StoredChecksum),
    /// This of the received bytes goes along.
    Compute(Guard),
}

/// What goes along with bytes, so that the destination refuses others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guard {
    /// Nothing: the destination's ETag tells what arrived.
    Etag,
    /// Their MD5.
    #[default]
    Md5,
    /// Their checksum.
    Crc(Crc),
}

/// What to do after bytes were found wrong, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// They are what the source announced: they were damaged on their way to the destination.
    SendAgain,
    /// They are not: they were damaged on their way here, or, when other reads bring nothing better, the source is wrong.
    ReadAgain,
    /// The source's ETag only looks like an MD5; another plan helps.
    Otherwise(SinglePlan),
}

impl SinglePlan {
    /// The best there is. An MD5 goes before a checksum: every store takes it.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        match (facts.md5, facts.checksum) {
            (Some(md5), _) => Self::PassMd5(md5),
            (None, Some(stored)) if facts.passes(stored.crc) => Self::PassChecksum(stored),
            (None, Some(stored)) => Self::Compare(stored),
            (None, None) => Self::Compute(facts.computed()),
        }
    }

    /// The checksum that is asked for and goes along besides what the plan sends.
    #[must_use]
    pub fn extra(&self, facts: &Facts) -> Option<Algorithm> {
        facts.extra(match self {
            Self::PassChecksum(stored) => Some(stored.crc),
            Self::Compute(Guard::Crc(crc)) => Some(*crc),
            _ => None,
        })
    }

    /// What of the received bytes tells whether they are the source's.
    #[must_use]
    pub fn evidence(&self) -> (bool, Option<Crc>) {
        match self {
            Self::PassMd5(_) | Self::Compute(_) => (true, None),
            Self::PassChecksum(stored) | Self::Compare(stored) => (false, Some(stored.crc)),
        }
    }

    /// Who is wrong. `received`: the [`Self::evidence`] of the bytes at hand; `before`: that of an earlier read.
    #[must_use]
    pub fn judge(&self, facts: &Facts, received: Sums, before: Option<Sums>) -> Judgement {
        let right = match self {
            Self::PassMd5(announced) => received.md5 == Some(*announced),
            Self::PassChecksum(stored) | Self::Compare(stored) => received.crc == Some(stored.value),
            Self::Compute(_) => true,
        };
        match self {
            _ if right => Judgement::SendAgain,
            // the same bytes twice
            Self::PassMd5(_) if !facts.md5_is_certain && before == Some(received) => {
                Judgement::Otherwise(Self::of(&Facts { md5: None, ..*facts }))
            }
            _ => Judgement::ReadAgain,
        }
    }

    /// The method's name in the record of the item.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::PassMd5(_) => "content-md5",
            Self::PassChecksum(stored) | Self::Compare(stored) => match stored.crc {
                Crc::Crc64Nvme => "checksum-crc64nvme",
                Crc::Crc32c => "checksum-crc32c",
                Crc::Crc32 => "checksum-crc32",
            },
            Self::Compute(Guard::Crc(_)) => "crc-in-flight",
            Self::Compute(Guard::Md5 | Guard::Etag) => "md5-in-flight",
        }
    }
}

/// What the source can tell about an object that is copied in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The checksum of all bytes, which follows from those of the parts.
    Checksum(StoredChecksum),
    /// An ETag made of the MD5s of parts that are cut like ours.
    PartEtags,
    /// The MD5 of all bytes.
    Bytes(Md5Sum),
    /// Nothing.
    None,
}

/// How a multipart upload is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartPlan {
    /// What goes along with each part.
    pub guard: Guard,
    /// What is compared before the parts become an object.
    pub witness: Witness,
    /// The checksum that is asked for and goes along with each part besides the guard.
    pub extra: Option<Algorithm>,
}

impl MultipartPlan {
    /// The best there is. `replicated`: the parts are cut like the source's, as far as is known; `whole`: all bytes pass here, none
    /// was sent by an earlier process; `doubtful`: bytes turned out wrong before, so that every part is hashed here.
    #[must_use]
    pub fn of(facts: &Facts, replicated: bool, whole: bool, doubtful: bool) -> Self {
        let (guard, witness) = match (facts.checksum, facts.md5) {
            (Some(stored), _) if facts.passes(stored.crc) => (Guard::Crc(stored.crc), Witness::Checksum(stored)),
            _ if facts.parts.is_some() && replicated && facts.part_etags_are_md5 && !doubtful => (Guard::Etag, Witness::PartEtags),
            _ if facts.parts.is_some() && replicated => (Guard::Md5, Witness::PartEtags),
            (Some(stored), _) if whole => (Guard::Md5, Witness::Checksum(stored)),
            (None, Some(md5)) if whole && facts.md5_is_certain => (facts.computed(), Witness::Bytes(md5)),
            (Some(_), _) => (Guard::Md5, Witness::None),
            (None, _) => (facts.computed(), Witness::None),
        };
        Self::with(guard, witness, facts)
    }

    /// The best there is where the store copies the parts by itself: nothing passes here, its answers are what there is to look at.
    #[must_use]
    pub fn by_store(facts: &Facts, replicated: bool) -> Self {
        let (guard, witness) = match (facts.checksum, facts.asked) {
            (Some(stored), _) if facts.passes(stored.crc) => (Guard::Crc(stored.crc), Witness::Checksum(stored)),
            _ if facts.parts.is_some() && replicated && facts.part_etags_are_md5 => (Guard::Etag, Witness::PartEtags),
            (_, Some(Algorithm::Crc(crc))) => (Guard::Crc(crc), Witness::None),
            _ => (Guard::Etag, Witness::None),
        };
        Self::with(guard, witness, facts)
    }

    fn with(guard: Guard, witness: Witness, facts: &Facts) -> Self {
        let plan = Self { guard, witness, extra: None };
        Self { extra: facts.extra(plan.crc()), ..plan }
    }

    /// The checksum that the upload is created for.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.crc().map(Algorithm::Crc).or(self.extra)
    }

    /// The checksum that guards each part.
    #[must_use]
    pub fn crc(&self) -> Option<Crc> {
        match self.guard {
            Guard::Crc(crc) => Some(crc),
            Guard::Etag | Guard::Md5 => None,
        }
    }

    /// What is computed over the bytes of each part: whether their MD5, and which checksum.
    #[must_use]
    pub fn computed(&self) -> (bool, Option<Crc>) {
        let compared = match self.witness {
            Witness::Checksum(stored) => Some(stored.crc),
            Witness::PartEtags | Witness::Bytes(_) | Witness::None => None,
        };
        (self.guard == Guard::Md5, self.crc().or(compared))
    }

    /// The method's name in the record of the item, after the witness was heard. `agreed`: the ETags of both ends are equal.
    #[must_use]
    pub fn word(&self, spoken: bool, agreed: bool) -> &'static str {
        match self.witness {
            Witness::Checksum(stored) if spoken => match stored.crc {
                Crc::Crc64Nvme => "crc64nvme-combined",
                Crc::Crc32c => "crc32c-combined",
                Crc::Crc32 => "crc32-combined",
            },
            Witness::Bytes(_) if spoken => "whole-md5",
            _ if spoken || agreed => "multipart-etag",
            _ if self.crc().is_some() => "crc-in-flight",
            _ => "part-md5",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: Md5Sum = Md5Sum([7; 16]);
    const STORED: StoredChecksum = StoredChecksum { crc: Crc::Crc32c, value: 9 };

    /// All combinations of what a plan depends on.
    fn all() -> impl Iterator<Item = Facts> {
        let bits = |n: u32, bit: u32| n >> bit & 1 == 1;
        (0..64).filter(move |n| !(bits(*n, 0) && bits(*n, 2))).map(move |n| Facts {
            md5: bits(n, 0).then_some(MD5),
            md5_is_certain: bits(n, 1),
            parts: bits(n, 2).then_some(3),
            checksum: bits(n, 3).then_some(STORED),
            takes_checksums: bits(n, 4),
            part_etags_are_md5: bits(n, 5),
            asked: None,
        })
    }

    #[test]
    fn single_plans() {
        for facts in all() {
            let plan = SinglePlan::of(&facts);
            let word = match (facts.md5, facts.checksum, facts.takes_checksums) {
                (Some(_), _, _) => "content-md5",
                (None, Some(_), _) => "checksum-crc32c",
                (None, None, true) => "crc-in-flight",
                (None, None, false) => "md5-in-flight",
            };
            assert_eq!(plan.word(), word, "{facts:?}");
            // a checksum header is a risk at other stores: several answer 400 to it
            let sends_checksum = matches!(plan, SinglePlan::PassChecksum(_) | SinglePlan::Compute(Guard::Crc(_)));
            assert!(!sends_checksum || facts.takes_checksums, "{facts:?}");
            assert_ne!(plan, SinglePlan::Compute(Guard::Etag), "{facts:?}");
        }
    }

    #[test]
    fn multipart_plans() {
        let table = |facts: &Facts, replicated: bool, whole: bool, doubtful: bool| {
            let mut plan = MultipartPlan::of(facts, replicated, whole, doubtful);
            // the table names the guard that is computed for want of a better one in one way
            if plan.guard == Guard::Crc(Crc::Crc64Nvme) {
                assert!(facts.takes_checksums, "{facts:?}");
                plan.guard = Guard::Md5;
            }
            (plan.guard, plan.witness)
        };
        for facts in all() {
            for n in 0..8 {
                let (replicated, whole, doubtful) = (n & 1 == 1, n & 2 == 2, n & 4 == 4);
                let plan = table(&facts, replicated, whole, doubtful);
                let etags = facts.parts.is_some() && replicated;
                let expected = match (facts.checksum, facts.takes_checksums, etags) {
                    (Some(stored), true, _) => (Guard::Crc(stored.crc), Witness::Checksum(stored)),
                    (_, _, true) if facts.part_etags_are_md5 && !doubtful => (Guard::Etag, Witness::PartEtags),
                    (_, _, true) => (Guard::Md5, Witness::PartEtags),
                    (Some(stored), false, false) if whole => (Guard::Md5, Witness::Checksum(stored)),
                    (None, _, false) if whole && facts.md5_is_certain && facts.md5.is_some() => (Guard::Md5, Witness::Bytes(MD5)),
                    _ => (Guard::Md5, Witness::None),
                };
                assert_eq!(plan, expected, "{facts:?} {replicated} {whole} {doubtful}");
            }
        }
    }

    #[test]
    fn nothing_is_computed_where_something_can_be_passed_on() {
        let facts = Facts {
            md5: None,
            md5_is_certain: true,
            parts: Some(3),
            checksum: None,
            takes_checksums: true,
            part_etags_are_md5: true,
            asked: None,
        };
        assert_eq!(MultipartPlan::of(&facts, true, true, false).computed(), (false, None));
        let stored = Facts { checksum: Some(STORED), ..facts };
        assert_eq!(MultipartPlan::of(&stored, true, true, false).computed(), (false, Some(Crc::Crc32c)), "no MD5 at all");
        let elsewhere = Facts { takes_checksums: false, parts: None, ..stored };
        assert_eq!(MultipartPlan::of(&elsewhere, true, true, false).computed(), (true, Some(Crc::Crc32c)));
    }

    #[test]
    fn what_is_asked_for_goes_along_once() {
        for facts in all() {
            for asked in Algorithm::ALL {
                let facts = Facts { asked: Some(asked), ..facts };
                let single = SinglePlan::of(&facts);
                let sent = match single {
                    SinglePlan::PassChecksum(stored) => Some(Algorithm::Crc(stored.crc)),
                    SinglePlan::Compute(Guard::Crc(crc)) => Some(Algorithm::Crc(crc)),
                    _ => None,
                };
                assert_eq!(sent.or(single.extra(&facts)), Some(asked), "{facts:?}");
                assert!(sent.is_none() || single.extra(&facts).is_none(), "stores take one checksum: {facts:?}");
                for replicated in [false, true] {
                    for plan in [MultipartPlan::of(&facts, replicated, true, false), MultipartPlan::by_store(&facts, replicated)] {
                        assert_eq!(plan.algorithm(), Some(asked), "{facts:?} {plan:?}");
                        assert!(plan.crc().is_none() || plan.extra.is_none(), "{facts:?} {plan:?}");
                        // what the source has stored is compared all the same
                        let heard = matches!(plan.witness, Witness::Checksum(_) | Witness::PartEtags);
                        assert!(facts.checksum.is_none() || heard || plan.witness == Witness::None, "{facts:?} {plan:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_passes_here_where_the_store_copies() {
        for facts in all() {
            for replicated in [false, true] {
                let plan = MultipartPlan::by_store(&facts, replicated);
                assert_ne!(plan.guard, Guard::Md5, "{facts:?}");
                assert!(!matches!(plan.witness, Witness::Bytes(_)), "{facts:?}");
            }
        }
    }

    #[test]
    fn who_is_wrong() {
        let right = Sums { md5: Some(MD5), crc: Some(9) };
        let wrong = |n: u8| Sums { md5: Some(Md5Sum([n; 16])), crc: Some(u64::from(n)) };
        let of = |md5_is_certain: bool, md5: bool| Facts {
            md5: md5.then_some(MD5),
            md5_is_certain,
            parts: None,
            checksum: Some(STORED),
            takes_checksums: true,
            part_etags_are_md5: true,
            asked: None,
        };
        let otherwise = Judgement::Otherwise(SinglePlan::PassChecksum(STORED));
        for (facts, received, before, expected) in [
            (of(true, true), right, None, Judgement::SendAgain),
            (of(true, true), right, Some(wrong(1)), Judgement::SendAgain),
            (of(true, true), wrong(1), None, Judgement::ReadAgain),
            (of(true, true), wrong(1), Some(wrong(2)), Judgement::ReadAgain),
            (of(true, true), wrong(1), Some(wrong(1)), Judgement::ReadAgain),
            (of(false, true), wrong(1), Some(wrong(1)), otherwise),
            (of(false, false), wrong(1), Some(wrong(1)), Judgement::ReadAgain),
            (of(false, false), wrong(1), None, Judgement::ReadAgain),
            (of(false, false), right, None, Judgement::SendAgain),
        ] {
            assert_eq!(SinglePlan::of(&facts).judge(&facts, received, before), expected, "{facts:?} {received:?} {before:?}");
        }
        let nothing = Facts { checksum: None, ..of(true, false) };
        assert_eq!(SinglePlan::of(&nothing).judge(&nothing, wrong(1), Some(wrong(1))), Judgement::SendAgain);
    }

    #[test]
    fn words() {
        let plan = |guard, witness| MultipartPlan { guard, witness, extra: None };
        for (plan, spoken, agreed, word) in [
            (plan(Guard::Crc(Crc::Crc32c), Witness::Checksum(STORED)), true, true, "crc32c-combined"),
            (plan(Guard::Etag, Witness::PartEtags), true, true, "multipart-etag"),
            (plan(Guard::Md5, Witness::PartEtags), true, false, "multipart-etag"),
            (plan(Guard::Md5, Witness::PartEtags), false, false, "part-md5"),
            (plan(Guard::Md5, Witness::Bytes(MD5)), true, false, "whole-md5"),
            (plan(Guard::Md5, Witness::Bytes(MD5)), false, false, "part-md5"),
            (plan(Guard::Md5, Witness::None), false, true, "multipart-etag"),
            (plan(Guard::Crc(Crc::Crc64Nvme), Witness::None), false, false, "crc-in-flight"),
        ] {
            assert_eq!(plan.word(spoken, agreed), word, "{plan:?} {spoken} {agreed}");
        }
    }
}
