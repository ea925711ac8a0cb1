//! What a registry lists: its repositories, and their tags.

use std::collections::BTreeSet;

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{
    Call, Registry,
    answer::Answer,
    page::{PAGE, Pages, encoded, target},
};
use crate::transfer::TransferError;

const REPOSITORIES: &str = "ListRepositories";
const TAGS: &str = "ListTags";

#[derive(Deserialize)]
struct Names {
    /// May be null, but not missing: an answer about something else is no empty list.
    #[serde(alias = "repositories", deserialize_with = "Option::deserialize")]
    tags: Option<Vec<Option<String>>>,
}

impl Registry {
    /// All repositories of which the registry tells, in byte order.
    ///
    /// # Errors
    /// [`TransferError`]; many registries do not list their repositories.
    pub async fn repositories(&self) -> Result<Vec<String>, TransferError> {
        let listed = self.names(REPOSITORIES, "/v2/_catalog", None).await;
        let named = listed.map_err(|mut error| {
            if matches!(error.class, FailureClass::Permanent | FailureClass::Auth) {
                error.message = format!("{}; many registries do not list their repositories: name them in source.images", error.message);
            }
            error
        })?;
        named.ok_or_else(|| {
            let message = format!("{} does not list its repositories: name them in source.images", self.host());
            self.error(FailureClass::Permanent, REPOSITORIES, "UNSUPPORTED", message)
        })
    }

    /// All tags of a repository, in byte order; `None`: there is no such repository.
    ///
    /// # Errors
    /// [`TransferError`], also when the registry's pages lead in a circle.
    pub async fn tags(&self, repository: &str) -> Result<Option<Vec<String>>, TransferError> {
        self.names(TAGS, &target(repository, "tags/list"), Some(repository)).await
    }

    async fn names(&self, operation: &'static str, path: &str, repository: Option<&str>) -> Result<Option<Vec<String>>, TransferError> {
        let first = format!("{path}?n={PAGE}");
        match self.names_from(operation, path, first, repository).await {
            // its pages are smaller than ours, and it does not just make them so
            Err(error) if error.code == "PAGINATION_NUMBER_INVALID" => self.names_from(operation, path, path.to_owned(), repository).await,
            listed => listed,
        }
    }

    async fn names_from(
        &self,
        operation: &'static str,
        path: &str,
        first: String,
        repository: Option<&str>,
    ) -> Result<Option<Vec<String>>, TransferError> {
        let limited = first != path;
        let mut pages = Pages::new(
            self,
            Call {
                operation,
                method: Method::GET,
                target: first,
                headers: Vec::new(),
                body: Bytes::new(),
                repository,
                also: None,
                push: false,
            },
        );
        let mut all = BTreeSet::new();
        let mut accept = &[StatusCode::NOT_FOUND][..];
        while let Some(page) = pages.next(accept).await? {
            if page.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            accept = &[];
            let names = self.names_of(operation, &page)?;
            let (count, before, last) = (names.len(), all.len(), names.last().map(|name| encoded(name)));
            all.extend(names);
            // a full page without a word about the next one: nothing new behind it is the proof that it was the last
            if let Some(last) = last
                && !pages.has_more()
                && limited
                && count == PAGE
                && all.len() > before
            {
                pages.go_on(format!("{path}?n={PAGE}&last={last}"))?;
            }
        }
        Ok(Some(all.into_iter().collect()))
    }

    fn names_of(&self, operation: &'static str, page: &Answer) -> Result<Vec<String>, TransferError> {
        let names: Names = serde_json::from_slice(&page.body).map_err(|e| self.unreadable(operation, &e.to_string()))?;
        Ok(names.tags.unwrap_or_default().into_iter().flatten().collect())
    }
}
