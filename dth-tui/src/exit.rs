//! The exit codes of `dth`.

/// Done; all well. Also when the reader of our output went away, as with `dth items … | head`.
pub const OK: u8 = 0;
/// The daemon refused, a run did not succeed, or problems were found.
pub const FAILED: u8 = 1;
/// The daemon cannot be reached, or a terminal is needed and there is none.
pub const UNREACHABLE: u8 = 2;
/// `dth wait` gave up.
pub const TIMED_OUT: u8 = 3;
/// The command line is wrong (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
