//! An S3 server in memory, on loopback, that tests can look into and break on purpose.
//!
//! It answers as AWS does where a client can tell the difference: byte order of listings, opaque keys (`//`, `..`, `\`,
//! control characters, up to 1,024 bytes), ETags, conditional reads, ranges, `partNumber`, multipart rules, `Content-MD5`
//! and CRC checksums, `aws-chunked` bodies, metadata and tags. What it leaves out: versions, ACLs, encryption, and the
//! verification of signatures (a request is accepted when its access key id is known; its signature is not computed).
//! SHA checksums are refused with `NotImplemented` rather than stored unchecked.
//!
//! | module | holds |
//! |---|---|
//! | `server` | the listener, its settings, what a test holds in its hands |
//! | `store` | buckets, objects, uploads; the view of tests on them |
//! | `fault` | what goes wrong, for which requests, how often |
//! | `damage` | bodies that arrive, or are kept, other than they were sent |
//! | `count` | how often each request came |
//! | `operation`, `route` | from a request to the name of what it asks for |
//! | `list`, `read`, `write`, `multipart`, `tagging` | the answers |
//! | `data`, `digest`, `chunked`, `xml`, `error`, `reply`, `socket`, `pace` | bytes on the way |

mod chunked;
mod count;
mod damage;
mod data;
mod digest;
mod error;
mod fault;
mod list;
mod multipart;
mod operation;
mod pace;
mod read;
mod reply;
mod route;
mod server;
mod socket;
mod store;
mod tagging;
mod write;
mod xml;

pub use self::{
    count::Requests,
    data::Data,
    digest::{Algorithm, Checksum, md5_hex},
    fault::{Action, Fault, FaultId, Faults},
    operation::Operation,
    server::{Builder, Server},
    store::{Attributes, Object, PartInfo, Store, UploadInfo},
};
