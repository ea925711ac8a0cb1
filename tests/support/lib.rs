//! What the tests, the demo and the benchmarks share: stores to move objects between, and the daemon to move them.
//!
//! | module | holds |
//! |---|---|
//! | [`s3`] | an S3 server in this process, with faults on demand |
//! | [`registry`] | a container registry in this process, ECR with its quirks if need be |
//! | [`weed`], [`moto`] | real and independent S3 servers as child processes |
//! | [`docker_registry`] | a real container registry as a child process |
//! | [`image`], [`skopeo`] | container images made of bytes; a registry client that is not ours |
//! | [`tunnel`], [`http`] | a long way to a server, with a counter; single HTTP requests |
//! | [`daemon`], [`command`] | the real `dthd` and the real `dth` |
//! | [`task`] | a task between two stores, driven through `dth` |
//! | [`cloudwatch`] | moto as CloudWatch |
//! | [`definition`] | task files |
//! | [`mount`] | a small disk to fill |
//! | [`terminal`] | a pty with a screen, for programs that draw |
//! | [`client`] | aws-sdk-s3, for looking at any of them |
//! | [`boto`] | boto3, an S3 client that is not ours |
//! | [`wait`] | waiting for a condition |
//! | [`installed`], [`process`], [`port`] | programs, child processes, ports |

pub mod boto;
pub mod client;
pub mod cloudwatch;
pub mod command;
pub mod daemon;
pub mod definition;
pub mod docker_registry;
pub mod http;
pub mod image;
pub mod installed;
pub mod moto;
pub mod mount;
pub mod port;
pub mod process;
pub mod registry;
pub mod s3;
pub mod skopeo;
pub mod task;
pub mod terminal;
pub mod tunnel;
pub mod wait;
pub mod weed;
