//! From an HTTP request to the operation it asks for, its repository and what in it.

use hyper::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

use super::{operation::Operation, refusal::Refusal};

/// Longest repository name, in bytes (distribution: 255).
const MAX_NAME: usize = 255;
/// Header that names an operation of ECR's API, and what stands before the name.
const TARGET: &str = "x-amz-target";
const SERVICE: &str = "AmazonEC2ContainerRegistry_V20150921.";

/// Which door of a server a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// The registry itself.
    Registry,
    /// The storage that blobs are redirected to.
    Storage,
}

/// A request, understood; the body comes later.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: Operation,
    pub method: Method,
    /// Path and query, as they came.
    pub target: String,
    /// Empty where there is none, and for ECR's API until its body is read.
    pub repository: String,
    /// Tag, digest or upload id.
    pub reference: String,
    pub query: Query,
    pub headers: HeaderMap,
}

/// The decoded query of a request, or a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Call {
    /// Understands a request line and its headers.
    pub fn parse(entrance: Entrance, method: &Method, uri: &Uri, headers: HeaderMap) -> Result<Self, Refusal> {
        let query = Query::parse(uri.query().unwrap_or_default());
        let target = uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let path = decode(uri.path());
        let (operation, repository, reference) = match entrance {
            Entrance::Storage => stored(&path)?,
            Entrance::Registry => match headers.get(TARGET) {
                Some(name) => api(name.to_str().unwrap_or_default())?,
                None => distribution(method, &path, &query)?,
            },
        };
        Ok(Self { operation, method: method.clone(), target, repository, reference, query, headers })
    }

    /// A header as text; `None` when it is missing or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn stored(path: &str) -> Result<(Operation, String, String), Refusal> {
    let (repository, digest) = path.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).ok_or_else(Refusal::not_found)?;
    Ok((Operation::GetStoredBlob, repository.to_owned(), digest.to_owned()))
}

fn api(target: &str) -> Result<(Operation, String, String), Refusal> {
    let operation = target.strip_prefix(SERVICE).and_then(Operation::of_api).ok_or_else(Refusal::unsupported)?;
    Ok((operation, String::new(), String::new()))
}

fn distribution(method: &Method, path: &str, query: &Query) -> Result<(Operation, String, String), Refusal> {
    use Operation as O;
    let bare = |operation| Ok((operation, String::new(), String::new()));
    match (method.as_str(), path) {
        ("GET" | "HEAD", "/v2/" | "/v2") => return bare(O::Ping),
        ("GET" | "POST", "/token") => return bare(O::GetToken),
        ("GET", "/v2/_catalog") => return bare(O::ListRepositories),
        _ => {}
    }
    let rest = path.strip_prefix("/v2/").ok_or_else(Refusal::not_found)?;
    let (place, last) = rest.rsplit_once('/').ok_or_else(Refusal::not_found)?;
    let found = if let Some(name) = place.strip_suffix("/blobs/uploads") {
        let operation = match (method.as_str(), last.is_empty()) {
            ("POST", true) if query.get("mount").is_some() => O::MountBlob,
            ("POST", true) => O::StartUpload,
            ("PATCH", false) => O::PatchBlob,
            ("PUT", false) => O::PutBlob,
            ("GET", false) => O::UploadStatus,
            ("DELETE", false) => O::CancelUpload,
            _ => return Err(Refusal::unsupported()),
        };
        (operation, name)
    } else if let Some(name) = place.strip_suffix("/blobs") {
        (blob(method, last)?, name)
    } else if let Some(name) = place.strip_suffix("/manifests") {
        (manifest(method)?, name)
    } else if let Some(name) = place.strip_suffix("/tags").filter(|_| last == "list") {
        (O::ListTags, name)
    } else if let Some(name) = place.strip_suffix("/referrers") {
        (O::ListReferrers, name)
    } else {
        return Err(Refusal::not_found());
    };
    let (operation, name) = found;
    if !is_name(name) {
        return Err(Refusal::name_invalid());
    }
    let reference = if operation == O::MountBlob { query.get("mount").unwrap_or_default() } else { last };
    Ok((operation, name.to_owned(), reference.to_owned()))
}

fn blob(method: &Method, last: &str) -> Result<Operation, Refusal> {
    Ok(match method.as_str() {
        // POST .../blobs/uploads without the slash at its end
        "POST" if last == "uploads" => Operation::StartUpload,
        "GET" => Operation::GetBlob,
        "HEAD" => Operation::HeadBlob,
        "DELETE" => Operation::DeleteBlob,
        _ => return Err(Refusal::unsupported()),
    })
}

fn manifest(method: &Method) -> Result<Operation, Refusal> {
    Ok(match method.as_str() {
        "GET" => Operation::GetManifest,
        "HEAD" => Operation::HeadManifest,
        "PUT" => Operation::PutManifest,
        "DELETE" => Operation::DeleteManifest,
        _ => return Err(Refusal::unsupported()),
    })
}

/// Path components of lower-case letters and digits, separated within by `.`, `_`, `__` or dashes (distribution, "Pulling manifests").
pub(super) fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.len() <= MAX_NAME
        && name.split('/').all(|part| {
            let bytes = part.as_bytes();
            edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, uri: &str) -> Result<Call, Refusal> {
        Call::parse(Entrance::Registry, &method.parse().expect("a method"), &uri.parse().expect("a URI"), HeaderMap::new())
    }

    #[test]
    fn requests_become_operations() {
        for (method, uri, operation, repository, reference) in [
            ("GET", "/v2/", Operation::Ping, "", ""),
            ("GET", "/v2/_catalog?n=3", Operation::ListRepositories, "", ""),
            ("GET", "/v2/a/tags/list", Operation::ListTags, "a", "list"),
            ("HEAD", "/v2/a/b/manifests/v1", Operation::HeadManifest, "a/b", "v1"),
            ("PUT", "/v2/tags/manifests/manifests/sha256%3Aab", Operation::PutManifest, "tags/manifests", "sha256:ab"),
            ("POST", "/v2/a/blobs/uploads/", Operation::StartUpload, "a", ""),
            ("POST", "/v2/a/blobs/uploads/?mount=sha256:ab&from=b%2Fc", Operation::MountBlob, "a", "sha256:ab"),
            ("PATCH", "/v2/a/blobs/uploads/7?_state=x", Operation::PatchBlob, "a", "7"),
            ("GET", "/v2/a/blobs/sha256:ab", Operation::GetBlob, "a", "sha256:ab"),
            ("GET", "/v2/a/referrers/sha256:ab", Operation::ListReferrers, "a", "sha256:ab"),
            ("GET", "/token?scope=repository:a:pull&scope=x", Operation::GetToken, "", ""),
        ] {
            let call = call(method, uri).expect("understood");
            assert_eq!((call.operation, call.repository.as_str(), call.reference.as_str()), (operation, repository, reference), "{uri}");
        }
        for (uri, code) in [("/v2/A/tags/list", "NAME_INVALID"), ("/v2/a//b/tags/list", "NAME_INVALID"), ("/v1/x", "NOT_FOUND")] {
            assert_eq!(call("GET", uri).expect_err("refused").code, code, "{uri}");
        }
        let scopes = call("GET", "/token?scope=a+b&scope=c").expect("understood");
        assert_eq!(scopes.query.all("scope").collect::<Vec<_>>(), ["a b", "c"]);
    }
}
