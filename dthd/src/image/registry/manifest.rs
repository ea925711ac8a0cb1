//! Manifests in a registry: found by HEAD, read and written byte for byte (OCI distribution specification, "Pulling", "Pushing Manifests").

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderValue, Method, StatusCode, header};

use super::{
    Call, Registry,
    answer::{Answer, content_digest, content_type, number, unknown},
    page::{encoded, target},
};
use crate::{
    image::{
        digest::Digest,
        manifest::{ACCEPT, BadManifest, LARGEST, Manifest},
    },
    transfer::TransferError,
};

const HEAD: &str = "HeadManifest";
const GET: &str = "GetManifest";
const PUT: &str = "PutManifest";

/// Wrong bytes are asked for once more, over another request; some registries count each.
const TRIES: u32 = 2;

/// What a tag or digest stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of the manifest.
    pub digest: Digest,
    /// Its type as the registry announces it.
    pub media_type: Option<String>,
    /// Its size in bytes, where the registry says it.
    pub size: Option<u64>,
}

/// What a registry says about a manifest that it now has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// It has understood that the manifest refers to another (`OCI-Subject`), and lists it among the referrers by itself.
    pub subject_known: bool,
}

impl Registry {
    /// What a tag or digest stands for; `None`: nothing. Asks by HEAD, which registries with limits do not count, and by GET where HEAD is
    /// refused or says too little.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn resolve(&self, repository: &str, reference: &str) -> Result<Option<Found>, TransferError> {
        match self.call_for(&request(HEAD, Method::HEAD, repository, reference), &[StatusCode::NOT_FOUND]).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
            Ok(response) => {
                let headers = self.finish(HEAD, response).await;
                let asked: Option<Digest> = reference.parse().ok();
                match (content_digest(&headers), asked) {
                    (Some(digest), Some(asked)) if digest != asked && digest.algorithm() == asked.algorithm() => {
                        return Err(self.mismatch(HEAD, &asked, digest.as_str()));
                    }
                    (None, None) => {}
                    (digest, asked) => {
                        return Ok(asked.or(digest).map(|digest| Found {
                            digest,
                            media_type: content_type(&headers).and_then(|text| text.split(';').next()).map(|text| text.trim().to_owned()),
                            size: number(&headers, &header::CONTENT_LENGTH).filter(|size| *size > 0),
                        }));
                    }
                }
            }
            // an answer to HEAD has no words: GET may be allowed, or say why it is not
            Err(error) if matches!(error.class, FailureClass::Permanent | FailureClass::Auth) => {
                tracing::debug!(registry = self.host(), code = %error.code, "HEAD of a manifest refused");
            }
            Err(error) => return Err(error),
        }
        let manifest = self.find(repository, reference).await?;
        Ok(manifest.map(|manifest| Found {
            size: Some(manifest.bytes.len() as u64),
            media_type: Some(manifest.media_type),
            digest: manifest.digest,
        }))
    }

    /// A manifest or index by tag or digest. Its bytes are those of its digest.
    ///
    /// # Errors
    /// [`TransferError`]: `MANIFEST_UNKNOWN` where there is none; transient `DIGEST_MISMATCH` when the bytes were others each time; permanent
    /// `MANIFEST_INVALID` or `SIZE_INVALID` when they are no manifest.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Manifest, TransferError> {
        let fetched = self.fetch(repository, reference, &[]).await.map_err(|error| unknown(error, "MANIFEST_UNKNOWN"))?;
        fetched.ok_or_else(|| {
            let message = format!("{} has no {}", self.host(), name(repository, reference));
            self.error(FailureClass::Permanent, GET, "MANIFEST_UNKNOWN", message)
        })
    }

    /// As [`Registry::manifest`]; `None`: there is none.
    pub(super) async fn find(&self, repository: &str, reference: &str) -> Result<Option<Manifest>, TransferError> {
        self.fetch(repository, reference, &[StatusCode::NOT_FOUND]).await
    }

    async fn fetch(&self, repository: &str, reference: &str, accept: &[StatusCode]) -> Result<Option<Manifest>, TransferError> {
        let call = request(GET, Method::GET, repository, reference);
        let mut tries = 1;
        loop {
            let answer = self.read(&call, accept, LARGEST).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            self.inner.counters.received.fetch_add(answer.body.len() as u64, Relaxed);
            match self.checked(&answer, repository, reference) {
                Err(error) if error.is_retryable() && tries < TRIES => tries += 1,
                checked => return checked.map(Some),
            }
        }
    }

    /// The manifest of an answer, by the digest that was asked for, else by that which the registry announces.
    fn checked(&self, answer: &Answer, repository: &str, reference: &str) -> Result<Manifest, TransferError> {
        let expected = reference.parse().ok().or_else(|| content_digest(&answer.headers));
        let manifest = match Manifest::new(answer.body.clone(), content_type(&answer.headers)) {
            Ok(manifest) => manifest,
            // what is not what was asked for need not be readable
            Err(_) if expected.as_ref().is_some_and(|digest| !digest.is_of(&answer.body)) => {
                return Err(self.other(repository, reference, expected.as_ref(), &Digest::sha256(&answer.body)));
            }
            Err(why) => return Err(self.bad(GET, repository, reference, &why)),
        };
        let Some(digest) = expected else { return Ok(manifest) };
        let got = manifest.digest.clone();
        manifest.by(&digest).ok_or_else(|| self.other(repository, reference, Some(&digest), &got))
    }

    fn other(&self, repository: &str, reference: &str, expected: Option<&Digest>, got: &Digest) -> TransferError {
        let expected = expected.map_or("another digest", Digest::as_str);
        let message = format!("the bytes of {} at {} are those of {got}, not of {expected}", name(repository, reference), self.host());
        self.trouble(GET, "DIGEST_MISMATCH", message)
    }

    fn bad(&self, operation: &'static str, repository: &str, reference: &str, why: &BadManifest) -> TransferError {
        let message = format!("{} at {}: {why}", name(repository, reference), self.host());
        self.error(FailureClass::Permanent, operation, why.code(), message)
    }

    /// Stores a manifest under a tag or its digest. Everything it names must be there already.
    ///
    /// # Errors
    /// [`TransferError`]; transient `DIGEST_MISMATCH` when the registry has stored something else.
    pub async fn put_manifest(&self, repository: &str, reference: &str, manifest: &Manifest) -> Result<Stored, TransferError> {
        let media_type = HeaderValue::from_str(&manifest.media_type).map_err(|_| {
            let message = format!("{}: its media type {:?} cannot be sent", name(repository, reference), manifest.media_type);
            self.error(FailureClass::Permanent, PUT, "MANIFEST_INVALID", message)
        })?;
        let call = Call {
            headers: vec![(header::CONTENT_TYPE, media_type)],
            body: manifest.bytes.clone(),
            push: true,
            ..request(PUT, Method::PUT, repository, reference)
        };
        let headers = self.finish(PUT, self.call(&call).await?).await;
        if let Some(digest) = content_digest(&headers).filter(|digest| manifest.clone().by(digest).is_none()) {
            return Err(self.mismatch(PUT, &manifest.digest, digest.as_str()));
        }
        Ok(Stored { subject_known: headers.contains_key("oci-subject") })
    }
}

fn request<'a>(operation: &'static str, method: Method, repository: &'a str, reference: &str) -> Call<'a> {
    Call {
        operation,
        method,
        target: target(repository, &format!("manifests/{}", encoded(reference))),
        headers: vec![(header::ACCEPT, HeaderValue::from_static(ACCEPT))],
        body: Bytes::new(),
        repository: Some(repository),
        also: None,
        push: false,
    }
}

/// `repository:tag` or `repository@digest`.
fn name(repository: &str, reference: &str) -> String {
    let sign = if reference.contains(':') { '@' } else { ':' };
    format!("{repository}{sign}{reference}")
}
