//! `dthd`: schedules and executes transfers.
//!
//! # Where is what
//!
//! | module | holds |
//! |---|---|
//! | [`app`], [`daemon`] | the process's life; the daemon in it: build everything, run until told to stop, drain |
//! | [`cli`] | command line: run, check, print-config, dial-stdio, state, man, completions |
//! | [`config`] | the file, its precedence and origins, what is wrong with it, what may change live |
//! | [`api`] | sockets, handshake, roles, the service, the board behind the long poll |
//! | [`task`] | tasks: state machine, the one owner of all tasks, recovery |
//! | [`schedule`] | when a trigger fires |
//! | [`transfer`] | what all engines share: run, accounting, retries, limits, progress, rates |
//! | [`s3`] | the S3 engine: listing, comparing, copying, verifying |
//! | [`http`] | one HTTP/1.1 client for everything that moves bytes |
//! | [`image`] | the image engine: registries, ECR, selection, graph, copy, verification |
//! | `aws` | what all clients of AWS services share |
//! | [`credential`] | named ways to sign in |
//! | [`store`] | typed trees over sled |
//! | [`event`] | what happened, for the log and for clients |
//! | [`metrics`] | history rings, CloudWatch |
//! | [`price`] | what a planned copy would cost |
//! | [`problem`] | from state to "OK" or a list of problems |
//! | [`clock`], [`disk`] | the only places that read the time, and the room on the disk |
//! | [`lock`], [`logging`], [`shutdown`], [`systemd`] | process conventions |
//!
//! # The life of an object
//!
//! [`task`] starts a run; `s3::range` cuts the keys, `s3::list` reads both buckets page by page over the same range; `s3::join` pairs them in key
//! order; `s3::filter` and `s3::compare` decide; what must be copied goes through a bounded queue to workers, which take
//! memory from the byte budget, read with `If-Match`, verify, write, and report; `s3::run` counts, records, and
//! moves the checkpoint forward over what is finished.

pub mod api;
pub mod app;
mod aws;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod daemon;
pub mod disk;
pub mod event;
pub mod http;
pub mod image;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod price;
pub mod problem;
pub mod s3;
pub mod schedule;
pub mod shutdown;
pub mod store;
pub mod systemd;
pub mod task;
pub mod transfer;
