//! An S3 server in memory, on loopback, that tests can look into and break on purpose.
//!
//! It answers as AWS does where a client can tell the difference: byte order of listings, opaque keys (`//`, `..`, `\`,
//! control characters, up to 1,024 bytes), ETags, conditional reads, ranges, `partNumber`, multipart rules, `Content-MD5`
//! and checksums, `aws-chunked` bodies, metadata and tags, signatures (each is computed again, with the clock and the region
//! they name), TLS, keys of SSE-C, copies. What it leaves out: versions, signatures in a query; ACLs, encryption by the
//! server and Object Lock are kept and told, not carried out.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | what a server is before it starts |
//! | `server` | the listener, what a test holds in its hands |
//! | `tls`, `signature` | the certificate authority of a test run; who may ask |
//! | `store` | buckets, objects, uploads; the view of tests on them |
//! | `fault` | what goes wrong, for which requests, how often |
//! | `wire`, `socket` | answers as no HTTP library would write them; how a connection ends |
//! | `count` | how often each request came, how many at once, which pages were told |
//! | `damage` | bodies that arrive, or are kept, other than they were sent |
//! | `operation`, `route` | from a request to the name of what it asks for |
//! | `seal` | encryption as clients see it |
//! | `list`, `read`, `write`, `multipart`, `tagging` | the answers |
//! | `data`, `digest`, `chunked`, `xml`, `error`, `reply`, `pace` | bytes on the way |

mod archive;
mod chunked;
mod count;
mod damage;
mod data;
pub(crate) mod digest;
mod error;
pub(crate) mod fault;
mod list;
mod multipart;
mod operation;
pub(crate) mod pace;
pub(crate) mod read;
mod reply;
mod route;
mod seal;
mod server;
mod settings;
mod signature;
pub(crate) mod socket;
mod store;
mod tagging;
mod tls;
mod versions;
mod wire;
mod write;
mod xml;

pub use self::{
    archive::{ARCHIVE_STATUS, Restored},
    count::{Listed, Requests},
    data::Data,
    digest::{Algorithm, Checksum, md5_hex},
    fault::{Action, Answer, Fault, FaultId, Faults},
    operation::Operation,
    server::Server,
    settings::{ACCESS_KEY, Builder, SECRET_KEY},
    store::{Attributes, Object, PartInfo, Store, UploadInfo},
    tls::Ca,
    versions::Version,
    wire::Wire,
};
