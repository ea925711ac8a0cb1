//! Why one image is copied or not: what both ends have now, and what a run would decide about it.

use dth_proto::{
    spec::ImageJob,
    view::{Explanation, Found},
};
use tokio_util::sync::CancellationToken;

use super::{
    ends::Ends,
    look::{Decision, Wanted},
};
use crate::{
    image::{item, registry::Registry},
    store::item::ItemOutcome,
    transfer::{account::Account, run::RunInput},
};

/// See the module. Looks at the image's repository as a run does.
///
/// # Errors
/// When an end cannot be opened, or the key names no image, in words.
pub async fn explain(input: &RunInput, job: &ImageJob, key: &str) -> Result<Explanation, String> {
    let repository = item::repository_of(key);
    let reference = key[repository.len()..].trim_start_matches([':', '@']);
    if repository.is_empty() || reference.is_empty() {
        return Err("an image is named REPOSITORY:TAG or REPOSITORY@DIGEST, without its registry".to_owned());
    }
    let account = Account::resume(&input.store, (input.uid, input.record.run), None, input.record.tally.clone(), &input.progress);
    let ends = Ends::open(input, job, &account, &CancellationToken::new()).await?;
    let look = &ends.look;
    let mut it = Explanation::unasked(key);
    let named = look.selection.named().is_none_or(|names| names.iter().any(|name| name == repository));
    if !named || !look.selection.keep_repository(repository) {
        it.rule = Some("repository".to_owned());
        it.next = "nothing: the task does not select the repository".to_owned();
        return Ok(it);
    }
    match look.names.map(repository) {
        Ok(to) => {
            it.destination = Some(format!("{to}{}", &key[repository.len()..]));
            let (from, to) =
                tokio::join!(resolve(&look.source.registry, repository, reference), resolve(&look.destination.registry, &to, reference));
            (it.source_now, it.destination_now) = (from, to);
        }
        Err(why) => {
            it.next = format!("fail with it: {why}");
            return Ok(it);
        }
    }
    let mut looked = look.at(Wanted { repository: repository.to_owned(), items: None }).await;
    it.next = match looked.remove(key).or_else(|| looked.remove(&super::look::whole(repository))) {
        Some(Decision::Copy { reason, .. }) => format!("copy it: {}", why_copy(reason)),
        Some(Decision::Same | Decision::Copied(_)) => "leave it: both ends have the same digest, and what refers to it".to_owned(),
        Some(Decision::Skipped { rule, .. }) => {
            it.rule = Some(rule.to_owned());
            format!("skip it by the rule {rule}")
        }
        Some(Decision::Failed(ItemOutcome::Failed { code, message, .. })) => format!("fail with it: {code}: {message}"),
        Some(Decision::Failed(_)) => "fail with it".to_owned(),
        None if it.source_now == Found::Missing => "nothing: the source has no such image".to_owned(),
        None => {
            it.rule = Some("not-selected".to_owned());
            "nothing: the task does not select it".to_owned()
        }
    };
    Ok(it)
}

async fn resolve(registry: &Registry, repository: &str, reference: &str) -> Found {
    match registry.resolve(repository, reference).await {
        Ok(Some(found)) => Found::There { size: 0, etag: found.digest.to_string() },
        Ok(None) => Found::Missing,
        Err(error) => Found::Failed { message: error.to_string() },
    }
}

fn why_copy(reason: &str) -> &'static str {
    match reason {
        "missing" => "the destination does not have it (missing)",
        "referrers" => "a signature or the like that refers to it is missing (referrers)",
        _ => "the digests differ (digest)",
    }
}
