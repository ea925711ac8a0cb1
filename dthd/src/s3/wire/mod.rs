//! The requests that a transfer consists of (a page of a listing, GET, PUT, copies by the store), as bytes on a connection.
//!
//! Everything else goes through the SDK; per request this costs a tenth of it.
//!
//! | file | holds |
//! |---|---|
//! | [`address`] | where a bucket is; regions and redirects |
//! | [`request`], [`encode`], [`sign`] | a request, its parts in canonical form, Signature Version 4 |
//! | [`send`] | sending it, until it is at the right place at the right time |
//! | [`refusal`], [`answer`] | a store's errors; an object's headers |
//! | [`seal`] | keys of ours on their way (SSE-C) |
//! | [`get`], [`put`], [`list`], [`copy`] | the requests themselves |
//! | [`raw`] | any other, to find out what a store does |

mod address;
mod answer;
mod copy;
mod encode;
mod get;
mod list;
mod put;
mod raw;
mod refusal;
mod request;
mod seal;
mod send;
mod sign;

pub use self::answer::Put;
pub(super) use self::{
    address::Site,
    copy::{Copying, Origin},
    get::{Found, Pinned},
    list::{Listing, PartsOf, Versions},
    put::{Digests, Part},
    raw::{Raw, Reply},
    refusal::{Refusal, retry_after},
    send::{Failure, Wire},
};
