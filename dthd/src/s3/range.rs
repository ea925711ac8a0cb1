//! Key ranges: how a listing is cut into parts that are read side by side, while it is read.
//!
//! | file | holds |
//! |---|---|
//! | [`alphabet`] | the characters that keys are made of, as far as seen |
//! | [`split`] | where the rest of a range can be cut |
//! | [`schedule`] | which ranges are listed now, and which is asked to give some of its keys away |
//! | [`sample`] | keys that cut a listing evenly, for the next time |
//!
//! All of it is arithmetic over keys: a wrong or useless cut costs a request for an empty range, never a key.

pub mod alphabet;
pub mod sample;
pub mod schedule;
#[cfg(test)]
mod simulation;
pub mod split;
