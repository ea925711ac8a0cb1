//! An examination under way: it asks one thing at a time, and knows what was found and what was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dth_proto::{
    doctor::{Finding, Probe},
    failure::FailureClass,
};
use http::Method;
use tokio::time::Instant;

use crate::s3::{
    client::Bucket,
    list::xml,
    payload::Payload,
    version::NULL,
    wire::{Raw, Reply},
};

/// Between two requests.
const PACE: Duration = Duration::from_millis(50);
/// How long everything may take; removing gets as much again.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often what fails for the moment is asked.
const ATTEMPTS: u32 = 3;
/// The bytes of most scratch objects.
pub(super) const CONTENT: &[u8] = b"written by dthd to find out what this store does; can be deleted\n";

/// See the module.
pub(super) struct Examination<'a> {
    bucket: Bucket,
    /// Of everything that is made; ends with a slash.
    pub(super) prefix: String,
    /// Keys that were written, or may have been.
    pub(super) keys: BTreeSet<String>,
    /// Versions that were made: key, id. Not every listing spells a key so that it can be deleted.
    pub(super) versions: BTreeSet<(String, String)>,
    /// Uploads that were begun: key, id.
    pub(super) uploads: Vec<(String, String)>,
    /// How listings work, once that is known: version, percent-encoding.
    pub(super) listing: Option<(u8, bool)>,
    /// Headers that an object was written with by PUT, and that were shown again.
    pub(super) kept: BTreeMap<&'static str, String>,
    findings: BTreeMap<&'static str, Finding>,
    tell: &'a mut (dyn FnMut(Probe) + Send + Sync),
    until: Instant,
}

/// Why there is no answer, in words.
pub(super) type Unanswered = String;

impl<'a> Examination<'a> {
    pub(super) fn new(bucket: Bucket, prefix: String, tell: &'a mut (dyn FnMut(Probe) + Send + Sync)) -> Self {
        let until = Instant::now() + PATIENCE;
        let (keys, versions, uploads) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let (kept, findings) = (BTreeMap::new(), BTreeMap::new());
        Self { bucket, prefix, keys, versions, uploads, listing: None, kept, findings, tell, until }
    }

    /// Removing what was made has a time of its own.
    pub(super) fn begin_removing(&mut self) {
        self.until = Instant::now() + PATIENCE;
    }

    pub(super) fn findings(&self) -> &BTreeMap<&'static str, Finding> {
        &self.findings
    }

    /// The name of the bucket.
    pub(super) fn bucket(&self) -> &str {
        self.bucket.name()
    }

    /// Notes what was found.
    pub(super) fn found(&mut self, name: &'static str, works: Finding, answer: impl Into<String>) {
        self.findings.insert(name, works);
        (self.tell)(Probe { name: name.to_owned(), works, answer: answer.into() });
    }

    /// Notes what PUT keeps.
    pub(super) fn keep(&mut self, headers: &[(&'static str, &str)]) {
        self.kept.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }

    /// Notes what an answer means; `fine` says what is wrong with one that came.
    pub(super) fn judge(
        &mut self,
        name: &'static str,
        answer: Result<Reply, Unanswered>,
        fine: impl FnOnce(&Reply) -> Result<(), String>,
    ) -> bool {
        let (works, words) = judged(answer, fine);
        self.found(name, works, words);
        works == Finding::Yes
    }

    /// What was found; what was not tried is not known.
    pub(super) fn finding(&self, name: &str) -> Finding {
        self.findings.get(name).copied().unwrap_or(Finding::Unknown)
    }

    pub(super) fn works(&self, name: &str) -> bool {
        self.finding(name) == Finding::Yes
    }

    /// A key below the prefix.
    pub(super) fn key(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// Sends one request, and again when it fails for the moment.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn ask(&mut self, what: Raw<'_>) -> Result<Reply, Unanswered> {
        let mut attempt = 0;
        loop {
            if Instant::now() >= self.until {
                return Err(format!("not tried: everything together took longer than {PATIENCE:?}"));
            }
            tokio::time::sleep(PACE).await;
            attempt += 1;
            let answer = self.bucket.raw(what.clone()).await;
            if let (Some(key), Ok(reply)) = (what.key, &answer)
                && !matches!(what.method, Method::GET | Method::HEAD)
                && let Some(version) = reply.header("x-amz-version-id").filter(|version| *version != NULL)
            {
                self.versions.insert((key.to_owned(), version.to_owned()));
            }
            let again = match &answer {
                Ok(reply) => matches!(reply.status, 429 | 500 | 502..=504),
                Err(error) => matches!(error.class, FailureClass::Transient | FailureClass::Throttled),
            };
            if !again || attempt == ATTEMPTS {
                return answer.map_err(|error| format!("{}: {}", error.code, error.message));
            }
            tokio::time::sleep(PACE * 10 * attempt).await;
        }
    }

    /// Writes an object below the prefix, with headers.
    pub(super) async fn put(&mut self, rest: &str, content: &[u8], headers: &[(&'static str, &str)]) -> Result<Reply, Unanswered> {
        let key = self.key(rest);
        let body = Payload::from(bytes::Bytes::copy_from_slice(content));
        self.keys.insert(key.clone());
        self.ask(Raw { method: Method::PUT, key: Some(&key), query: &[], headers, body: Some(&body), unsigned: false }).await
    }

    /// Reads an object below the prefix.
    pub(super) async fn get(&mut self, rest: &str, headers: &[(&'static str, &str)]) -> Result<Reply, Unanswered> {
        let key = self.key(rest);
        self.about(Method::GET, Some(&key), &[], headers).await
    }

    /// A request without a body.
    pub(super) async fn about(
        &mut self,
        method: Method,
        key: Option<&str>,
        query: &[(&str, &str)],
        headers: &[(&'static str, &str)],
    ) -> Result<Reply, Unanswered> {
        self.ask(Raw { method, key, query, headers, body: None, unsigned: false }).await
    }

    /// One page of keys below the prefix that begin with `rest`.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) async fn list(&mut self, rest: &str, page: &Page<'_>) -> Result<Listed, String> {
        let prefix = self.key(rest);
        let reply = self.about(Method::GET, None, &page.query(&prefix), &[]).await?;
        if !reply.is_ok() {
            return Err(reply.words());
        }
        let encoded = !reply.elements("EncodingType").is_empty();
        let answer = xml::scan(&reply.body).map_err(|error| error.to_string())?;
        let keys: Vec<String> = answer.page.keys().map(str::to_owned).collect();
        Ok(Listed { keys, next: answer.next, encoded })
    }
}

/// What a page of a listing is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page<'a> {
    pub(super) version: u8,
    pub(super) url_encoding: bool,
    pub(super) limit: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) start_after: Option<&'a str>,
}

impl<'a> Page<'a> {
    fn query(&self, prefix: &'a str) -> Vec<(&'static str, &'a str)> {
        let encoding = self.url_encoding.then_some(("encoding-type", "url"));
        let limit = self.limit.map(|limit| ("max-keys", limit));
        let all = if self.version == 1 {
            let marker = self.token.or(self.start_after).map(|marker| ("marker", marker));
            [encoding, marker, limit, Some(("prefix", prefix)), None, None]
        } else {
            let token = self.token.map(|token| ("continuation-token", token));
            let start = self.start_after.filter(|_| self.token.is_none()).map(|start| ("start-after", start));
            [token, encoding, Some(("list-type", "2")), limit, Some(("prefix", prefix)), start]
        };
        all.into_iter().flatten().collect()
    }
}

/// A page of a listing that came.
pub(super) struct Listed {
    pub(super) keys: Vec<String>,
    /// How it goes on; `None`: it ends.
    pub(super) next: Option<String>,
    /// The store says that keys are percent-encoded.
    pub(super) encoded: bool,
}

/// What an answer means. A right that is missing, and a store that does not answer, say nothing about what it can do.
pub(super) fn judged(answer: Result<Reply, Unanswered>, fine: impl FnOnce(&Reply) -> Result<(), String>) -> (Finding, String) {
    match answer {
        Err(why) => (Finding::Unknown, why),
        Ok(reply) if reply.is_ok() => match fine(&reply) {
            Ok(()) => (Finding::Yes, String::new()),
            Err(why) => (Finding::No, why),
        },
        Ok(reply) if matches!(reply.status, 401 | 403 | 429 | 503) => (Finding::Unknown, reply.words()),
        Ok(reply) => (Finding::No, reply.words()),
    }
}

/// What it means that something wrong was asked for: the store is to refuse it.
pub(super) fn refuses(answer: Result<Reply, Unanswered>, what: &str) -> (Finding, String) {
    match answer {
        Err(why) => (Finding::Unknown, why),
        Ok(reply) if reply.is_ok() => (Finding::No, format!("answers {} to {what}", reply.status)),
        Ok(reply) if (400..500).contains(&reply.status) && !matches!(reply.status, 401 | 403 | 429) => (Finding::Yes, String::new()),
        Ok(reply) => (Finding::Unknown, reply.words()),
    }
}
