//! How a blob is sent: by its size, by what the destination is, by what went wrong before.

const MIB: u64 = 1 << 20;
/// Up to here a blob is read as a whole before it is sent, so that sending can be repeated by itself.
const SMALL: u64 = MIB;
/// From here on a registry that takes chunks gets some, so that a kill costs little of a blob.
const CHUNKED: u64 = 64 * MIB;
/// From here on ECR gets parts: its registry loses a broken upload as a whole.
const LAYERED: u64 = 256 * MIB;
/// ECR does not take smaller parts, but for the last.
const SMALLEST_PART: u64 = 5 * MIB;
/// ECR: 4,200 parts of 10 MiB ("Amazon ECR service quotas").
const LARGEST_LAYER: u64 = 4_200 * 10 * MIB;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Read as a whole, then sent.
    Whole,
    /// Sent in one request while it is read.
    Stream,
    /// By the parts of ECR's API.
    Layers,
    /// In long requests, one after the other.
    Chunks,
}

/// How to send a blob of `size` bytes (`None`: nobody says). `broken`: it was tried before; `in_parts`: the registry takes chunks, or ECR's API
/// the parts of layers, as far as is known.
pub(super) fn of(size: Option<u64>, ecr: bool, broken: bool, in_parts: bool) -> Way {
    match size {
        None => Way::Stream,
        Some(size) if size <= SMALL => Way::Whole,
        Some(size) if ecr && in_parts && size <= LARGEST_LAYER && (size > LAYERED || (broken && size > 2 * SMALLEST_PART)) => Way::Layers,
        // ECR silently drops all chunks but the first
        Some(size) if !ecr && in_parts && size > CHUNKED => Way::Chunks,
        Some(_) => Way::Stream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways() {
        for (size, ecr, broken, in_parts, expected) in [
            (None, true, true, true, Way::Stream),
            (Some(0), false, false, true, Way::Whole),
            (Some(MIB), true, true, false, Way::Whole),
            (Some(MIB + 1), true, false, false, Way::Stream),
            (Some(200 * MIB), true, false, true, Way::Stream),
            (Some(200 * MIB), true, true, true, Way::Layers),
            (Some(8 * MIB), true, true, true, Way::Stream),
            (Some(300 * MIB), true, false, true, Way::Layers),
            (Some(300 * MIB), true, true, false, Way::Stream),
            (Some(50 << 30), true, true, true, Way::Stream),
            (Some(64 * MIB), false, false, true, Way::Stream),
            (Some(65 * MIB), false, false, true, Way::Chunks),
            (Some(65 * MIB), false, true, false, Way::Stream),
        ] {
            assert_eq!(of(size, ecr, broken, in_parts), expected, "{size:?} {ecr} {broken} {in_parts}");
        }
    }
}
