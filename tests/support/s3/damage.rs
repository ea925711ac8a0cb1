//! Bodies that are damaged on their way to the store, or by the store itself.

use super::{
    digest::{self, Algorithm, Checksum},
    error::S3Error,
    fault::Action,
    route::Call,
};

/// The request as it is carried out when a fault damages its body; `None`: as it came.
///
/// # Errors
/// What the store says when the damage shows against a digest that came along.
pub(super) fn strike(call: &Call, actions: &[Action]) -> Result<Option<Call>, S3Error> {
    let mut struck: Option<Call> = None;
    for action in actions {
        let (at, noticed) = match action {
            Action::CorruptBody(at) => (*at, true),
            Action::StoreOther(at) => (*at, false),
            _ => continue,
        };
        let call = struck.get_or_insert_with(|| call.clone());
        call.body = call.body.corrupted(at);
        call.md5 = digest::md5(&call.body);
        if noticed {
            digest::check_md5(&call.headers, &call.md5)?;
            call.checksums = digest::check_sums(&call.headers, &call.body)?;
        } else {
            let kept: Vec<Algorithm> = call.checksums.iter().map(|sum| sum.algorithm).collect();
            call.checksums = kept.into_iter().map(|algorithm| algorithm.of(&call.body)).collect::<Vec<Checksum>>();
        }
    }
    Ok(struck)
}
