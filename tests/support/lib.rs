//! What the tests, the demo and the benchmarks share: stores to move objects between, and the daemon to move them.
//!
//! | module | holds |
//! |---|---|
//! | [`s3`] | an S3 server in this process, with faults on demand |
//! | [`weed`], [`moto`] | real and independent S3 servers as child processes |
//! | [`daemon`], [`command`] | the real `dthd` and the real `dth` |
//! | [`terminal`] | a pty with a screen, for programs that draw |
//! | [`client`] | aws-sdk-s3, for looking at any of them |
//! | [`wait`] | waiting for a condition |
//! | [`installed`], [`process`], [`port`] | programs, child processes, ports |

pub mod client;
pub mod command;
pub mod daemon;
pub mod installed;
pub mod moto;
pub mod port;
pub mod process;
pub mod s3;
pub mod terminal;
pub mod wait;
pub mod weed;
