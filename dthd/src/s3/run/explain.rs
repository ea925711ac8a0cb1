//! Why one object is copied or not: what both ends have now, and what a run would decide about it.

use dth_proto::{
    failure::FailureClass,
    spec::S3Job,
    view::{Explanation, Found},
};

use super::ends::Ends;
use crate::{
    clock,
    s3::{
        compare::{CopyReason, Decision, SameReason, decide},
        filter::Filter,
        object::{Entry, Pin},
        prefix::Selection,
    },
    transfer::{TransferError, run::RunInput},
};

/// See the module. Sends a HEAD to each end.
///
/// # Errors
/// When an end cannot be opened, in words.
pub async fn explain(input: &RunInput, job: &S3Job, key: &str) -> Result<Explanation, String> {
    if key.is_empty() {
        return Err("no object has an empty key".to_owned());
    }
    let ends = Ends::open(input, job).await?;
    let selection = Selection::open(job, &ends.sort, ends.list.as_ref()).await?;
    let map = selection.map();
    let filter = Filter::new(&job.options, clock::now()).map_err(|problems| problems.join("; "))?;
    let mut it = Explanation::unasked(key);
    if !selection.selects(key).map_err(|e| format!("the sorted prefixes cannot be read back: {e}"))? {
        it.rule = Some("prefix".to_owned());
        let which = match selection.many() {
            Some(many) => format!("one of its {} prefixes", many.count()),
            None => format!("{:?}", job.source.prefix),
        };
        it.next = format!("nothing: the task lists only keys that begin with {which}");
        return Ok(it);
    }
    let there = match map.map(key) {
        Ok(there) => there,
        Err(error) => {
            it.next = format!("fail with it: {error}");
            return Ok(it);
        }
    };
    let (source, destination) = tokio::join!(ends.source.head(key, Pin::default()), ends.destination.head(&there, Pin::default()));
    let (source, destination) = (source.map(|info| info.entry(key.to_owned())), destination.map(|info| info.entry(there.clone())));
    (it.source_now, it.destination_now) = (found(&source), found(&destination));
    let recorded = input.store.pair(input.uid, &there).map_err(|e| e.to_string())?;
    it.recorded = recorded.as_ref().map(|pair| (pair.source_etag.as_str().to_owned(), pair.destination_etag.as_str().to_owned()));
    it.destination = Some(there);
    let source = match source {
        Ok(source) => source,
        Err(_) if it.source_now == Found::Missing => {
            let goes = job.mirrors() && matches!(it.destination_now, Found::There { .. }) && filter.skip_by_key(key).is_none();
            it.next = match goes {
                true => "delete it at the destination, within the guards: the source has no such object".to_owned(),
                false => "nothing: the source has no such object".to_owned(),
            };
            return Ok(it);
        }
        Err(error) => {
            it.next = format!("not known: the source does not tell: {error}");
            return Ok(it);
        }
    };
    if let Some(rule) = filter.skip(&(&source).into()) {
        it.rule = Some(rule.word().to_owned());
        it.next = format!("skip it by the rule {}", rule.word());
        return Ok(it);
    }
    let destination = match destination {
        Ok(destination) => Some(destination),
        Err(_) if it.destination_now == Found::Missing => None,
        Err(error) => {
            it.next = format!("not known: the destination does not tell: {error}");
            return Ok(it);
        }
    };
    let decision = decide(job.options.compare, (&source).into(), destination.as_ref().map(Into::into), || recorded, &ends.rules);
    it.next = match decision {
        Decision::Copy(reason) => format!("copy it: {}", why_copy(reason)),
        Decision::Same(reason) => format!("leave it: {}", why_same(reason)),
    };
    Ok(it)
}

fn found(answer: &Result<Entry, TransferError>) -> Found {
    match answer {
        Ok(entry) => Found::There { size: entry.size, etag: entry.etag.as_str().to_owned() },
        Err(error) if error.class == FailureClass::Changed || error.code == "NotFound" || error.code == "NoSuchKey" => Found::Missing,
        Err(error) => Found::Failed { message: error.to_string() },
    }
}

fn why_copy(reason: CopyReason) -> &'static str {
    match reason {
        CopyReason::Missing => "the destination does not have it (missing)",
        CopyReason::Size => "the sizes differ (size)",
        CopyReason::Etag => "the ETags show other content, and no copy of this generation is recorded (etag)",
        CopyReason::Newer => "the source is newer, and no copy of this generation is recorded (newer)",
        CopyReason::Always => "the task copies everything (always)",
        CopyReason::Checksum => "unless the stored checksums of both ends are found to be equal (checksum)",
        CopyReason::Unproven => "there are no checksums that could be compared (unproven)",
    }
}

fn why_same(reason: SameReason) -> &'static str {
    match reason {
        SameReason::Size => "the sizes are equal (size)",
        SameReason::Etag => "sizes and ETags are equal (etag)",
        SameReason::Recorded => "neither end has changed since the recorded copy (recorded)",
        SameReason::Newer => "the sizes are equal and the destination is not older (newer)",
    }
}
