//! A container registry in memory, on loopback, that tests can look into and break on purpose; ECR with its quirks, if it is told to be.
//!
//! It has all of the distribution API: manifests by tag and digest, blobs whole and by ranges, uploads in one piece and in chunks
//! that can be asked how far they are, mounts, lists page by page, referrers. What is pushed is checked as registries check it: digests,
//! and that everything a manifest names is there. It asks for a password or for tokens, which it gives out itself, and it can redirect
//! the readers of blobs to another port.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use dth_tests::registry::{Action, Ecr, Fault, Image, Operation, Server};
//! let source = Server::start().await?;
//! source.store().push("team/app", Some("v1"), &Image::multi(1, &["linux/amd64", "linux/arm64"], &[1 << 20, 5 << 20]));
//! source.faults().add(Fault::new(Action::BreakDownload(70_000)).on([Operation::GetBlob]).every(3));
//! let ecr = Server::builder().ecr(Ecr { token_uses: Some(20), ..Ecr::default() }).start().await?;
//! // … a task from source.endpoint() to ECR with endpoint = registry_endpoint = ecr.endpoint() …
//! assert!(ecr.store().verify("team/app", "v1").is_ok());
//! # Ok(()) }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `settings` | what a server is before it starts |
//! | `server`, `answer` | the listeners, what a test holds in its hands; from a request to its answer |
//! | `store` | repositories, manifests, blobs, uploads; the view of tests on them |
//! | `image`, `blob` | content to fill it with |
//! | `fault` | what goes wrong, for which requests, how often |
//! | `log` | what was asked, and how many bytes really moved |
//! | `door`, `token` | who may ask; the token service |
//! | `operation`, `route` | from a request to the name of what it asks for |
//! | `manifest`, `read`, `upload`, `list` | the answers |
//! | [`ecr`] | what is peculiar to ECR |
//! | `graph`, `digest`, `refusal`, `reply` | what manifests name; digests; errors; answers on their way |

mod answer;
mod blob;
mod digest;
mod door;
pub mod ecr;
mod fault;
mod graph;
mod image;
mod list;
mod log;
mod manifest;
mod operation;
mod read;
mod refusal;
mod reply;
mod route;
mod server;
mod settings;
mod store;
mod token;
mod upload;

pub use self::{
    blob::Blob,
    digest::sha256,
    ecr::{Attributes, Ecr},
    fault::{Action, Fault, FaultId, Faults, RetryAfter},
    image::{Image, made},
    log::{Entry, Requests},
    operation::Operation,
    refusal::refusal,
    server::Server,
    settings::{Builder, Keep},
    store::{Manifest, Store, Verified},
    token::Bearer,
};
pub use crate::s3::Answer;
