//! Requests that the copy of an object, or the deletes of a mirror, would take.

use crate::{
    s3::{
        copy::Copier,
        journal::Journal,
        layout::{Layout, PartLimits, layout, layout_by_store},
        provider::Profile,
    },
    transfer::estimate::{Operation, Requests},
};

/// Of an object of `size` bytes, as far as is known by now whether the store copies by itself.
pub(super) fn copy<J: Journal>(size: u64, copier: &Copier<J>) -> Requests {
    let profile = copier.destination.profile();
    let by_store = if copier.by_store.is_possible() { by_store(size, profile.parts, copier.destination.copies_parts()) } else { None };
    by_store.unwrap_or_else(|| relayed(size, profile.parts))
}

/// Of one that is read and written. Its source may have been written in parts of another size than is assumed here; then the numbers of parts
/// differ, and little else.
fn relayed(size: u64, limits: PartLimits) -> Requests {
    match layout(size, None, limits) {
        Ok(Layout::Parts(part)) => {
            let parts = size.div_ceil(part.max(1));
            in_parts(Operation::UploadPart, parts).with(Operation::GetObject, parts)
        }
        // one that is too large fails with its first request
        Ok(Layout::Single) | Err(_) => Requests::default().with(Operation::GetObject, 1).with(Operation::PutObject, 1),
    }
}

/// Of one that the store copies by itself; `None`: it does not, because the object is too large for it.
fn by_store(size: u64, limits: PartLimits, copies_parts: bool) -> Option<Requests> {
    // what goes along is asked for first
    let asked = Requests::default().with(Operation::HeadObject, 1);
    if size <= limits.max {
        return Some(asked.with(Operation::CopyObject, 1));
    }
    match layout_by_store(size, None, limits) {
        Ok(Layout::Parts(part)) if copies_parts => {
            let mut requests = in_parts(Operation::UploadPartCopy, size.div_ceil(part.max(1)));
            requests.add(&asked);
            Some(requests)
        }
        _ => None,
    }
}

/// Of so many deletes: each key is asked for at the source once more.
pub(super) fn deletes(keys: u64, profile: &Profile) -> Requests {
    let batch = u64::from(profile.bulk_delete).max(1);
    Requests::default().with(Operation::HeadObject, keys).with(Operation::DeleteObjects, keys.div_ceil(batch))
}

fn in_parts(operation: Operation, parts: u64) -> Requests {
    let requests = Requests::default().with(Operation::CreateMultipartUpload, 1).with(operation, parts);
    requests.with(Operation::CompleteMultipartUpload, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::provider;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn large_objects_take_a_request_per_part() {
        let single = Requests::default().with(Operation::GetObject, 1).with(Operation::PutObject, 1);
        for size in [0, 1, 16 * MIB] {
            assert_eq!(relayed(size, PartLimits::default()), single);
        }
        let parts = Requests::default()
            .with(Operation::GetObject, 5)
            .with(Operation::CreateMultipartUpload, 1)
            .with(Operation::UploadPart, 5)
            .with(Operation::CompleteMultipartUpload, 1);
        assert_eq!(relayed(33 * MIB, PartLimits::default()), parts);
    }

    #[test]
    fn what_the_store_copies_is_not_read() {
        let aws = provider::find("aws").expect("embedded");
        let one = Requests::default().with(Operation::HeadObject, 1);
        assert_eq!(by_store(5 * GIB, aws.parts, true), Some(one.clone().with(Operation::CopyObject, 1)));
        let parts =
            one.with(Operation::CreateMultipartUpload, 1).with(Operation::UploadPartCopy, 11).with(Operation::CompleteMultipartUpload, 1);
        assert_eq!(by_store(5 * GIB + 1, aws.parts, true), Some(parts), "in parts of 512 MiB");
        assert_eq!(by_store(5 * GIB + 1, aws.parts, false), None);
    }

    #[test]
    fn deletes_go_in_batches() {
        let aws = provider::find("aws").expect("embedded");
        let expected = Requests::default().with(Operation::HeadObject, 1_001).with(Operation::DeleteObjects, 2);
        assert_eq!(deletes(1_001, aws), expected);
    }
}
