//! Room on the disk of the state directory. sled cannot go on after a write that failed for lack of room, so work stops before.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// With less than this no new work begins, and the daemon does not start.
pub const LEAST: u64 = 32 << 20;

/// Free share (0 to 1) and free bytes; `None` when the system does not tell.
#[must_use]
pub fn free(dir: &Path) -> Option<(f64, u64)> {
    let stat = statvfs(dir).ok()?;
    let total = stat.blocks() * stat.fragment_size();
    let free = stat.blocks_available() * stat.fragment_size();
    (total > 0).then(|| (free as f64 / total as f64, free))
}
