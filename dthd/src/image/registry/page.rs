//! Listings in pages (OCI distribution specification, "Listing Tags"; RFC 8288).

use std::collections::HashSet;

use dth_proto::failure::FailureClass;
use http::{HeaderMap, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Call, Registry, answer::Answer, redirect};
use crate::transfer::TransferError;

/// Names asked for at a time. ECR refuses more.
pub(super) const PAGE: usize = 1000;
/// A page of names, or all of them from registries that do not know pages.
const LARGEST: usize = 64 << 20;
/// Twenty million names, or a registry that never comes to an end.
const MOST: usize = 20_000;

/// What cannot stand in a segment of a path, or in the value of a query. Digests have a colon, which can (RFC 3986, section 3.3).
const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A name as a part of an address. Names from listings may be anything.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, SPECIAL).to_string()
}

/// `/v2/REPOSITORY/rest`.
pub(super) fn target(repository: &str, rest: &str) -> String {
    let segments: Vec<String> = repository.split('/').map(encoded).collect();
    format!("/v2/{}/{rest}", segments.join("/"))
}

/// A listing on its way.
pub(super) struct Pages<'a> {
    registry: &'a Registry,
    call: Call<'a>,
    next: Option<String>,
    seen: HashSet<String>,
}

impl<'a> Pages<'a> {
    /// Begins with `call.target`.
    pub(super) fn new(registry: &'a Registry, call: Call<'a>) -> Self {
        Self { registry, next: Some(call.target.clone()), call, seen: HashSet::new() }
    }

    /// The next page; `None` after the last. Answers with a status of `accept` are pages as well.
    pub(super) async fn next(&mut self, accept: &[StatusCode]) -> Result<Option<Answer>, TransferError> {
        let Some(target) = self.next.take() else { return Ok(None) };
        self.call.target = target;
        let answer = self.registry.read(&self.call, accept, LARGEST).await?;
        self.seen.insert(self.call.target.clone());
        if let Some(next) = next_page(&answer.headers, &self.registry.target(&self.call)?) {
            self.go_on(next)?;
        }
        Ok(Some(answer))
    }

    /// Whether the registry says that there is more.
    pub(super) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// Asks for a page that the registry did not speak of.
    ///
    /// # Errors
    /// When it was asked for before: what lies behind could not be listed, and must not be taken for empty.
    pub(super) fn go_on(&mut self, target: String) -> Result<(), TransferError> {
        if self.seen.contains(&target) || self.seen.len() >= MOST {
            let message = format!("the pages of {} have no end: {:?} leads to {target:?}", self.registry.host(), self.call.target);
            return Err(self.registry.error(FailureClass::Permanent, self.call.operation, "PagesWithoutEnd", message));
        }
        self.next = Some(target);
        Ok(())
    }
}

/// Path and query of the page that a `Link` with `rel="next"` names. Its host does not matter: registries behind proxies often do not know
/// their own, and no other must see our token.
fn next_page(headers: &HeaderMap, current: &Uri) -> Option<String> {
    let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let reference = links.flat_map(links_of).find_map(|(reference, parameters)| is_next(parameters).then_some(reference))?;
    redirect::resolve(current, reference).ok()?.path_and_query().map(ToString::to_string)
}

/// The links of a header: what is between `<` and `>`, and the parameters behind. References may have commas.
fn links_of(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once('<')?;
        let (reference, behind) = behind.split_once('>')?;
        let end = behind.find('<').unwrap_or(behind.len());
        rest = &behind[end..];
        Some((reference.trim(), &behind[..end]))
    })
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            let mut words = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && words.any(|word| word.eq_ignore_ascii_case("next"))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next_of(link: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, link.parse().expect("a value"));
        next_page(&headers, &Uri::from_static("https://r.example/v2/a/tags/list?n=2"))
    }

    #[test]
    fn links_lead_to_the_same_registry() {
        for (link, expected) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            ("</v2/a/tags/list?last=b>; rel=next", Some("/v2/a/tags/list?last=b")),
            (r#"<https://other.example:444/v2/a/tags/list?last=b>;rel="next""#, Some("/v2/a/tags/list?last=b")),
            (r#"<?last=b>; rel="next""#, Some("/v2/a/tags/list?last=b")),
            (r#"<list?last=b>; rel="next""#, Some("/v2/a/tags/list?last=b")),
            (r#"</first>; rel="first", </v2/x?last=1,2>; type="a"; REL="prev Next""#, Some("/v2/x?last=1,2")),
            (r#"</first>; rel="first""#, None),
            ("</x>", None),
            ("nothing", None),
        ] {
            assert_eq!(next_of(link).as_deref(), expected, "{link}");
        }
        assert_eq!(next_page(&HeaderMap::new(), &Uri::from_static("https://r.example/")), None);
    }

    #[test]
    fn names_stay_within_their_segment() {
        assert_eq!(target("team/app", "tags/list"), "/v2/team/app/tags/list");
        assert_eq!(target("a?b/c d", "manifests/x"), "/v2/a%3Fb/c%20d/manifests/x");
        assert_eq!(encoded("sha256:00"), "sha256:00");
        assert_eq!(encoded("../x#`"), "..%2Fx%23%60");
    }

    proptest! {
        #[test]
        fn any_link_is_read_or_not(link in "[ -~]{0,60}") {
            let _ = next_of(&link);
        }

        #[test]
        fn what_is_found_begins_with_a_slash(path in "[a-z/?=&:.]{1,20}") {
            let next = next_of(&format!("<{path}>; rel=next"));
            prop_assert!(next.is_none_or(|next| next.starts_with('/')));
        }
    }
}
