//! Finds out what a store does, by trying it with scratch objects, and removes them again.
//!
//! One request at a time, at most twenty a second, about two hundred in all, and some 10 MiB; everything is written below one random prefix.
//!
//! | file | holds |
//! |---|---|
//! | `examination` | asking, noting what was found and what was made |
//! | `object`, `listing`, `key`, `digest`, `upload`, `attribute`, `copy`, `way`, `lock` | what is tried |
//! | `remove` | taking everything away again |
//! | `profile` | from what was found to a profile |

mod attribute;
mod copy;
mod digest;
mod examination;
mod key;
mod listing;
mod lock;
mod object;
mod profile;
mod remove;
mod upload;
mod way;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use dth_proto::{
    doctor::{DoctorReply, Probe},
    failure::Side,
    spec::Store,
};

use self::examination::Examination;
use super::{
    client::Bucket,
    provider::{self, Profile},
};
use crate::{
    config::Config,
    credential::Credentials,
    transfer::{progress::RequestCounters, retry::RetryPolicy},
};

/// What is left behind if the daemon is killed meanwhile: everything below this and a random number.
pub const SCRATCH: &str = ".dth-doctor-";

/// What speaks against an examination before anything is tried.
#[must_use]
pub fn problems(store: &Store, config: &Config) -> Vec<String> {
    let mut found = super::check::store_problems("store", store, config);
    if store.bucket.is_empty() {
        found.push("store.bucket: is missing: the scratch objects go there".to_owned());
    }
    found
}

/// Tries everything, then removes what it made; `tell` gets each finding as it comes. The answer is complete but for the findings.
pub async fn examine(store: &Store, credentials: &Credentials, tell: &mut (dyn FnMut(Probe) + Send + Sync)) -> DoctorReply {
    let mut reply = DoctorReply { done: true, ..DoctorReply::default() };
    let counters = Arc::new(RequestCounters::default());
    let opened = open(store, credentials, &counters).await;
    let (bucket, base) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            reply.failure = Some(why);
            return reply;
        }
    };
    let mut x = Examination::new(bucket, format!("{SCRATCH}{:016x}/", rand::random::<u64>()), tell);
    match everything(&mut x).await {
        Ok(()) => {
            let found = profile::found(base, store, x.findings());
            reply.differs = profile::differs(base, &found);
            reply.profile = Some(provider::to_toml(&found));
        }
        Err(why) => reply.failure = Some(why),
    }
    reply.left = remove::everything(&mut x).await;
    reply.requests = counters.requests.load(Relaxed);
    reply
}

async fn open(store: &Store, credentials: &Credentials, counters: &Arc<RequestCounters>) -> Result<(Bucket, &'static Profile), String> {
    let base = provider::find(&store.provider).map_err(|error| error.to_string())?;
    let credential = credentials.resolve(store.credential.as_deref()).await.map_err(|error| error.to_string())?;
    let opened = Bucket::open(store, Side::Destination, &credential, false, RetryPolicy::never(), Arc::clone(counters), None).await;
    Ok((opened.map_err(|error| error.to_string())?, base))
}

/// # Errors
/// Why the rest was not tried.
async fn everything(x: &mut Examination<'_>) -> Result<(), String> {
    object::examine(x).await?;
    listing::examine(x).await;
    key::examine(x).await;
    digest::examine(x).await;
    upload::examine(x).await;
    attribute::examine(x).await;
    copy::examine(x).await;
    way::examine(x).await;
    lock::examine(x).await;
    Ok(())
}
