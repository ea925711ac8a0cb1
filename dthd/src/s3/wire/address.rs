//! Where a bucket is: host, base path, signing region. The rules are those of the SDK, which knows all partitions and styles.

use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_types::endpoint::EndpointAuthScheme;
use http::{
    HeaderValue, Uri,
    uri::{Authority, Scheme},
};

/// What decides where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3) struct Site {
    /// Name or access point.
    pub(in crate::s3) bucket: String,
    /// As configured, or as the store corrected it.
    pub(in crate::s3) region: String,
    /// `None`: AWS's own of the region.
    pub(in crate::s3) endpoint: Option<String>,
    /// Bucket in the path instead of in the host name.
    pub(in crate::s3) path_style: bool,
    /// AWS's addresses for IPv4 and IPv6.
    pub(in crate::s3) dual_stack: bool,
    /// AWS's addresses with validated cryptography.
    pub(in crate::s3) fips: bool,
}

/// Where requests for a bucket go, and for what they are signed.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The authority without the port that the scheme implies (RFC 9110, section 7.2).
    pub(super) host: HeaderValue,
    /// In front of every key, percent-encoded, without a slash at its end: the base path of the endpoint, and the bucket in path style.
    pub(super) base: String,
    /// Of the signature's scope.
    pub(super) region: String,
    /// Likewise: `s3`, `s3-object-lambda`, …
    pub(super) service: String,
}

impl Site {
    /// # Errors
    /// Why there is no such address, in words.
    pub(super) async fn address(&self) -> Result<Address, String> {
        let params = Params::builder()
            .bucket(&self.bucket)
            .region(&self.region)
            .set_endpoint(self.endpoint.clone())
            .force_path_style(self.path_style)
            .use_dual_stack(self.dual_stack)
            .use_fips(self.fips)
            .build()
            .map_err(|e| e.to_string())?;
        let found = DefaultResolver::new().resolve_endpoint(&params).await.map_err(|e| e.to_string())?;
        let scheme = found.auth_schemes().iter().find(|scheme| scheme.name() == "sigv4");
        let property = |name: &str| scheme.and_then(|s| s.get(name)).and_then(|value| value.as_string()).map(str::to_owned);
        if scheme.is_none() && !found.auth_schemes().is_empty() {
            let names: Vec<&str> = found.auth_schemes().iter().map(EndpointAuthScheme::name).collect();
            return Err(format!("its requests are signed by {}, which is not supported", names.join(", ")));
        }
        let region = property("signingRegion").unwrap_or_else(|| self.region.clone());
        let service = property("signingName").unwrap_or_else(|| "s3".to_owned());
        Address::parse(found.url(), region, service)
    }

    /// The same bucket in another region. An endpoint of AWS follows: it has the region in its name.
    pub(super) fn moved(&self, region: &str) -> Self {
        let mut site = Self { region: region.to_owned(), ..self.clone() };
        if let Some(endpoint) = &self.endpoint
            && is_aws(endpoint)
        {
            let old = format!(".{}.", self.region);
            let follows = endpoint.contains(&old).then(|| endpoint.replacen(&old, &format!(".{region}."), 1));
            // the one address without a region in its name is the one of all regions
            let global = endpoint.trim_end_matches('/').ends_with("//s3.amazonaws.com");
            site.endpoint = follows.or_else(|| (!global).then(|| endpoint.clone()));
        }
        site
    }
}

fn is_aws(endpoint: &str) -> bool {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

impl Address {
    fn parse(url: &str, region: String, service: String) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|e| format!("{url:?} is not an address: {e}"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("{url:?} is not an address: write it like https://host[:port]"));
        };
        let base = parts.path_and_query.map(|p| p.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        let host = host(&scheme, &authority)?;
        Ok(Self { scheme, authority, host, base, region, service })
    }

    /// The same place at another host, as a store asks for it by `Location`; the base path is the new host's. `None` when that is
    /// outside the parent domain of this one, or without the TLS that this one has: nobody else is told what we send. `key` is
    /// percent-encoded.
    pub(super) fn redirected(&self, location: &str, key: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let scheme = uri.scheme().cloned().unwrap_or_else(|| self.scheme.clone());
        let authority = uri.authority().cloned().unwrap_or_else(|| self.authority.clone());
        let downgraded = self.scheme == Scheme::HTTPS && scheme != Scheme::HTTPS;
        let named = authority.as_str().contains('@');
        if downgraded || named || !related(self.authority.host(), authority.host()) {
            return None;
        }
        let base = uri.path().strip_suffix(key).map_or(self.base.as_str(), |base| base.trim_end_matches('/')).to_owned();
        let host = host(&scheme, &authority).ok()?;
        Some(Self { scheme, authority, host, base, ..self.clone() })
    }

    /// Nobody can be in between: the address is this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.authority.host();
        host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

fn host(scheme: &Scheme, authority: &Authority) -> Result<HeaderValue, String> {
    let implied = match authority.port_u16() {
        Some(80) => *scheme == Scheme::HTTP,
        Some(443) => *scheme == Scheme::HTTPS,
        _ => false,
    };
    let text = if implied { authority.host() } else { authority.as_str() };
    HeaderValue::from_str(text).map_err(|_| format!("{text:?} is not a host"))
}

/// Whether two hosts lie in one domain below the top two levels: `b.s3.amazonaws.com` and `b.s3-us-west-2.amazonaws.com` do.
/// An address without a name is only itself.
fn related(from: &str, to: &str) -> bool {
    if from.eq_ignore_ascii_case(to) {
        return true;
    }
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_address(from) || is_address(to) {
        return false;
    }
    let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
    // AWS's own domains stand for themselves; of others at least the last two labels are the owner's, three below two short ones
    let owner = ["amazonaws.com.cn", "amazonaws.com"].into_iter().find(|domain| from.ends_with(&format!(".{domain}")));
    let domain = owner.map_or_else(|| parent(&from), |domain| Some(domain.to_owned()));
    domain.is_some_and(|domain| to == domain || to.ends_with(&format!(".{domain}")))
}

/// The last labels of a name that belong to one owner: two, or three where the last two are as short as `co.uk` or `com.cn`.
fn parent(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let short = matches!(labels.as_slice(), [.., second, last] if last.len() == 2 && second.len() <= 3);
    let count = if short { 3 } else { 2 };
    (labels.len() > count).then(|| labels[labels.len() - count..].join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(bucket: &str, region: &str, endpoint: Option<&str>, path_style: bool) -> Site {
        Site {
            bucket: bucket.into(),
            region: region.into(),
            endpoint: endpoint.map(str::to_owned),
            path_style,
            dual_stack: false,
            fips: false,
        }
    }

    #[tokio::test]
    async fn addresses() {
        for (bucket, region, endpoint, path_style, host, base) in [
            ("bkt", "us-east-1", None, false, "bkt.s3.us-east-1.amazonaws.com", ""),
            ("bkt", "cn-north-1", None, false, "bkt.s3.cn-north-1.amazonaws.com.cn", ""),
            ("bkt", "us-gov-west-1", None, false, "bkt.s3.us-gov-west-1.amazonaws.com", ""),
            // a name with dots has no certificate
            ("b.c", "us-east-1", None, false, "s3.us-east-1.amazonaws.com", "/b.c"),
            ("b", "us-east-1", None, true, "s3.us-east-1.amazonaws.com", "/b"),
            ("b", "x", Some("http://127.0.0.1:8333"), true, "127.0.0.1:8333", "/b"),
            ("b", "x", Some("https://s3.example.com:443/base/"), true, "s3.example.com", "/base/b"),
            ("bkt", "x", Some("https://s3.example.com/base"), false, "bkt.s3.example.com", "/base"),
            ("bkt", "x", Some("http://s3.example.com:80"), false, "bkt.s3.example.com", ""),
            (
                "arn:aws:s3:us-west-2:123456789012:accesspoint/point",
                "us-west-2",
                None,
                false,
                "point-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
                "",
            ),
        ] {
            let address = site(bucket, region, endpoint, path_style).address().await.expect("an address");
            assert_eq!((address.host.to_str().expect("text"), address.base.as_str()), (host, base), "{bucket} {endpoint:?}");
            assert_eq!((address.region.as_str(), address.service.as_str()), (region, "s3"));
        }
        let dual = Site { dual_stack: true, ..site("bkt", "eu-west-1", None, false) };
        assert_eq!(dual.address().await.expect("an address").host, "bkt.s3.dualstack.eu-west-1.amazonaws.com");
        assert!(site("b", "not a region", None, false).address().await.is_err());
    }

    #[test]
    fn endpoints_of_aws_follow_the_region() {
        for (endpoint, expected) in [
            (None, None),
            (Some("https://s3.us-east-1.amazonaws.com"), Some("https://s3.eu-west-1.amazonaws.com")),
            (Some("https://s3.dualstack.us-east-1.amazonaws.com"), Some("https://s3.dualstack.eu-west-1.amazonaws.com")),
            (Some("https://s3.amazonaws.com"), None),
            (Some("https://s3.us-east-1.example.com"), Some("https://s3.us-east-1.example.com")),
            (Some("http://127.0.0.1:8333"), Some("http://127.0.0.1:8333")),
        ] {
            let moved = site("b", "us-east-1", endpoint, false).moved("eu-west-1");
            assert_eq!((moved.region.as_str(), moved.endpoint.as_deref()), ("eu-west-1", expected));
        }
    }

    #[test]
    fn redirects_stay_in_the_family() {
        for (from, to, related_) in [
            ("b.s3.amazonaws.com", "b.s3-us-west-2.amazonaws.com", true),
            ("b.s3.amazonaws.com", "b.s3.amazonaws.com.evil.com", false),
            ("b.s3.amazonaws.com", "evil-amazonaws.com", false),
            ("b.s3.cn-north-1.amazonaws.com.cn", "s3.cn-northwest-1.amazonaws.com.cn", true),
            ("b.oss-cn-hangzhou.aliyuncs.com", "b.oss-cn-beijing.aliyuncs.com", true),
            ("s3.example.co.uk", "s3.other.co.uk", false),
            ("s3.example.co.uk", "s4.example.co.uk", true),
            ("example.com", "other.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "x.0.0.1", false),
            ("localhost", "localhost", true),
        ] {
            assert_eq!(related(from, to), related_, "{from} -> {to}");
        }
        let address = Address::parse("https://b.s3.amazonaws.com", "r".into(), "s3".into()).expect("good");
        let to = |location: &str| address.redirected(location, "/k/ey").map(|a| format!("{}{}", a.authority, a.base));
        assert_eq!(to("https://b.s3-us-west-2.amazonaws.com/k/ey").as_deref(), Some("b.s3-us-west-2.amazonaws.com"));
        assert_eq!(to("https://s3-us-west-2.amazonaws.com/b/k/ey").as_deref(), Some("s3-us-west-2.amazonaws.com/b"));
        assert_eq!(to("http://b.s3-us-west-2.amazonaws.com/k/ey"), None, "without TLS");
        assert_eq!(to("https://example.com/k/ey"), None);
        assert_eq!(to("https://me@b.s3.amazonaws.com/k/ey"), None);
    }
}
