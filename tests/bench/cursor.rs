//! `dth-bench cursor`: a listing as most programs do it, one page after the other.

use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{relay, serve::SOURCE};

/// What is listed.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// `http://HOST:PORT` of the server.
    #[arg(long)]
    endpoint: String,
    /// Pages after which it stops: their rate is that of all.
    #[arg(long, default_value_t = 100)]
    pages: u32,
}

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Walked {
    /// Keys seen.
    pub keys: u64,
    /// Time it took, seconds.
    pub wall_s: f64,
}

/// Lists, and prints [`Walked`] as JSON.
///
/// # Errors
/// At the first page that cannot be had.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let host = arguments.endpoint.strip_prefix("http://").context("the endpoint must begin with http://")?;
    let mut connection = relay::open::<Empty<Bytes>>(host).await?;
    let begin = Instant::now();
    let mut keys = 0;
    let mut next = None::<String>;
    for _ in 0..arguments.pages {
        let token = next.map(|token| format!("&continuation-token={}", utf8_percent_encode(&token, NON_ALPHANUMERIC))).unwrap_or_default();
        let path = format!("/{SOURCE}?list-type=2{token}");
        let answer = relay::send(&mut connection, host, Method::GET, &path, Empty::new()).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        let page = std::str::from_utf8(&body)?;
        keys += page.matches("<Key>").count() as u64;
        next = page.split_once("<NextContinuationToken>").and_then(|(_, rest)| Some(rest.split_once('<')?.0.to_owned()));
        if next.is_none() {
            break;
        }
    }
    println!("{}", serde_json::to_string(&Walked { keys, wall_s: begin.elapsed().as_secs_f64() })?);
    Ok(())
}
