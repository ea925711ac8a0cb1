//! What refers to a manifest: signatures, attestations, bills of material (OCI distribution specification, "Listing Referrers").

use std::collections::HashSet;

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderValue, Method, StatusCode, header};

use super::{
    Call, Registry,
    answer::{Answer, content_type},
    page::{Pages, encoded, target},
};
use crate::{
    image::{
        digest::Digest,
        manifest::{Content, Descriptor, Manifest, OCI_INDEX},
    },
    transfer::TransferError,
};

const LIST: &str = "ListReferrers";

/// What refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// Each once.
    pub descriptors: Vec<Descriptor>,
    /// How they were found.
    pub by: ReferrersBy,
}

/// How referrers were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrersBy {
    /// By the registry, which keeps the list itself.
    Api,
    /// By the index under [`fallback_tag`], which clients keep.
    Tag(Manifest),
    /// The registry keeps no list, and nobody else does.
    None,
}

/// The tag under which clients list the referrers of a manifest where the registry does not ("Referrers Tag Schema"): `sha256-…`, at most 32
/// characters before the dash and 64 behind it.
#[must_use]
pub fn fallback_tag(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), hex.get(..64).unwrap_or(hex))
}

impl Registry {
    /// What refers to a manifest, which need not exist.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn referrers(&self, repository: &str, digest: &Digest) -> Result<Referrers, TransferError> {
        if let Some(descriptors) = self.listed_referrers(repository, digest).await? {
            return Ok(Referrers { descriptors, by: ReferrersBy::Api });
        }
        let Some(index) = self.find(repository, &fallback_tag(digest)).await? else {
            return Ok(Referrers { descriptors: Vec::new(), by: ReferrersBy::None });
        };
        let content = self.content(&index)?;
        Ok(Referrers { descriptors: each_once(content.children), by: ReferrersBy::Tag(index) })
    }

    /// `None`: the registry does not know such lists.
    async fn listed_referrers(&self, repository: &str, digest: &Digest) -> Result<Option<Vec<Descriptor>>, TransferError> {
        let call = Call {
            operation: LIST,
            method: Method::GET,
            target: target(repository, &format!("referrers/{}", encoded(digest.as_str()))),
            headers: vec![(header::ACCEPT, HeaderValue::from_static(OCI_INDEX))],
            body: Bytes::new(),
            repository: Some(repository),
            also: None,
            push: false,
        };
        let mut pages = Pages::new(self, call);
        let mut found = Vec::new();
        let first = match pages.next(&[StatusCode::NOT_FOUND]).await {
            // other words for the same: 400, 405 and the like, for an address without a meaning
            Err(error) if error.class == FailureClass::Permanent && error.code != "PagesWithoutEnd" => return Ok(None),
            first => first?,
        };
        let mut page = first.filter(is_index);
        if page.is_none() {
            return Ok(None);
        }
        while let Some(answer) = page {
            let manifest = Manifest::new(answer.body, Some(OCI_INDEX)).map_err(|why| self.unreadable(LIST, &why.to_string()))?;
            found.extend(self.content(&manifest)?.children);
            page = pages.next(&[]).await?;
        }
        Ok(Some(each_once(found)))
    }

    fn content(&self, index: &Manifest) -> Result<Content, TransferError> {
        index.read().map_err(|why| {
            let message = format!("the referrers listed by {}: {why}", self.host());
            self.error(FailureClass::Permanent, LIST, why.code(), message)
        })
    }
}

/// Whether this is a list of referrers. Some registries answer everything with success, and a page for people or other JSON.
fn is_index(answer: &Answer) -> bool {
    let kind = content_type(&answer.headers).and_then(|text| text.split(';').next()).map_or("", str::trim);
    let like_one = || Manifest::new(answer.body.clone(), None).is_ok_and(|manifest| manifest.media_type == OCI_INDEX);
    answer.status != StatusCode::NOT_FOUND
        && (kind.eq_ignore_ascii_case(OCI_INDEX) || (kind.eq_ignore_ascii_case("application/json") && like_one()))
}

fn each_once(mut descriptors: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    descriptors.retain(|descriptor| seen.insert(descriptor.digest.clone()));
    descriptors
}
