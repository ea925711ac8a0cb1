//! Requests that the copy of an object would take.

use crate::{
    s3::layout::{Layout, PartLimits, layout},
    transfer::estimate::{Operation, Requests},
};

/// Of an object of `size` bytes. Its source may have been written in parts of another size than is assumed here; then the numbers of parts
/// differ, and little else.
pub(super) fn requests(size: u64) -> Requests {
    let requests = Requests::default();
    match layout(size, None, PartLimits::default()) {
        Ok(Layout::Parts(part)) => {
            let parts = size.div_ceil(part.max(1));
            requests
                .with(Operation::GetObject, parts)
                .with(Operation::CreateMultipartUpload, 1)
                .with(Operation::UploadPart, parts)
                .with(Operation::CompleteMultipartUpload, 1)
        }
        // one that is too large fails with its first request
        Ok(Layout::Single) | Err(_) => requests.with(Operation::GetObject, 1).with(Operation::PutObject, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_take_a_request_per_part() {
        const MIB: u64 = 1 << 20;
        let single = Requests::default().with(Operation::GetObject, 1).with(Operation::PutObject, 1);
        for size in [0, 1, 16 * MIB] {
            assert_eq!(requests(size), single);
        }
        let parts = Requests::default()
            .with(Operation::GetObject, 5)
            .with(Operation::CreateMultipartUpload, 1)
            .with(Operation::UploadPart, 5)
            .with(Operation::CompleteMultipartUpload, 1);
        assert_eq!(requests(33 * MIB), parts);
    }
}
