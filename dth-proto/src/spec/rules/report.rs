//! The rules of `[report]`.

use super::{LONGEST_KEY, s3};
use crate::spec::{Job, ReportPlace, TaskSpec};

pub(super) fn problems(place: &ReportPlace, spec: &TaskSpec, add: &mut impl FnMut(&'static str, String)) {
    s3::store(&place.store, ["report.bucket", "report.endpoint"], add);
    let key = place.key(&spec.name, u32::MAX);
    if key.len() > LONGEST_KEY {
        add("report.prefix", format!("makes keys of {} bytes: an S3 key has at most {LONGEST_KEY}", key.len()));
    }
    let Job::S3(job) = &spec.job else { return };
    let prefixes = job.source.named_prefixes();
    if place.store.is_same_place(&job.source.store) && prefixes.iter().any(|prefix| key.starts_with(prefix)) {
        add("report.prefix", "lies in what the task copies: use another bucket or prefix".to_owned());
    }
    let target = &job.destination;
    if place.store.is_same_place(&target.store) && prefixes.iter().any(|prefix| key.starts_with(&target.key_for(prefix))) {
        add("report.prefix", "lies where the task's copies go: use another bucket or prefix".to_owned());
    }
}
